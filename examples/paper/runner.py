"""Runs the trials of an experiment one after the other; what was interrupted, at whatever point, goes on.

    options = arguments(__doc__)
    results = run("name", trials(options), measure, options)

A trial is a dict of all that tells it apart; ``measure(trial, checkpoint)`` returns a dict of its results, and may
leave in the file ``checkpoint`` what it would go on from. A trial's row is written into examples/results/name.csv, all
or nothing; trials that have a row are not run again. Processes that are started with the same folder of checkpoints
share the work. With ``--quick``, all of this happens in that folder, and the trials are expected to be small.
"""

import argparse
import os
import platform
import signal
import time
from pathlib import Path

import joblib
import pandas as pd
import torch
from filelock import FileLock, Timeout  # which PyTorch needs
from rich.console import Console
from rich.table import Table

import sklearn_hippo

RESULTS = Path(__file__).parents[1] / "results"
HERE = {"torch": torch.__version__, "sklearn_hippo": sklearn_hippo.__version__}
HERE |= {"machine": f"{platform.system()} {platform.machine()}"}
CONDITIONS = ("minutes", "threads", *HERE)  # columns that every row has


def arguments(documentation, *, seeds=3, data=None, file=None):
    """Options of the command line; ``data`` tells which files are needed, if any, and ``file`` the one that must be."""
    parser = argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--quick", action="store_true", help="small trials, whose rows go into the folder of --checkpoints"
    )
    parser.add_argument("--seeds", type=int, default=seeds, help="of every trial; default %(default)s")
    parser.add_argument("--threads", type=int, default=1, help="default %(default)s")
    parser.add_argument("--only", metavar="TEXT", default="", help="trials whose description has this in it")
    parser.add_argument("--checkpoints", metavar="FOLDER", type=Path, default=Path("checkpoints"),
                        help="where trials leave what they would go on from; default %(default)s")  # fmt: skip
    parser.set_defaults(data=None)
    if data is not None:
        parser.add_argument("--data", metavar="FOLDER", type=Path, required=file is not None, help=data)
    options = parser.parse_args()
    if file is not None and not (options.data / file).exists():
        parser.error(f"there is no {options.data / file}: give --data the folder {data}")
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {options.seeds}")
    return options


def run(name, trials, measure, options):
    """Run the trials that have no row yet, print a table, and return the rows of all of them."""
    # Ctrl-C ends a run as a kill does: a fit would end, and leave a model of fewer epochs, which is no result.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # gradients that vanish along a thousand steps would take five times as long
    options.checkpoints.mkdir(parents=True, exist_ok=True)
    path = options.checkpoints / f"{name}_quick.csv" if options.quick else RESULTS / f"{name}.csv"
    trials = [trial for trial in trials if options.only in describe(trial)]
    if not trials:
        raise SystemExit(f"No trial has {options.only!r} in its description.")
    console, failed = Console(width=150), []
    for k, trial in enumerate(trials):
        stem = options.checkpoints / f"{name}-{'quick-' * options.quick}{joblib.hash(trial)}"
        try:
            with FileLock(f"{stem}.lock", timeout=0):
                checkpoint = Path(f"{stem}.checkpoint")
                if not rows_of([trial], read(path)).any():
                    console.print(f"{k + 1} of {len(trials)}: {describe(trial)}", highlight=False)
                    begin = time.perf_counter()
                    results = measure(trial, checkpoint)
                    # Of a training that was interrupted, the results themselves tell how long all of it took.
                    row = {**trial, "minutes": round((time.perf_counter() - begin) / 60, 2), **results}
                    row |= {"threads": options.threads, **HERE}
                    with FileLock(options.checkpoints / f"{name}.lock"):
                        append(row, path)
                checkpoint.unlink(missing_ok=True)
            Path(f"{stem}.lock").unlink(missing_ok=True)
        except Timeout:
            console.print(f"{k + 1} of {len(trials)}: another process has it", highlight=False)
        except Exception as error:  # the others need not wait for it
            console.print_exception()
            failed.append(error)
    results = read(path)
    results = results[rows_of(trials, results)]
    keys = list(dict.fromkeys(key for trial in trials for key in trial))
    results = results.apply(lambda column: column if column.name in keys else numbers(column))
    for table in tables(name, keys, results):
        console.print(table)
    if failed:
        raise ExceptionGroup(f"{len(failed)} trials failed", failed)
    return results


def train(model, X, y, checkpoint, *, early_stopping=False):
    """Fit an estimator of the package, and return the minutes of all of its epochs."""
    model.set_params(checkpoint=checkpoint, verbose=1, early_stopping=early_stopping).fit(X, y)
    return round(sum(model.net_.history[:, "dur"]) / 60, 3)


def describe(trial):
    """A trial in words."""
    return ", ".join(f"{key} {value}" for key, value in trial.items())


def read(path):
    """Rows of a file, as text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else pd.DataFrame()


def numbers(column):
    """The column, as numbers if that is what it has."""
    try:
        return pd.to_numeric(column.replace("", None))
    except ValueError:
        return column


def rows_of(trials, rows):
    """Which rows are those of the trials."""
    wanted = [{key: str(value) for key, value in trial.items()}.items() for trial in trials]
    return pd.Series([any(one <= row.items() for one in wanted) for row in rows.to_dict("records")], rows.index, bool)


def append(row, path):
    """Write the file anew with one more row, whose columns may be others: conditions come last."""
    rows = pd.concat([read(path), pd.DataFrame([row]).astype(str)]).fillna("")
    rows = rows[[*rows.columns.difference(CONDITIONS, sort=False), *rows.columns.intersection(CONDITIONS)]]
    partial = path.with_name(f"{path.name}.partial")
    rows.to_csv(partial, index=False, lineterminator="\n")
    os.replace(partial, path)


def tables(name, keys, results):
    """Means and standard deviations over the seeds, for each of what trials are told apart by first."""
    if results.empty:
        return
    for _, part in results.groupby(keys[0], sort=False):
        part = part.dropna(axis=1, how="all")
        own = [key for key in keys if key != "seed" and (key in keys[:2] or part[key].nunique() > 1)]
        columns = [column for column in part if column == "minutes" or column not in (*keys, *CONDITIONS)]
        table = Table(*own, *columns, "seeds", title=f"{name}: mean and standard deviation over seeds")
        for key, seeds in part.groupby(own, sort=False):
            cells = [f"{seeds[c].mean():{',.0f' if seeds[c].mean() >= 1000 else '.4g'}}" for c in columns]
            if len(seeds) > 1:
                cells = [f"{cell} ± {seeds[c].std():.2g}" for cell, c in zip(cells, columns, strict=True)]
            table.add_row(*key, *cells, str(len(seeds)))
        yield table
