"""Larger than memory: a long Parquet file of 10^8 rows becomes a table of features, in bounded memory.

The file is a log: rows in the order of time, the series interleaved, as sensors report. Polars streams it into buckets
by the hash of the id, so that a bucket has all rows of its series; one bucket at a time is read, transformed and
written. A run that was interrupted goes on with the buckets that are missing; with another transformer or log, it
begins anew. In the end some series are computed again from the whole log and compared.

Run it with ``python examples/parquet_features.py folder`` (``--rows 1e6`` for a small one).
"""

import argparse
import resource
import shutil
import time
from pathlib import Path

import joblib
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import track

from sklearn_hippo import HiPPOTransformer, Panel


def write_log(path, n_rows, n_series, rows_at_once=2_000_000):
    """Make a log of random walks that are observed at random times."""
    rng = np.random.default_rng(0)
    level = np.zeros(n_series, np.float32)
    schema = pa.schema([("sensor", pa.string()), ("time", pa.timestamp("ms", tz="UTC")), ("value", pa.float32())])
    names = pa.array([f"sensor-{i:06d}" for i in range(n_series)])
    clock = 1_700_000_000_000
    with pq.ParquetWriter(path, schema, use_dictionary=["sensor"]) as writer:
        for start in track(range(0, n_rows, rows_at_once), description="writing a log"):
            n = min(rows_at_once, n_rows - start)
            who = rng.integers(0, n_series, n)
            times = clock + np.cumsum(rng.integers(0, 20, n))
            clock = times[-1]
            level += rng.normal(size=n_series).astype(np.float32)
            value = level[who] + rng.normal(size=n).astype(np.float32)
            columns = [names.take(pa.array(who)), pa.array(times, pa.timestamp("ms", tz="UTC")), pa.array(value)]
            writer.write_table(pa.table(columns, schema=schema))


def features(table, transformer):
    """Features of all series of a long table that fits into memory, with their ids."""
    panel = Panel.from_long(table, id="sensor", time="time", values="value")
    ids = table["sensor"].unique(maintain_order=True)  # the order of the panel
    names = transformer.get_feature_names_out()
    return pl.DataFrame(transformer.transform(panel), schema=list(names)).insert_column(0, ids)


def transform_log(log, target, transformer, n_buckets):
    """Write the features of all series of a log of any size, a bucket at a time."""
    folder = target.with_suffix(".work")
    parts, marker = folder / "parts", folder / "job"
    job = joblib.hash((transformer, n_buckets, log.stat().st_size, log.stat().st_mtime_ns))
    if not marker.exists() or marker.read_text() != job:  # the marker is written last, and removed first
        shutil.rmtree(folder, ignore_errors=True)
        rows = pl.scan_parquet(log).with_columns(bucket=pl.col("sensor").hash() % n_buckets)
        rows.sink_parquet(pl.PartitionBy(folder / "buckets", key="bucket", include_key=False), mkdir=True)
        parts.mkdir()
        marker.write_text(job)
    for bucket in track(sorted((folder / "buckets").iterdir()), description="transforming"):
        part = parts / f"{bucket.name}.parquet"
        if not part.exists():
            write(pl.scan_parquet(bucket / "*.parquet").collect().pipe(features, transformer).lazy(), part)
    write(pl.scan_parquet(parts / "*.parquet"), target)
    marker.unlink()
    shutil.rmtree(folder)


def write(frame, path):
    """Write a file, all or nothing."""
    unfinished = path.with_suffix(".unfinished")
    frame.sink_parquet(unfinished)
    unfinished.replace(path)


def check(log, target, transformer, sample):
    """Compute a few series again, from the rows that the whole log has of them, and compare."""
    rows = pl.scan_parquet(log).filter(pl.col("sensor").is_in(sample)).collect(engine="streaming")
    expected = features(rows, transformer).sort("sensor")
    found = pl.scan_parquet(target).filter(pl.col("sensor").is_in(sample)).collect().sort("sensor")
    assert len(found) == len(sample)
    assert expected.equals(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=float, default=1e8)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--buckets", type=int, default=64)
    arguments = parser.parse_args()
    arguments.folder.mkdir(exist_ok=True)
    log, target = arguments.folder / "log.parquet", arguments.folder / "features.parquet"
    if not log.exists():
        unfinished = log.with_suffix(".unfinished")
        write_log(unfinished, int(arguments.rows), arguments.series)
        unfinished.rename(log)
    print(f"{pq.read_metadata(log).num_rows:,} rows, {log.stat().st_size / 2**20:,.0f} MiB on disk")
    # LegS learns nothing from data but the number of channels. For a sliding or fading measure, choose the timescale.
    transformer = HiPPOTransformer("legs", order=16, n_jobs=2).fit(Panel([0.0]))
    begin = time.perf_counter()
    transform_log(log, target, transformer, arguments.buckets)
    seconds = time.perf_counter() - begin
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    n_series = pl.scan_parquet(target).select(pl.len()).collect().item()
    print(f"features of {n_series:,} series: {seconds:.0f} s, {resident:,.0f} MiB resident at most")
    sample = [f"sensor-{i:06d}" for i in np.random.default_rng(1).choice(arguments.series, 20, replace=False)]
    check(log, target, transformer, sample)
    print(f"{len(sample)} series, computed again from the whole log: equal to the last bit")


if __name__ == "__main__":
    main()
