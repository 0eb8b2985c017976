"""The paper's experiments: their runner survives whatever happens, and their scripts run."""

import csv
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

from sklearn_hippo import Panel

PAPER = Path(__file__).parents[1] / "examples" / "paper"

pytestmark = [
    pytest.mark.skipif(not PAPER.exists(), reason="the sdist has no examples"),
    pytest.mark.skipif(sys.platform == "win32", reason="processes are killed in Unix's way"),
]

# Three trials; the second takes its time, and counts its steps in the checkpoint.
TOY = """
import os, signal, sys, time
from pathlib import Path
import runner

runner.RESULTS = Path.cwd()
if "DIE" in os.environ:  # where a row is complete, but not in the file
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

def measure(trial, checkpoint):
    begin = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for step in range(begin, 3):
        checkpoint.write_text(str(step + 1))
        if trial["model"] == "slow" and step == 1:
            time.sleep(600)
    with open("measured", "a") as file:
        file.write(trial["model"] + "\\n")
    return {"begun at": begin, **({"only this one's": 0.5} if trial["model"] == "last" else {})}

options = runner.arguments("A toy.", seeds=1)
trials = [{"model": model, "seed": seed} for seed in range(options.seeds) for model in ("fast", "slow", "last")]
print(len(runner.run("toy", trials, measure, options)), "rows")
"""


@pytest.fixture(autouse=True)
def libraries():
    for name in ("torch", "pandas", "rich", "skorch"):
        pytest.importorskip(name)


def start(script, folder, *arguments, **environment):
    paths = [str(PAPER), *filter(None, [os.environ.get("PYTHONPATH")])]  # scripts import what lies beside them
    environment = os.environ | environment | {"PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "150"}
    command = [sys.executable, str(script), *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=-1, stderr=-2)


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-2000:]
    return output


def table(path):
    """Rows, none of which may be cut off."""
    with path.open(newline="") as file:
        first, *rows = csv.reader(file)
    assert all(len(row) == len(first) for row in rows)
    return [dict(zip(first, row, strict=True)) for row in rows]


def wait_for(text, folder, process):
    """Until a checkpoint says this."""
    while text not in [path.read_text() for path in folder.glob("*.checkpoint")]:
        assert process.poll() is None, process.communicate()[0][-2000:]
        time.sleep(0.02)


def test_a_run_goes_on_where_it_was_killed(tmp_path):
    script = tmp_path / "toy.py"
    script.write_text(TOY)
    results, measured = tmp_path / "toy.csv", tmp_path / "measured"

    for how in (signal.SIGKILL, signal.SIGINT):
        process = start(script, tmp_path)
        wait_for("2", tmp_path / "checkpoints", process)  # in the middle of the second trial
        process.send_signal(how)
        process.communicate(timeout=60)
        assert process.returncode == -how
    assert [row["model"] for row in table(results)] == ["fast"]
    assert measured.read_text().split() == ["fast"]

    process = start(script, tmp_path, DIE="yes")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert [row["model"] for row in table(results)] == ["fast"]
    assert measured.read_text().split() == ["fast", "slow"]

    assert "3 rows" in finish(start(script, tmp_path))
    rows = table(results)
    assert [row["model"] for row in rows] == ["fast", "slow", "last"]
    assert [row["begun at"] for row in rows] == ["0", "3", "0"]  # the second one went on
    assert [row["only this one's"] for row in rows] == ["", "", "0.5"]
    assert all(
        row[name] for row in rows for name in ("seed", "minutes", "threads", "torch", "sklearn_hippo", "machine")
    )
    assert measured.read_text().split() == ["fast", "slow", "slow", "last"]
    assert not list((tmp_path / "checkpoints").glob("*.checkpoint"))


def test_a_small_version_of_it(tmp_path):
    results = PAPER.parent / "results" / "state_spaces.csv"
    before = results.read_bytes()
    only = "--only", "delay, model operator of legt", "--checkpoints", "elsewhere"
    assert "operator of legt" in finish(start(PAPER / "state_spaces.py", tmp_path, "--quick", *only))
    (row,) = table(tmp_path / "elsewhere" / "state_spaces_quick.csv")
    assert float(row["error"]) < 0.01
    assert results.read_bytes() == before


def test_digits_of_one_pixel(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    pixels = np.zeros((120, 784), np.uint8)
    pixels[np.arange(120), 100 + 500 * y] = rng.integers(100, 256, 120)
    split = np.repeat([0, 1], [80, 40])
    np.savez(tmp_path / "MNIST.npz", values=pixels.reshape(-1, 1), offsets=784 * np.arange(121), y=y, split=split)
    only = "--only", "permuted", "--data", str(tmp_path), "--checkpoints", "elsewhere"
    finish(start(PAPER / "digits.py", tmp_path, "--quick", *only))
    rows = table(tmp_path / "elsewhere" / "digits_quick.csv")
    assert [row["order"] for row in rows] == ["64", "256", ""]
    assert float(rows[0]["test"]) > 80
    assert rows[1]["test"] == rows[2]["test"] == "100.0"
    monkeypatch.syspath_prepend(str(PAPER))
    from pixels import measure

    trial = {"task": "permuted MNIST", "model": "HiPPO-RNN, LegS", "series": 80, "epochs": 2, "seed": 0}
    assert measure(trial, tmp_path / "checkpoint", tmp_path)["test"] >= 50


@pytest.mark.filterwarnings("ignore:The training ended:sklearn.exceptions.ConvergenceWarning")
def test_a_shorter_signal_in_256_numbers(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(PAPER))
    from function_approximation import measure

    legs = measure({"model": "LegS", "samples": 100_000, "seed": 0}, None)
    assert legs["ratio"] < 1.001
    lstm = measure({"model": "LSTM", "series": 32, "epochs": 1, "seed": 0}, tmp_path / "checkpoint")
    assert 0.2 < lstm["error"] < 0.3  # what tells nothing has 0.25


def test_series_of_which_most_is_missing(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(PAPER)
    from irregular import statistics, with_gaps

    nan = np.nan
    X = Panel([[1.0, nan], [3.0, nan], [2.0, 5.0]], [0.0, 1.0, 4.0], [0, 3, 3])
    told = [[3, 2, np.std([1, 3, 2]), 1, 3, 1, 2, 1, 5, 0, 5, 5, 5, 5, 4], [0, *[nan] * 6, 0, *[nan] * 6, 0]]
    np.testing.assert_allclose(statistics(X), told)
    Z = Panel(np.zeros((5, 1)), [0.0, 1.0, 1.0, 4.0, 7.0], [0, 4, 4, 5])
    np.testing.assert_array_equal(with_gaps(Z).values[:, 1], [nan, 0.0, nan, np.log(3), nan])

    rng = np.random.default_rng(0)
    y, lengths = np.arange(80) % 2, rng.integers(2, 9, 80)
    values = np.repeat(y, lengths)[:, None] * 5.0 + rng.normal(size=(lengths.sum(), 2))
    values[rng.random(values.shape) < 0.5] = nan
    times = np.concatenate([np.sort(rng.random(n)) for n in lengths])
    np.savez(tmp_path / "Traj_GoTrack.npz", values=values, times=times, offsets=np.r_[0, lengths.cumsum()], y=y)
    only = "--only", "set Traj_GoTrack", "--data", str(tmp_path), "--checkpoints", "elsewhere"
    finish(start(PAPER / "irregular.py", tmp_path, "--quick", *only))
    rows = table(tmp_path / "elsewhere" / "irregular_quick.csv")
    assert len(rows) == 8
    assert float(rows[0]["score"]) > 80


CELLS = (
    "lstm",
    "gru",
    "mgu",
    "exprnn",
    "lmu",
    "gru-d",
    "ode-rnn",
    "neural cde",
    "plain lstm",
    "lstm, forgetful",
    "lstm, of values",
    "lstm, chrono",
)


def needs(cell):
    for library in {"ode-rnn": ("torchdiffeq",), "neural cde": ("torchcde",)}.get(cell, ()):
        pytest.importorskip(library)


@pytest.mark.parametrize("cell", CELLS)
def test_networks_beside_them(monkeypatch, cell):
    needs(cell)
    monkeypatch.syspath_prepend(str(PAPER))
    from baselines import CELLS as ALL
    from baselines import BaselineClassifier

    assert tuple(ALL) == CELLS
    X = Panel.from_list(
        [[0.0, 1.0, 2.0], [0.0, np.nan, 1.0], [2.0, 1.0, 0.0, -1.0], ([0.0, 2.5], [1.0, 0.0]), [1.0]] * 8
    )
    y = [True, True, False, False, True] * 8
    classifier = BaselineClassifier(cell, 16, max_epochs=30, batch_size=8, random_state=0).fit(X, y)
    assert classifier.score(X, y) == 1
    probabilities = classifier.predict_proba(X)
    alone = [classifier.predict_proba(X[i : i + 1])[0] for i in range(5)]
    assert np.allclose(probabilities[:5], alone, rtol=0, atol=1e-12)  # padding is seen by nobody
    online = classifier.predict_proba_online(X)
    assert np.allclose(online.values[online.offsets[1:] - 1], probabilities, rtol=0, atol=1e-12)
    X = Panel.from_list([[0.0, 1.0], [0.0, 1.0, np.nan, 7.0]])  # nor is what comes later
    online = classifier.predict_proba_online(X)
    assert np.allclose(online.values[:2], online.values[2:4], rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:The training ended:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cell", CELLS)
def test_all_of_their_weights_are_trained(monkeypatch, cell):
    needs(cell)
    monkeypatch.syspath_prepend(str(PAPER))
    from baselines import BaselineClassifier

    rng = np.random.default_rng(0)
    values = rng.normal(size=(160, 3))
    values[rng.random(values.shape) < 0.4] = np.nan
    X, y = Panel(values, None, 8 * np.arange(21)), np.arange(20) % 2
    begun, trained = (
        BaselineClassifier(cell, 8, max_epochs=n, lr=lr, schedule="constant", random_state=0).fit(X, y).net_.module_
        for n, lr in ((1, 1e-12), (3, 0.01))
    )
    for (name, weight), before in zip(trained.named_parameters(), begun.parameters(), strict=True):
        assert abs(weight - before).max() > 1e-6, name


@pytest.mark.filterwarnings("ignore:The training ended:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cell", CELLS)
def test_their_trainings_go_on(monkeypatch, tmp_path, cell):
    needs(cell)
    monkeypatch.syspath_prepend(str(PAPER))
    from baselines import BaselineRegressor

    slopes = np.linspace(-1, 1, 20)
    X = Panel.from_list([k * np.arange(3.0 + i % 2) for i, k in enumerate(slopes)])
    training = {"cell": cell, "hidden_size": 4, "schedule": "constant", "random_state": 0}
    whole = BaselineRegressor(max_epochs=4, **training).fit(X, slopes)
    BaselineRegressor(max_epochs=2, checkpoint=tmp_path / "file", **training).fit(X, slopes)
    resumed = BaselineRegressor(max_epochs=4, checkpoint=tmp_path / "file", **training).fit(X, slopes)
    assert resumed.n_iter_ == 4
    assert np.array_equal(resumed.predict(X), whole.predict(X))


def test_tables_of_the_page(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(PAPER))
    import page

    def write(name, table, **how):
        table.to_csv(tmp_path / f"{name}.csv", lineterminator="\n", **how)

    monkeypatch.setattr(page, "write", write)
    page.main()
    assert len(list(tmp_path.iterdir())) == 9
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (PAPER.parent / "results" / path.name).read_bytes(), "python examples/paper/page.py"


def test_a_page_of_nothing(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(PAPER))
    import page

    monkeypatch.setattr(page, "RESULTS", tmp_path)
    page.main()
    assert len(list(tmp_path.iterdir())) == 9
    assert {row["verdict"] for row in table(tmp_path / "paper_verdicts.csv")} == {"not run"}
    table(tmp_path / "pixels_table.csv")


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_a_page_of_some_rows(monkeypatch, tmp_path, share):
    monkeypatch.syspath_prepend(str(PAPER))
    import page
    from runner import read

    rng = np.random.default_rng(0)
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    for _ in range(3):
        for name in page.SCRIPTS:
            rows = read(PAPER.parent / "results" / f"{name}.csv")
            rows[rng.random(len(rows)) < share].to_csv(tmp_path / f"{name}.csv", index=False)
        page.main()
        told = {row["claim"] for row in table(tmp_path / "paper_verdicts.csv")}
        assert {claim.split(",")[0] for claim in told} >= set(page.PUBLISHED_DIGITS)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [([], "--data"), (["--data", "no"], "give --data the folder where it is"), (["--seeds", "0"], "at least 1")],
)
def test_what_is_asked_of_the_command_line(monkeypatch, tmp_path, capsys, given, wanted):
    monkeypatch.syspath_prepend(str(PAPER))
    from runner import arguments

    monkeypatch.setattr(sys, "argv", ["script", *given])
    own = {} if "--seeds" in given else {"data": "where it is", "file": "MNIST.npz"}
    with pytest.raises(SystemExit):
        arguments("", **own)
    assert wanted in capsys.readouterr().err


def test_sequences_and_what_is_to_be_told(monkeypatch):
    monkeypatch.syspath_prepend(str(PAPER))
    from sequences import adding, copying, mackey_glass

    X, y = adding(50, np.random.default_rng(0))
    for (_, values), total in zip(X, y, strict=True):
        first, second = np.flatnonzero(values[:, 1])
        assert first < 100 <= second
        assert np.isclose(values[first, 0] + values[second, 0], total)
    X, y = copying(50, np.random.default_rng(0))
    symbols = X.values.reshape(50, 110, 9)
    assert np.array_equal(symbols[:, :10, :8].reshape(50, 80), y)
    assert np.array_equal(symbols[:, 10:], np.broadcast_to(np.eye(9)[8], (50, 100, 9)))
    X, y = mackey_glass(20, np.random.default_rng(0))
    x = X.values.reshape(20, 200)
    slope = (x[:, 19:] - x[:, 17:-2]) / 2  # at 18 to 198
    late = x[:, 1:-18]
    wanted = 0.2 * late / (1 + late**10) - 0.1 * x[:, 18:-1]
    assert np.abs(slope - wanted).max() < 0.02  # both are small, but for the curvature within two steps
    assert np.corrcoef(x[:, :185].ravel(), x[:, 15:].ravel())[0, 1] < 0.5
    assert 0.2 < x.std() < 0.3


def test_values_of_expressions(monkeypatch):
    monkeypatch.syspath_prepend(str(PAPER))
    from listops import TOKENS, listops

    X, y = listops(200, 1)
    assert X.lengths.min() >= 50
    assert X.lengths.max() <= 200
    assert np.array_equal(X.values.sum(axis=1), np.ones(len(X.values)))
    functions = {"[MAX": np.max, "[MIN": np.min, "[MED": np.median, "[SM": lambda x: np.sum(x) % 10}
    for (_, values), wanted in zip(X, y, strict=True):
        stack = []
        for token in (TOKENS[k] for k in values.argmax(axis=1)):
            if token != "]":
                stack.append(int(token) if token.isdigit() else token)
                continue
            opened = max(k for k, entry in enumerate(stack) if isinstance(entry, str))
            assert 2 <= len(stack) - opened - 1 <= 5
            stack[opened:] = [int(functions[stack[opened]](stack[opened + 1 :]))]
        assert stack == [wanted]


def test_settings_for_others():
    from sklearn_hippo import HiPPOSSMClassifier

    settings = tomllib.loads((PAPER / "long_range_arena.toml").read_text())
    common = settings.pop("common")
    for task in settings.values():
        HiPPOSSMClassifier(**common, **task["estimator"])._validate_params()
