"""Series to try things on, and makers of irregular, incomplete and rescaled ones.

The loaders return ``(Panel, y)``. `load_sktime` reads what sktime ships; `fetch_character_trajectories` downloads,
unless it finds a local copy.
"""

import os
from hashlib import sha256
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import get_data_home
from sklearn.datasets._base import RemoteFileMetadata, _fetch_remote
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from ._panel import Panel, own_times
from ._validation import check_panel

__all__ = [
    "SKTIME_DATASETS",
    "drop_observations",
    "fetch_character_trajectories",
    "jitter_times",
    "load_japanese_vowels",
    "load_plaid",
    "load_sktime",
    "scale_time",
    "subsample",
]

SKTIME_DATASETS = {
    "ACSF1": "load_acsf1",
    "ArrowHead": "load_arrow_head",
    "BasicMotions": "load_basic_motions",
    "Covid3Month": "load_covid_3month",
    "GunPoint": "load_gunpoint",
    "ItalyPowerDemand": "load_italy_power_demand",
    "JapaneseVowels": "load_japanese_vowels",
    "OSULeaf": "load_osuleaf",
    "PLAID": "load_plaid",
    "Tecator": "load_tecator",
    "UnitTest": "load_unit_test",
}

_CHARACTER_TRAJECTORIES = RemoteFileMetadata(
    filename="CharacterTrajectories.npz",
    url="https://github.com/sklearn-hippo/sklearn-hippo/releases/download/data-1/CharacterTrajectories.npz",
    checksum="68ace159c1cba8567e536e10277fe16d0b8be47138627aff936f32499f5c2664",
)


@validate_params(
    {"name": [StrOptions(set(SKTIME_DATASETS))], "split": [StrOptions({"train", "test"}), None]},
    prefer_skip_nested_validation=True,
)
def load_sktime(name: str, split: str | None = None) -> tuple[Panel, NDArray[Any]]:
    """Load one of the data sets that sktime ships.

    Parameters
    ----------
    name : str
        A key of ``SKTIME_DATASETS``.
    split : {"train", "test"}, optional
        The official split; by default all series, those of the training part first.

    Returns
    -------
    panel : Panel
        Regular series, at times 0, 1, 2, ...
    y : ndarray of shape (n_series,)
        Class labels (strings), or the target (float) of Covid3Month and Tecator.

    Raises
    ------
    ImportError
        Without sktime: ``pip install "sklearn-hippo[sktime]"``.

    Examples
    --------
    >>> from sklearn_hippo.datasets import load_sktime
    >>> panel, y = load_sktime("UnitTest", "train")
    >>> panel
    Panel(n_series=20, n_channels=1, n_observations=480, dtype=float64)
    """
    try:
        import sktime.datasets
    except ImportError as error:
        raise ImportError(f'{name} comes with sktime: pip install "sklearn-hippo[sktime]"') from error
    X, y = getattr(sktime.datasets, SKTIME_DATASETS[name])(split=split, return_X_y=True)
    panel = check_panel(X)
    return Panel(panel.values, panel.times, panel.offsets), np.asarray(y)


def load_japanese_vowels(split: str | None = None) -> tuple[Panel, NDArray[Any]]:
    """Load JapaneseVowels: which of 9 men speaks, 640 series of 7 to 29 observations, 12 channels.

    Parameters
    ----------
    split : {"train", "test"}, optional
        The official 270 or 370 series; by default all.

    Returns
    -------
    panel : Panel
    y : ndarray of str of shape (n_series,)
    """
    return load_sktime("JapaneseVowels", split)


def load_plaid(split: str | None = None) -> tuple[Panel, NDArray[Any]]:
    """Load PLAID: which of 11 kinds of appliance draws a current, 1074 series of 100 to 1344 observations, one channel.

    Parameters
    ----------
    split : {"train", "test"}, optional
        The official 537 or 537 series; by default all.

    Returns
    -------
    panel : Panel
    y : ndarray of str of shape (n_series,)
    """
    return load_sktime("PLAID", split)


@validate_params(
    {"data_home": [str, os.PathLike, None], "download_if_missing": ["boolean"]}, prefer_skip_nested_validation=True
)
def fetch_character_trajectories(
    data_home: str | os.PathLike[str] | None = None, *, download_if_missing: bool = True
) -> tuple[Panel, NDArray[np.str_]]:
    """Fetch CharacterTrajectories: 20 letters as written by one hand, from the UCI repository.

    It is data set 175 there, under CC BY 4.0: 2858 series of 60 to 182 observations at 200 Hz (times 0, 1, 2, ...) in
    the channels x_velocity, y_velocity and pen_force.

    Parameters
    ----------
    data_home : str or path-like, optional
        Folder in which ``CharacterTrajectories.npz`` is looked for, and into which it is downloaded. By default, a copy
        in the folder that the environment variable ``SKLEARN_HIPPO_DATA`` names is taken first; otherwise the folder is
        ``sklearn_hippo`` in scikit-learn's data home.
    download_if_missing : bool, default=True
        Whether to download what is not there.

    Returns
    -------
    panel : Panel
    y : ndarray of str of shape (n_series,)
        The letters.

    Raises
    ------
    OSError
        If there is no local copy and the download is not wanted or does not succeed, or if a copy is damaged.
    """
    remote = _CHARACTER_TRAJECTORIES
    with np.load(_fetch(remote, data_home, download_if_missing), allow_pickle=False) as file:
        panel = Panel(file["values"], None, file["offsets"], channel_names=file["channel_names"].tolist())
        return panel, file["classes"][file["y"]]


def _fetch(remote: RemoteFileMetadata, data_home: str | os.PathLike[str] | None, download_if_missing: bool) -> Path:
    """Path of a file: a local copy, a cached one, or downloaded into the cache."""
    home = Path(get_data_home()) / "sklearn_hippo" if data_home is None else Path(data_home)
    local = os.environ.get("SKLEARN_HIPPO_DATA") if data_home is None else None
    for folder in [Path(local), home] if local else [home]:
        path = folder / remote.filename
        if path.exists():
            if sha256(path.read_bytes()).hexdigest() != remote.checksum:
                raise OSError(
                    f"{path} is damaged or another version: its checksum differs. Delete it to download it anew."
                )
            return path
    if not download_if_missing:
        raise OSError(f"{remote.filename} is not in {home}, and download_if_missing is False.")
    home.mkdir(parents=True, exist_ok=True)
    try:
        return Path(_fetch_remote(remote, home, n_retries=0))
    except OSError as error:  # URLError is one
        raise OSError(
            f"{remote.filename} could not be downloaded from {remote.url} ({error}). Without a connection, put a copy "
            f"into {home}, or, if data_home is not given, name its folder in the variable SKLEARN_HIPPO_DATA."
        ) from error


# --- makers of irregularity ---------------------------------------------------------------------------


def _keep(panel: Panel, kept: NDArray[np.bool_]) -> Panel:
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(series[kept], minlength=len(panel)))])
    return panel.replace(values=panel.values[kept], times=own_times(panel)[kept], offsets=offsets)


@validate_params(
    {
        "panel": [Panel],
        "fraction": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
        "by_channel": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def drop_observations(panel: Panel, fraction: float, random_state: Any = None, *, by_channel: bool = False) -> Panel:
    """Drop observations at random, and keep the times of the others.

    Parameters
    ----------
    panel : Panel
    fraction : float in [0, 1)
        Share of each series' observations to drop, rounded; at least one observation stays.
    random_state : int, RandomState instance or None, default=None
        Two panels whose series are equally long lose the same observations under the same one: give training and test
        series different ones, or what is lost tells the k-th series of one from the k-th of the other.
    by_channel : bool, default=False
        Drop single values, which become NaN, with this probability, instead of whole observations. A channel keeps at
        least one of its values.

    Returns
    -------
    Panel

    Examples
    --------
    >>> from sklearn_hippo import Panel
    >>> from sklearn_hippo.datasets import drop_observations
    >>> drop_observations(Panel([1.0, 2.0, 3.0, 4.0]), 0.5, random_state=0).times
    array([1., 2.])
    """
    rng = check_random_state(random_state)
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    if not by_channel:
        n_dropped = np.minimum(np.round(fraction * panel.lengths), panel.lengths - 1)
        by_lot = np.lexsort((rng.uniform(size=len(series)), series))
        rank = np.empty_like(by_lot)
        rank[by_lot] = np.arange(len(series)) - np.repeat(panel.offsets[:-1], panel.lengths)
        return _keep(panel, rank >= n_dropped[series])
    values = panel.values.copy()
    lot = np.where(np.isnan(values), -1, rng.uniform(size=values.shape))
    best = np.maximum.reduceat(lot, panel.offsets[:-1])[series]
    values[(lot < fraction) & (lot < best)] = np.nan
    return panel.replace(values=values)


@validate_params(
    {"panel": [Panel], "step": [Interval(Integral, 1, None, closed="left")]}, prefer_skip_nested_validation=True
)
def subsample(panel: Panel, step: int) -> Panel:
    """Keep every ``step``-th observation, from the first, and its time: the same signals at a lower rate.

    Parameters
    ----------
    panel : Panel
    step : int

    Returns
    -------
    Panel

    Examples
    --------
    >>> from sklearn_hippo import Panel
    >>> from sklearn_hippo.datasets import subsample
    >>> subsample(Panel([1.0, 2.0, 3.0, 4.0]), 2).times
    array([0., 2.])
    """
    position = np.arange(len(panel.values)) - np.repeat(panel.offsets[:-1], panel.lengths)
    return _keep(panel, position % step == 0)


@validate_params(
    {"panel": [Panel], "factor": [Interval(Real, 0, None, closed="neither")]}, prefer_skip_nested_validation=True
)
def scale_time(panel: Panel, factor: float) -> Panel:
    """Stretch the time axis: every time is multiplied by ``factor``.

    Parameters
    ----------
    panel : Panel
    factor : float
        Greater than zero.

    Returns
    -------
    Panel

    Examples
    --------
    >>> from sklearn_hippo import Panel
    >>> from sklearn_hippo.datasets import scale_time
    >>> scale_time(Panel([1.0, 2.0, 3.0]), 3).times
    array([0., 3., 6.])
    """
    return panel.replace(times=factor * own_times(panel))


@validate_params(
    {"panel": [Panel], "scale": [Interval(Real, 0, 1, closed="both")], "random_state": ["random_state"]},
    prefer_skip_nested_validation=True,
)
def jitter_times(panel: Panel, scale: float, random_state: Any = None) -> Panel:
    """Move every time at random, by at most ``scale / 2`` of the way to its neighbour on that side.

    The order and the first and last time of each series stay.

    Parameters
    ----------
    panel : Panel
    scale : float in [0, 1]
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    Panel

    Examples
    --------
    >>> from sklearn_hippo import Panel
    >>> from sklearn_hippo.datasets import jitter_times
    >>> jitter_times(Panel([1.0, 2.0, 3.0]), 0.5, random_state=0).times.round(3)
    array([0.   , 1.108, 2.   ])
    """
    times = own_times(panel)
    lot = check_random_state(random_state).uniform(-scale / 2, scale / 2, size=len(times))
    gaps = np.diff(times, prepend=times[:1], append=times[-1:])
    lot[panel.offsets[:-1]] = 0
    lot[panel.offsets[1:] - 1] = 0
    times = times + lot * np.where(lot < 0, gaps[:-1], gaps[1:])
    return panel.replace(times=times)
