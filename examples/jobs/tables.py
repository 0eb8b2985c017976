"""Tables as people have them, for the three jobs of this folder: made up, and written as CSV."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

DAY = pd.Timestamp("2026-03-28", tz="UTC")


def icu(folder: Path, n: int, seed: int) -> None:
    """Stays with an age, and a tall log of vital signs; lactate is measured in few of them, and nothing in one."""
    rng = np.random.default_rng(seed)
    died = rng.uniform(size=n) < 0.3
    age = np.round(60 + 8 * died + 15 * rng.normal(size=n))
    stays = pd.DataFrame({"age": np.where(rng.uniform(size=n) < 0.05, np.nan, age), "died": died.astype(int)})
    stays.insert(0, "stay", [f"S{seed}{i:04d}" for i in rng.permutation(n)])
    log = []
    for stay, _, dies in stays.itertuples(index=False):
        for kind, level, drift, spread, chance, each in (
            ("pulse", 80, 15, 10, 1.0, 12), ("pressure", 120, -12, 10, 0.95, 9), ("lactate", 1.5, 1.5, 0.7, 0.3, 2),
        ):  # fmt: skip
            if stay.endswith("0000") or rng.uniform() > chance:
                continue
            hours = np.sort(rng.uniform(0, 48, 1 + rng.poisson(each)))
            values = level + (drift * hours / 48 if dies else 0) + spread * (rng.normal() + rng.normal(size=len(hours)))
            when = DAY + pd.to_timedelta(hours, unit="h").round("min")
            log.append(pd.DataFrame({"stay": stay, "time": when, "kind": kind, "value": values.round(1)}))
    stays.to_csv(folder / f"stays_{seed}.csv", index=False)
    pd.concat(log).sort_values("time").to_csv(folder / f"vitals_{seed}.csv", index=False)


def sensors(folder: Path, n: int, seed: int) -> None:
    """Machines of two sites, in the local times of a night in which clocks change; some rows were sent twice."""
    rng = np.random.default_rng(seed)
    rows, labels = [], []
    for i in range(n):
        site, faulty = ("Lyon", "Porto")[i % 2], rng.uniform() < 0.5
        zone = {"Lyon": "Europe/Paris", "Porto": "Europe/Lisbon"}[site]
        hours = np.sort(rng.uniform(18, 33, rng.integers(40, 120)))
        beat = np.sin(2 * np.pi * hours / (3.0 if faulty else 5.0) + rng.uniform(0, 6))
        sent = pd.DataFrame(
            {"site": site, "machine": i // 2, "vibration": (beat + 0.3 * rng.normal(size=len(hours))).round(3)}
        )
        times = (DAY + pd.to_timedelta(hours, unit="h").round("s")).tz_convert(zone)
        sent["time"] = [one.isoformat() for one in times]
        rows.append(pd.concat([sent, sent.sample(frac=0.1, random_state=seed)]))
        labels.append((site, i // 2, "faulty" if faulty else "sound"))
    pd.concat(rows).sample(frac=1, random_state=seed).to_csv(folder / f"sensors_{seed}.csv", index=False)
    pd.DataFrame(labels, columns=["site", "machine", "state"]).to_csv(folder / f"machines_{seed}.csv", index=False)


def tracks(folder: Path, n: int, seed: int) -> None:
    """Tracks of walkers, riders and drivers: a point when the phone had one, the altitude only sometimes."""
    rng = np.random.default_rng(seed)
    rows, modes = [], []
    for i in range(n):
        mode, speed, wander = [("walk", 1.4, 0.7), ("bike", 4.5, 0.35), ("car", 11.0, 0.2)][rng.integers(3)]
        seconds = np.cumsum(rng.exponential(15, rng.integers(30, 80)))
        turn = np.cumsum(wander * rng.normal(size=len(seconds))) + rng.uniform(0, 2 * np.pi)
        step = speed * (1 + 0.3 * rng.normal(size=len(seconds))) * np.diff(seconds, prepend=0)
        point = {"east": np.cumsum(step * np.cos(turn)), "north": np.cumsum(step * np.sin(turn))}
        height = np.where(rng.uniform(size=len(seconds)) < 0.6, np.nan, 200 + np.cumsum(rng.normal(size=len(seconds))))
        track = pd.DataFrame({"track": i, "second": seconds.round(1)} | point | {"altitude": height})
        rows.append(track.round(1))
        modes.append((i, mode))
    pd.concat(rows).to_csv(folder / f"tracks_{seed}.csv", index=False)
    pd.DataFrame(modes, columns=["track", "mode"]).to_csv(folder / f"modes_{seed}.csv", index=False)


def folder() -> Path:
    """Where the tables of the jobs are: the first argument, or examples/output; they are written if there are none."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "output")
    path.mkdir(parents=True, exist_ok=True)
    for write, n in ((icu, 400), (sensors, 160), (tracks, 240)):
        for seed in (1, 2):  # to learn from, and to predict
            write(path, n if seed == 1 else n // 2, seed)
    return path
