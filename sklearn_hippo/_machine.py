"""The machine: threads, processes that were forked, and memory."""

import os
from functools import cache
from math import inf

from joblib import cpu_count, effective_n_jobs

_HOME = os.getpid()


def usable_threads(n_threads: int) -> int:
    """As many threads, or one in a process that was forked from the one that imported the package.

    There OpenMP, if it had threads before, would wait for them for ever.
    """
    return n_threads if os.getpid() == _HOME else 1


def threads_of(n_jobs: int | None) -> int:
    """Threads that an ``n_jobs`` of scikit-learn asks for, at most one for each processor.

    Raises
    ------
    ValueError
        If it is 0.
    """
    n = usable_threads(effective_n_jobs(n_jobs))
    return n if n == 1 else min(n, cpu_count())  # which reads files


@cache
def memory() -> float:
    """Bytes of memory, as far as the system tells."""
    if not hasattr(os, "sysconf"):
        return inf
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_memory(n_bytes: float, what: str, advice: str, *, whose: str = "") -> None:
    """Refuse what cannot fit into memory, before the machine starts to swap.

    Raises
    ------
    ValueError
    """
    if n_bytes > memory():
        raise ValueError(
            f"{what} would need {n_bytes / 2**30:.3g} GiB{whose}; this machine has {memory() / 2**30:.3g} GiB. {advice}"
        )
