from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STRETCH: int
SPELL: int
MOST_LANES: int

class Space:
    def forward(self, state: Array, kept: Array | None, y: Array, scratch: Array) -> None: ...
    def backward(
        self, kept: Array, grad_y: Array, grad_state: Array, grad_u: Array, grad_before: Array, grad_rate: Array,
        grad_into: Array, grad_read: Array, grad_pass: Array, scratch: Array,
    ) -> None: ...  # fmt: skip

def space(
    u: Array, lengths: NDArray[np.intp], step: NDArray[np.float64] | None, before: Array, rate: Array,
    into: Array | None, read: Array, through: Array, held: bool,
) -> Space: ...  # fmt: skip
def scratch_size(n_modes: int) -> int: ...

class Selective:
    def forward(self, state: Array, kept: Array | None, y: Array, scratch: Array) -> None: ...
    def backward(
        self, kept: Array, grad_y: Array, grad_state: Array, grad_u: Array, grad_clock: Array, grad_B: Array,
        grad_C: Array, grad_rate: Array, grad_through: Array, scratch: Array,
    ) -> None: ...  # fmt: skip

def selective(
    u: Array,
    lengths: NDArray[np.intp],
    clock: Array,
    decay: Array,
    frequency: Array,
    B: Array,
    C: Array,
    through: Array,
) -> Selective: ...
def selective_scratch_size(n_modes: int, n_channels: int) -> int: ...
def use_simd(name: str | None = None) -> None: ...
def simd_name() -> str: ...
def n_lanes() -> int: ...
