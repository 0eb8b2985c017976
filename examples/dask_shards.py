"""One very long series on a cluster: 10^8 samples in 16 shards, remembered by two worker processes and merged.

Memories of successive stretches merge exactly, so a series can be split over time. dask does all that a cluster needs:
it runs the shards, merges them in a tree as they finish, and repeats what a worker that died had not handed on. Every
worker holds one chunk of a shard at a time. The result is compared with a single pass over the whole series.

Run it with ``python examples/dask_shards.py`` (add ``--kill`` to kill a worker half-way).
"""

import argparse
import os
import resource
import signal
import time
from itertools import pairwise

import numpy as np
from dask import delayed
from dask.distributed import Client, LocalCluster, as_completed, progress

from sklearn_hippo import HiPPOMemory

ORDER = 64


def read(start, stop, step=1_000_000):
    """Chunks of the series between two positions, as they would come from a memory map or from row groups of a file."""
    for begin in range(start, stop, step):
        t = np.arange(begin, min(begin + step, stop), dtype=np.float64)
        yield t, np.sin(t / 3e6) + np.cos(t / 7e5) / 2 + np.sin(t * 1.7) / 10


def remember(start, stop):
    """One shard's memory."""
    return HiPPOMemory.from_chunks(read(start, stop), order=ORDER)


def merge_tree(shards):
    """Merge neighbours, and neighbours of neighbours: the order of time is kept."""
    while len(shards) > 1:
        pairs = [shards[i : i + 2] for i in range(0, len(shards), 2)]
        shards = [delayed(HiPPOMemory.merge)(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return shards[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=float, default=1e8)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--kill", action="store_true", help="kill a worker after a few shards")
    arguments = parser.parse_args()
    edges = np.linspace(0, int(arguments.samples), arguments.shards + 1).astype(int).tolist()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        begin = time.perf_counter()
        shards = [delayed(remember)(start, stop) for start, stop in pairwise(edges)]
        futures = client.compute(shards)
        whole = client.compute(merge_tree([delayed(future) for future in futures]))
        if arguments.kill:
            done = as_completed(futures)
            for _ in range(max(1, arguments.shards // 4)):
                next(done)
            victim = next(iter(client.run(os.getpid).values()))
            os.kill(victim, signal.SIGKILL)
            print(f"killed worker process {victim}")
        else:
            progress(whole, notebook=False)
        merged = whole.result()
        seconds = time.perf_counter() - begin
    print(f"\n{merged.n_observations_:,} samples in {arguments.shards} shards, two workers: {seconds:.1f} s")
    begin = time.perf_counter()
    single = remember(0, int(arguments.samples))
    print(f"single pass: {time.perf_counter() - begin:.1f} s, "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB resident at most")  # fmt: skip
    error = np.abs(merged.coefficients_ - single.coefficients_).max() / np.abs(single.coefficients_).max()
    print(f"largest difference, relative to the largest coefficient: {error:.1e}")
    assert error < 1e-9


if __name__ == "__main__":
    main()
