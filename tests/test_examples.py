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


def test_shards_on_a_local_cluster():
    pytest.importorskip("dask.distributed", reason='pip install "sklearn-hippo[cluster]"')
    output = run("dask_shards.py", "--samples", "400000", "--shards", "5", "--kill")
    assert "killed worker process" in output
    assert "400,000 samples in 5 shards" in output
    assert "relative to the largest coefficient" in output
