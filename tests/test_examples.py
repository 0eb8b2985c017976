"""The examples that are no gallery pages run; the gallery runs when the documentation is built."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_hippo import HiPPOTransformer, Panel

EXAMPLES = Path(__file__).parents[1] / "examples"


pytestmark = [
    pytest.mark.skipif(not EXAMPLES.exists(), reason="the sdist has no examples"),
    pytest.mark.skipif(sys.platform == "win32", reason="memory is measured, and processes are killed, in Unix's way"),
]


def run(name, *arguments):
    script = EXAMPLES / name
    command = [sys.executable, str(script), *arguments]
    beside = os.environ | {"PYTHONPATH": str(script.parent)}  # scripts import what lies beside them
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=beside)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def readme():
    """The blocks of Python in the README, with their first words."""
    text = (EXAMPLES.parent / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return [pytest.param(block, id=block.split("\n")[0]) for block in blocks]


@pytest.mark.parametrize("block", readme() if EXAMPLES.exists() else [])
def test_readme(block, tmp_path):
    pd = pytest.importorskip("pandas")
    for library in ("torch", "sktime"):
        if "RNN" in block:
            pytest.importorskip(library)
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"patient": rng.integers(0, 40, 2000), "time": pd.Timestamp("2026-01-01"), "pulse": 70.0})
    table["time"] += pd.to_timedelta(rng.uniform(0, 1e5, 2000), unit="s")
    table["pulse"] += 20 * (table["patient"] % 2) + rng.normal(size=2000)
    table["pressure"] = rng.normal(size=2000)
    table.loc[rng.uniform(size=2000) < 0.5, "pressure"] = np.nan
    table.to_csv(tmp_path / "measurements.csv", index=False)
    labels = pd.DataFrame({"patient": range(40), "outcome": ["ill" if i % 2 else "well" for i in range(40)]})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    assert len([line for line in block.splitlines() if line]) <= 15
    done = subprocess.run([sys.executable, "-W", "error", "-c", block], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.split()[-1]) > 0.9  # the score


@pytest.mark.parametrize(
    ("job", "told"), [("icu", "AUROC 0.9"), ("sensors", "accuracy 1.000"), ("tracks", "accuracy 0.")]
)
def test_jobs(job, told, tmp_path):
    pytest.importorskip("pandas")
    script = EXAMPLES / "jobs" / f"{job}.py"
    assert len(script.read_text().splitlines()) < 40
    assert told in run(script, str(tmp_path))
    assert (tmp_path / f"{job}.joblib").stat().st_size > 1000


def test_quickstart(monkeypatch, tmp_path, capsys):
    """On a part of its data; all of it is ``make demo``."""
    for name in ("matplotlib", "rich", "sktime", "sklearn.callback"):
        pytest.importorskip(name)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import quickstart

    def part(load):
        return lambda split: tuple(some[::6] for some in load(split))

    for name in ("load_japanese_vowels", "load_plaid"):
        monkeypatch.setattr(quickstart, name, part(getattr(quickstart, name)))
    monkeypatch.setattr(quickstart, "FOLDS", 2)
    monkeypatch.setattr(quickstart, "OUTPUT", tmp_path / "output" / "quickstart.png")
    quickstart.main()
    assert "legs_lti" in capsys.readouterr().out
    assert (tmp_path / "output" / "quickstart.png").stat().st_size > 10_000


def polars():
    """What the recipe for data larger than memory needs."""
    for name in ("pyarrow", "rich"):
        pytest.importorskip(name)
    pl = pytest.importorskip("polars")
    if not hasattr(pl, "PartitionBy"):
        pytest.skip("needs polars 2")
    return pl


def test_larger_than_memory(tmp_path):
    polars()
    output = run("parquet_features.py", str(tmp_path / "log"), "--rows", "3e5", "--series", "400", "--buckets", "7")
    assert "300,000 rows" in output
    assert "features of 400 series" in output
    assert "equal to the last bit" in output
    assert {path.name for path in (tmp_path / "log").iterdir()} == {"log.parquet", "features.parquet"}


def test_larger_than_memory_goes_on_after_an_interruption(tmp_path, monkeypatch):
    pl = polars()
    recipe = SimpleNamespace(**runpy.run_path(str(EXAMPLES / "parquet_features.py")))
    log, target = tmp_path / "log.parquet", tmp_path / "features.parquet"
    recipe.write_log(log, 20_000, 150)
    transformer = HiPPOTransformer("lagt", order=3, timescale=5.0).fit(Panel([0.0]))

    def expected():
        return recipe.features(pl.read_parquet(log), transformer).sort("sensor")

    class Interrupted(Exception):
        pass

    def interrupt(after):
        """Interrupt a run before a file is written for the n-th time."""
        calls = iter(range(1000))
        sink = pl.LazyFrame.sink_parquet

        def failing(self, *arguments, **options):
            if next(calls) == after:
                raise Interrupted
            return sink(self, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(pl.LazyFrame, "sink_parquet", failing)
            with pytest.raises(Interrupted):
                recipe.transform_log(log, target, transformer, 5)
        assert not target.exists()

    for after in (0, 1, 3, 1, 1):  # in splitting; in the first, the fourth and the last of five buckets; in the end
        interrupt(after)
    recipe.transform_log(log, target, transformer, 5)
    assert expected().equals(pl.read_parquet(target).sort("sensor"))
    assert {path.name for path in tmp_path.iterdir()} == {"log.parquet", "features.parquet"}

    target.unlink()
    interrupt(3)
    transformer.set_params(timescale=50.0).fit(Panel([0.0]))  # another job: nothing of the old one may be left
    recipe.transform_log(log, target, transformer, 5)
    assert expected().equals(pl.read_parquet(target).sort("sensor"))

    def removed_in_part(folder, ignore_errors=False):  # killed while it cleaned up
        if ignore_errors:
            return shutil.rmtree(folder, ignore_errors=True)
        next((folder / "parts").iterdir()).unlink()
        raise Interrupted

    recipe.transform_log.__globals__["shutil"] = SimpleNamespace(rmtree=removed_in_part)
    with pytest.raises(Interrupted):
        recipe.transform_log(log, target, transformer, 5)
    recipe.transform_log.__globals__["shutil"] = shutil
    recipe.transform_log(log, target, transformer, 5)
    assert expected().equals(pl.read_parquet(target).sort("sensor"))


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


def test_a_stream_goes_on_after_a_kill():
    pytest.importorskip("pyarrow")
    output = run("stream_recovery.py", "--events", "1.5e5", "--ids", "200")
    assert output.count("killed, the last state was saved at byte") == 1
    assert output.count("goes on at byte 0 with 0 ids") == 2  # the first time, and without kills
    assert output.count("goes on at byte") == 3
    assert "150,000 events of 200 ids, none lost, none counted twice" in output
    assert "to the same bits as without kills: True" in output


def test_a_stream_is_read_in_whole_lines(tmp_path):
    pytest.importorskip("pyarrow")
    recipe = SimpleNamespace(**runpy.run_path(str(EXAMPLES / "stream_recovery.py")))
    log = tmp_path / "log.csv"
    log.write_bytes(b"1,0.5,2,3\n2,0.7,,4\n1,0.")
    with open(log, "rb") as file:
        assert recipe.read(file, 1000).num_rows == 2
        assert file.tell() == 19
        assert recipe.read(file, 1000) is None
        assert file.tell() == 19
        with open(log, "ab") as more:
            more.write(b"9,5,6\n")
        assert recipe.read(file, 1000).to_pydict() == {"machine": [1], "hour": [0.9], "heat": [5], "load": [6]}
        assert recipe.read(file, 1000) is None
