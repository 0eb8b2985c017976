import numpy as np
from numpy.typing import NDArray

def has_openmp() -> bool: ...
def simd_name() -> str: ...
def use_simd(name: str | None = None) -> None: ...
def rule_sizes() -> tuple[int, int, int]: ...
def cost_model(**changes: float) -> dict[str, float]: ...
def scratch_size(n_channels: int, n_moments: int, n_families: int, n_columns: int) -> int: ...
def project(
    values: NDArray[np.floating],
    times: NDArray[np.float64] | None,
    begins: NDArray[np.intp],
    ends: NDArray[np.intp],
    schedule: NDArray[np.intp],
    chunk: int,
    basis: tuple[object, ...],
    rules: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    timescales: NDArray[np.float64],
    missing: bool,
    hold: bool,
    endless: bool,
    scratch: NDArray[np.float64],
    out: NDArray[np.floating],
) -> None: ...
def embed(
    values: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    nodes: NDArray[np.float64],
    weights: NDArray[np.float64],
    scale: NDArray[np.float64],
    basis: tuple[object, ...],
    rules: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None: ...
def fill(
    values: NDArray[np.floating],
    times: NDArray[np.float64] | None,
    offsets: NDArray[np.intp],
    hold: bool,
    filled: NDArray[np.float64],
) -> None: ...
