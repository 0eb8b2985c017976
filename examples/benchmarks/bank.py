"""Speed and size of MemoryBank, beside what one would do without it: a HiPPOMemory for every id.

Double precision, measure legs, order 16. Medians; threads as said. What a bank of a million ids holds is measured in a
process of its own.
"""

import os

for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import RESULTS, medians, report

from sklearn_hippo import HiPPOMemory, HiPPOTransformer, MemoryBank, Panel

ORDER = 16
N_BATCH, N_IDS = 100_000, 10_000
MILLION = 1_000_000


def transformer(n_channels, measure="legs"):
    names = [f"x{c}" for c in range(n_channels)]
    timescale = None if measure == "legs" else 1.0
    return HiPPOTransformer(measure, ORDER, timescale=timescale).fit(
        Panel(np.ones((2, n_channels)), [0.0, 1.0], channel_names=names)
    )


def batches(n_batches, n, n_ids, n_channels, rng):
    """Batches of events in the order of time, of ids at random."""
    for k in range(n_batches):
        yield {
            "id": rng.integers(0, n_ids, n),
            "time": k + np.sort(rng.uniform(size=n)),
            **{f"x{c}": rng.normal(size=n) for c in range(n_channels)},
        }


def columns(n_channels):
    return {"id": "id", "time": "time", "values": [f"x{c}" for c in range(n_channels)]}


def memories(events):
    """One memory for every id: the loop that the bank replaces."""
    found = {}
    for item, when, *values in zip(*(column.tolist() for column in events.values()), strict=True):
        if item not in found:
            found[item] = HiPPOMemory(order=ORDER, n_channels=len(values))
        found[item].update([values], [when])


def throughput(table):
    rng = np.random.default_rng(0)
    few = {name: column[:2000] for name, column in next(batches(1, 2000, 200, 3, rng)).items()}
    loop = medians(lambda: memories(few), repeats=3)[0] / 2000
    for measure in ("legs", "legs_lti", "lagt"):
        for n_threads in (1, 2):
            bank, seconds = MemoryBank(transformer(3, measure), n_jobs=n_threads), []
            for events in batches(20, N_BATCH, N_IDS, 3, rng):
                begin = time.perf_counter()
                bank.update(events, **columns(3))
                seconds.append(time.perf_counter() - begin)
            each = np.median(seconds[1:]) / N_BATCH  # the first makes the ids
            table.add_row(
                f"{measure}, 3 channels, {N_IDS:,} ids, batches of {N_BATCH:,}, threads: {n_threads}",
                f"{1e-6 / each:.2f} M events/s",
                f"a HiPPOMemory an id: {1e-3 / loop:.0f} k events/s",
                f"{loop / each:.0f} x faster",
            )


def single_events(table):
    """One event at a time, entries into the states included, and the features of one id."""
    rng = np.random.default_rng(0)
    bank, n = MemoryBank(transformer(3)), 50_000
    events = next(batches(1, N_BATCH, N_IDS, 3, rng))
    bank.update(events, **columns(3))
    later = [
        dict(zip(events, row, strict=True)) for row in zip(*(c[:n].tolist() for c in events.values()), strict=True)
    ]
    keys, memory = columns(3), HiPPOMemory(order=ORDER, n_channels=3)

    def ours():
        for event in later:
            event["time"] += 1.0
            bank.update(event, **keys)

    def theirs():
        for _ in range(2000):
            memory.update([[1.0, 2.0, 3.0]], [float(memory.n_observations_)])

    each, other = medians(ours, theirs, repeats=3)
    each, other = each / n, other / 2000
    table.add_row(
        "one event of three channels", f"{1e6 * each:.1f} us", f"one HiPPOMemory: {1e6 * other:.0f} us",
        f"{other / each:.1f} x faster",
    )  # fmt: skip
    read = medians(lambda: [bank.transform([k]) for k in range(100)], repeats=5)[0] / 100
    table.add_row("features of one id", f"{1e6 * read:.0f} us", "", "")
    read = medians(bank.transform, repeats=5)[0]
    table.add_row(f"features of {N_IDS:,} ids, 3 channels", f"{1e3 * read:.0f} ms", "", "")


def resident():
    """Bytes of memory in use."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def a_million():
    """What a bank of a million ids needs; printed, for the process that asks."""
    rng = np.random.default_rng(0)
    bank, keys = MemoryBank(transformer(1)), columns(1)
    bank.update({"id": [-1], "time": [0.0], "x0": [0.0]}, **keys)
    before = resident()
    for part in range(0, MILLION, N_BATCH):
        for k in range(2):
            ids = np.arange(part, part + N_BATCH)
            bank.update({"id": ids, "time": k + rng.uniform(size=N_BATCH), "x0": rng.normal(size=N_BATCH)}, **keys)
    used = (resident() - before) / MILLION - 8 * ORDER
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank.arrow"
        begin = time.perf_counter()
        bank.save(path)
        saved = time.perf_counter()
        again = MemoryBank.load(path)
        loaded = time.perf_counter()
        size = path.stat().st_size
    begin_read = time.perf_counter()
    again.transform()
    print(used, saved - begin, loaded - saved, size / MILLION, time.perf_counter() - begin_read)


def million_ids(table):
    command = [sys.executable, __file__, "a million"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used, save, load, size, read = map(float, found.split())
    row = f"{MILLION:,} ids, one channel"
    table.add_row(f"{row}: memory beside the coefficients", f"{used:.0f} bytes an id", f"coefficients: {8 * ORDER}", "")
    table.add_row(f"{row}: save, load", f"{save:.1f} s, {load:.1f} s", f"{size:.0f} bytes an id", "")
    table.add_row(f"{row}: features of all", f"{read:.1f} s", "", "")


if __name__ == "__main__":
    if sys.argv[1:] == ["a million"]:
        a_million()
    else:
        report(throughput, single_events, million_ids, path=RESULTS / "bank_speed.csv")
