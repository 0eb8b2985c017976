# What every kernel module offers of simd.h; included by each of them.
from os import environ

cdef extern from "simd.h" nogil:
    enum: MAX_LANES
    struct simd_t:
        const char* name
        int lanes
    simd_t simd
    int select_simd(const char*)
    void PREFETCH(const void*)


def use_simd(name=None):
    """Choose the instruction set by name, the best one for None."""
    cdef bytes encoded = b"" if name is None else name.encode()
    if not select_simd(NULL if name is None else <const char*> encoded):
        raise ValueError(f"This machine or build does not offer {name!r}: choose avx512, avx2 or baseline.")


def simd_name():
    """Name of the instruction set in use."""
    return simd.name.decode()


def n_lanes():
    """Doubles in its vectors."""
    return simd.lanes


use_simd(environ.get("SKLEARN_HIPPO_SIMD") or None)
