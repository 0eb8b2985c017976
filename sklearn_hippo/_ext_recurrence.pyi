import numpy as np
from numpy.typing import NDArray

def use_simd(name: str | None = None) -> None: ...
def simd_name() -> str: ...
def n_lanes() -> int: ...
def scan_triangular(
    factors: NDArray[np.float64],
    implicit: float,
    step: NDArray[np.float64],
    values: NDArray[np.float64],
    begins: NDArray[np.intp],
    ends: NDArray[np.intp],
    memory: NDArray[np.float64],
    states: NDArray[np.float64] | None,
    scratch: NDArray[np.float64],
) -> None: ...
def scan_modes(
    frequency: NDArray[np.float64],
    V: NDArray[np.float64],
    origin: NDArray[np.float64],
    b: NDArray[np.float64],
    damping: float,
    implicit: float,
    step: NDArray[np.float64],
    values: NDArray[np.float64],
    begins: NDArray[np.intp],
    ends: NDArray[np.intp],
    memory: NDArray[np.float64],
    states: NDArray[np.float64] | None,
    scratch: NDArray[np.float64],
) -> None: ...
def scan_exponential(
    powers: NDArray[np.float64],
    generator: NDArray[np.float64],
    longest: float,
    n_terms: int,
    step: NDArray[np.float64],
    values: NDArray[np.float64],
    rises: NDArray[np.float64],
    begins: NDArray[np.intp],
    ends: NDArray[np.intp],
    memory: NDArray[np.float64],
    states: NDArray[np.float64] | None,
    scratch: NDArray[np.float64],
) -> None: ...
def scan_repeated(
    transitions: NDArray[np.float64],
    which: NDArray[np.intp],
    lengths: NDArray[np.float64],
    values: NDArray[np.float64],
    rises: NDArray[np.float64],
    begins: NDArray[np.intp],
    ends: NDArray[np.intp],
    memory: NDArray[np.float64],
    states: NDArray[np.float64] | None,
    scratch: NDArray[np.float64],
) -> None: ...
