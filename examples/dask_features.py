"""A cluster: dask brings the rows of every series together, its workers make features of them.

The long table is read from Parquet in pieces that split series arbitrarily. ``shuffle`` on the id is what makes
``map_partitions`` right: without it, a series that lies in two partitions would become two. dask repeats what a worker
that died had not handed on. The result is compared with a single pass in memory.

Run it with ``python examples/dask_features.py`` (add ``--kill`` to kill a worker half-way).
"""

import argparse
import os
import signal
import tempfile
import time
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
from dask.distributed import Client, LocalCluster, wait

from sklearn_hippo import HiPPOTransformer, Panel


def write_log(folder, n_files, n_series, n_rows):
    """Make files of a log: every file has rows of every series."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(n_files):
        who = rng.integers(0, n_series, n_rows)
        times = i + np.sort(rng.uniform(size=n_rows))
        frame = pd.DataFrame({"sensor": who, "time": times, "value": np.sin(times + who) + rng.normal(size=n_rows)})
        frame.to_parquet(folder / f"{i:03d}.parquet")


def features(frame, transformer):
    """Features of all series of a partition, with their ids as the index."""
    names = transformer.get_feature_names_out()
    if frame.empty:  # more partitions than series
        return pd.DataFrame(columns=names, index=pd.Index([], dtype=frame["sensor"].dtype, name="sensor"), dtype=float)
    panel = Panel.from_long(frame, id="sensor", time="time", values="value")
    index = pd.Index(frame["sensor"].unique(), name="sensor")  # the order of the panel
    return pd.DataFrame(transformer.transform(panel), columns=names, index=index)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--series", type=int, default=5_000)
    parser.add_argument("--rows", type=float, default=2e5, help="in each file")
    parser.add_argument("--kill", action="store_true", help="kill a worker when some partitions are done")
    arguments = parser.parse_args()
    transformer = HiPPOTransformer("legs", order=16).fit(Panel([0.0]))
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        log = Path(folder) / "log"
        write_log(log, arguments.files, arguments.series, int(arguments.rows))
        begin = time.perf_counter()
        table = dd.read_parquet(log).shuffle("sensor")
        meta = features(table._meta, transformer)
        parts = table.map_partitions(features, transformer, meta=meta).persist()
        if arguments.kill:
            while not any(future.done() for future in client.futures_of(parts)):
                time.sleep(0.01)
            victim = next(iter(client.run(os.getpid).values()))
            os.kill(victim, signal.SIGKILL)
            print(f"killed worker process {victim}")
        wait(parts)
        found = parts.compute().sort_index()
        seconds = time.perf_counter() - begin
        expected = features(pd.read_parquet(log), transformer).sort_index()
    print(f"features of {len(found):,} series from {arguments.files} files, two workers: {seconds:.1f} s")
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    print("equal to a single pass in memory, to the last bit")


if __name__ == "__main__":
    main()
