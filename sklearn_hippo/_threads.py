"""Threads, and processes that were forked."""

import os

_HOME = os.getpid()


def usable_threads(n_threads: int) -> int:
    """As many threads, or one in a process that was forked from the one that imported the package.

    There OpenMP, if it had threads before, would wait for them for ever.
    """
    return n_threads if os.getpid() == _HOME else 1
