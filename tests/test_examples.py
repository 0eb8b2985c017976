"""The examples that are no gallery pages run; the gallery runs when the documentation is built."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="the sdist has no examples")


def run(name, *arguments):
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_quickstart():
    for name in ("matplotlib", "rich", "sktime"):
        pytest.importorskip(name)
    assert "legs_lti" in run("quickstart.py")
    assert (EXAMPLES / "output" / "quickstart.png").stat().st_size > 10_000


def test_larger_than_memory(tmp_path):
    for name in ("polars", "pyarrow", "rich"):
        pytest.importorskip(name)
    output = run("parquet_features.py", str(tmp_path / "log"), "--rows", "3e5", "--series", "400", "--buckets", "7")
    assert "300,000 rows" in output
    assert "features of 400 series" in output
    assert "equal to the last bit" in output
    assert {path.name for path in (tmp_path / "log").iterdir()} == {"log.parquet", "features.parquet"}


def test_features_on_a_local_cluster():
    for name in ("dask.distributed", "dask.dataframe"):
        pytest.importorskip(name, reason='pip install "sklearn-hippo[cluster]"')
    output = run("dask_features.py", "--files", "6", "--series", "300", "--rows", "20000", "--kill")
    assert "killed worker process" in output
    assert "features of 300 series from 6 files" in output
    assert "to the last bit" in output


def test_shards_on_a_local_cluster():
    pytest.importorskip("dask.distributed", reason='pip install "sklearn-hippo[cluster]"')
    output = run("dask_shards.py", "--samples", "400000", "--shards", "5", "--kill")
    assert "killed worker process" in output
    assert "400,000 samples in 5 shards" in output
    assert "relative to the largest coefficient" in output
