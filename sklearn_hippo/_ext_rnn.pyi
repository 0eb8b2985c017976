from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

NO_GATE: int
MGU: int
TIMED: int
PACKING: int

def use_simd(name: str | None = None) -> None: ...

class Sequence:
    def forward(self, lost: Array, scratch: Array) -> None: ...
    def backward(
        self,
        grad_state: Array,
        grad_memory: Array,
        grad_hidden: Array | None,
        grad_x: Array,
        grad_y: Array,
        grad_step: Array | None,
        scratch: Array,
    ) -> None: ...

def sequence(
    frequency: Array,
    V: Array,
    origin: Array,
    b: NDArray[np.float64],
    damping: float,
    implicit: float,
    gate: int,
    step: NDArray[np.float64],
    active: NDArray[np.intp],
    x: Array,
    y: Array,
    U: Array,
    W: Array,
    u: Array,
    memory: Array,
    hidden: Array,
    act: Array,
    packed: Array,
) -> Sequence: ...
