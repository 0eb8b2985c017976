"""Features of a stream that survive ``kill -9``: a consumer is killed half-way, goes on, and ends at the same bits.

Events of many ids are read from a log, and a ``MemoryBank`` keeps their features. Every so often the bank is saved,
under a name that tells up to where it has read. The file is there as a whole or not at all, so state and place cannot
disagree: after a restart no event is lost, and none is counted twice. Here the log is a CSV file, and a place in it a
number of bytes; with Kafka it would be the offset of a partition, with a bank for each of them.

Run it with ``python examples/stream_recovery.py`` (needs pyarrow; ``--kills 3`` kills it three times).
"""

import argparse
import io
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
from pyarrow import csv

from sklearn_hippo import HiPPOTransformer, MemoryBank, Panel

COLUMNS = {"id": "machine", "time": "hour", "values": ["heat", "load"]}
BATCH = 100_000  # bytes
EVERY = 5  # batches


def write_log(path, n_events, n_ids, rng):
    """Events in the order of time, a load being known of two thirds of them."""
    events = np.column_stack([rng.integers(0, n_ids, n_events), np.sort(rng.uniform(0, 500, n_events)),
                              rng.normal(size=(n_events, 2))])  # fmt: skip
    events[rng.uniform(size=n_events) < 1 / 3, 3] = np.nan
    np.savetxt(path, events, ["%d", "%.6f", "%.6f", "%.6f"], delimiter=",")


def read(file, size):
    """The next whole lines of a log as a table, or None; a line that is being written is left for the next time."""
    block = file.read(size)
    end = block.rfind(b"\n") + 1
    file.seek(end - len(block), io.SEEK_CUR)
    names = [COLUMNS["id"], COLUMNS["time"], *COLUMNS["values"]]
    return csv.read_csv(io.BytesIO(block[:end]), csv.ReadOptions(column_names=names)) if end else None


def latest(states):
    """The last state that was saved, and its place in the log."""
    saved = max(states.glob("*.arrow"), default=None)
    return saved, int(saved.stem) if saved else 0


def consume(log, states, transformer):
    """Read the log from where the last state was saved to its end."""
    for part in states.glob(".*"):  # of a state that was being saved
        part.unlink()
    saved, place = latest(states)
    bank = MemoryBank.load(saved, transformer) if saved else MemoryBank(transformer)
    print(f"goes on at byte {place:,} with {len(bank)} ids", flush=True)
    with open(log, "rb") as file:
        file.seek(place)
        more = True
        while more:
            for _ in range(EVERY):
                events = read(file, BATCH)
                more = events is not None
                if more:
                    bank.update(events, **COLUMNS)
            bank.save(states / f"{file.tell():020d}.arrow")
            for old in sorted(states.glob("*.arrow"))[:-1]:
                old.unlink()


def consume_killed(log, states, kills):
    """Consume a log in another process, which is killed so many times on its way."""
    command = [sys.executable, __file__, "--consume", str(log), str(states)]
    for kill in range(kills):
        process = subprocess.Popen(command)
        while latest(states)[1] < (kill + 1) / (kills + 1) * log.stat().st_size:
            assert process.poll() is None, "the consumer ended by itself"
            time.sleep(0.001)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        print(f"killed, the last state was saved at byte {latest(states)[1]:,}", flush=True)
    subprocess.run(command, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=float, default=1e6)
    parser.add_argument("--ids", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--consume", nargs=2, metavar=("LOG", "STATES"), type=Path, help="be the consumer")
    arguments = parser.parse_args()
    if arguments.consume:
        log, states = arguments.consume
        consume(log, states, joblib.load(log.with_suffix(".joblib")))
        return
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log.csv"
        write_log(log, int(arguments.events), arguments.ids, np.random.default_rng(0))
        table = csv.read_csv(log, csv.ReadOptions(column_names=["machine", "hour", "heat", "load"]))
        panel = Panel.from_long(table, **COLUMNS)
        transformer = HiPPOTransformer("lagt", order=8, timescale=100.0).fit(panel)
        joblib.dump(transformer, log.with_suffix(".joblib"))
        folders = Path(name) / "killed", Path(name) / "whole"
        for folder in folders:
            folder.mkdir()
        consume_killed(log, folders[0], arguments.kills)
        consume(log, folders[1], transformer)
        killed, whole = (MemoryBank.load(latest(folder)[0], transformer) for folder in folders)
        same = killed.ids == whole.ids and (killed.transform() == whole.transform()).all()
        error = np.abs(killed.transform(panel.ids) - transformer.transform(panel)).max()
    print(f"{killed.n_observations.sum():,} events of {len(killed)} ids, none lost, none counted twice")
    print(f"to the same bits as without kills: {same}; largest difference from the transformer's features: {error:.1e}")
    assert killed.n_observations.sum() == int(arguments.events)
    assert same
    assert error < 1e-9


if __name__ == "__main__":
    main()
