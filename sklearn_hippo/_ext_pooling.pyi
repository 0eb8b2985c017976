from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

def use_simd(name: str | None = None) -> None: ...
def simd_name() -> str: ...
def n_lanes() -> int: ...

class Windows:
    def __init__(
        self,
        n_channels: int,
        n_kinds: int,
        padding: int,
        length: NDArray[np.int32],
        older: NDArray[np.int32],
        newer: NDArray[np.int32],
        merge: NDArray[np.float32],
        scale: NDArray[np.float32] | None,
    ) -> None: ...
    def size(self, n_cells: int) -> int: ...

class Readouts:
    def __init__(
        self,
        what: NDArray[np.int32],
        channels: NDArray[np.int32],
        channel: NDArray[np.int32],
        thresholds: NDArray[np.int32],
        threshold: NDArray[np.float32],
        pairs: NDArray[np.int32] | None,
    ) -> None: ...
    def n_bits(self, n_cells: int) -> int: ...

def add_squares(
    windows: Windows, u: Array, values: Array, offsets: Array, n_cells: Array, which: Array, squares: Array,
    counts: Array, scratch: Array,
) -> None: ...  # fmt: skip
def trace(
    windows: Windows, readouts: Readouts, u: Array, values: Array, offsets: Array, n_cells: Array, which: Array,
    begins: Array, order: Array, z: Array, n: Array, scratch: Array,
) -> None: ...  # fmt: skip
def pool(
    windows: Windows, sets: list[Readouts], columns: Array, u: Array, values: Array, offsets: Array, n_cells: Array,
    scratch: Array, trace: Array, bits: Array, out: Array,
) -> None: ...  # fmt: skip
