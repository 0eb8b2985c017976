from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]

def find(
    index: dict[Any, int], ids: list[Any], kind: type, next_number: int, fresh: dict[Any, int], numbers: Array,
) -> int: ...  # fmt: skip
def sort(numbers: Array, ticks: Array, order: Array, other: Array, budget: int) -> bool: ...
