# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""The online dynamics c' = A c + B f, one observation after the other.

Every function advances ``memory`` over the observations of every series, in place, and writes the states that it visits
into ``states`` unless that is None. ``step`` is the dimensionless step that leads to an observation; values are filled.
"""
from os import environ

from cython.parallel cimport prange, threadid

cdef extern from "wavefront.h" nogil:
    enum: MAX_LANES
    ctypedef struct factors_t:
        const double* d
        const double* p
        const double* q
        const double* b
    struct simd_t:
        int lanes
    simd_t simd
    int select_simd(const char*)
    ctypedef void (*wavefront_fn)(Py_ssize_t, double, const factors_t*, const double*, const double*, double*,
                                  double*, Py_ssize_t, Py_ssize_t, double*) noexcept nogil
    wavefront_fn select_wavefront()

# Steps that leave no trace: the slope of a rise by one would overflow over a shorter one.
cdef double INSTANT = 1e-290


def use_simd(name=None):
    """Choose the instruction set by name, the best one for None."""
    cdef bytes encoded = b"" if name is None else name.encode()
    if not select_simd(NULL if name is None else <const char*> encoded):
        raise ValueError(f"This machine or build does not offer {name!r}: choose avx512, avx2 or baseline.")


def n_lanes():
    """Width of the vectors in use, on which the padding of the factors depends."""
    return simd.lanes


def scan_triangular(
    const double[:, ::1] factors,        # IN    (4, order + 2 (lanes - 1)) d, p, q, B, reversed and padded
    double implicit,                     # IN    0: forward, 1/2: bilinear, 1: backward
    const double[::1] step,              # IN    (n_observations,)
    const double[:, ::1] values,         # IN    (n_observations, n_channels)
    const Py_ssize_t[::1] begins,        # IN    (n_series,)
    const Py_ssize_t[::1] ends,          # IN    (n_series,)
    double[:, :, ::1] memory,            # INOUT (n_series, n_channels, order)
    double[:, :, ::1] states,            # OUT   (n_observations, n_channels, order) or None
    double[:, ::1] scratch,              # WORK  (n_threads, lanes (order + lanes))
):
    """A = -(diag(d) + tril(p q^T, -1)), in O(order) a step."""
    cdef factors_t f
    cdef Py_ssize_t i, n_series = begins.shape[0]
    cdef double* states_0 = NULL if states is None else &states[0, 0, 0]
    cdef wavefront_fn wavefront = select_wavefront()
    cdef int n_threads = scratch.shape[0]
    f.d, f.p, f.q, f.b = &factors[0, 0], &factors[1, 0], &factors[2, 0], &factors[3, 0]
    for i in prange(n_series, nogil=True, schedule="dynamic", num_threads=n_threads):
        _triangular(wavefront, &f, implicit, &step[0], &values[0, 0], begins[i], ends[i], memory.shape[1],
                    memory.shape[2], &memory[i, 0, 0], states_0, &scratch[threadid(), 0])


cdef void _triangular(wavefront_fn wavefront, const factors_t* f, double implicit, const double* step,
                      const double* values, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t n_channels, Py_ssize_t order,
                      double* memory, double* states, double* scratch) noexcept nogil:
    cdef double[MAX_LANES] h
    cdef double[MAX_LANES] x
    cdef Py_ssize_t k, c, j, n
    for c in range(n_channels):
        k = begin
        while k < end:
            n = min(<Py_ssize_t> simd.lanes, end - k)
            for j in range(simd.lanes):
                h[j] = step[k + j] if j < n else 0
                x[j] = values[(k + j) * n_channels + c] if j < n else 0
            wavefront(order, implicit, f, h, x, memory + c * order,
                      NULL if states == NULL else states + (k * n_channels + c) * order, n_channels * order, n,
                      scratch)
            k += n


def scan_schur(
    const double complex[:, ::1] T,      # IN    (order, order) upper triangular: A = U T U^H
    const double complex[::1] b,         # IN    (order,) U^H B
    double implicit,                     # IN    as in scan_triangular
    const double[::1] step,              # IN    (n_observations,)
    const double[:, ::1] values,         # IN    (n_observations, n_channels)
    const Py_ssize_t[::1] begins,        # IN    (n_series,)
    const Py_ssize_t[::1] ends,          # IN    (n_series,)
    double complex[:, :, ::1] memory,    # INOUT (n_series, n_channels, order) U^H c
    double complex[:, :, ::1] states,    # OUT   (n_observations, n_channels, order) or None
):
    """Any stable A in its Schur form: a triangular solve in O(order^2) a step, in place."""
    cdef Py_ssize_t i, k, c, n, m, order = T.shape[0]
    cdef double h, ahead, behind
    cdef double complex old, new
    with nogil:
        for i in range(begins.shape[0]):
            for k in range(begins[i], ends[i]):
                h = step[k]
                ahead = implicit * h
                behind = h - ahead
                for c in range(values.shape[1]):
                    for n in range(order):  # (I + (1 - a) h T) z + h b f, row by row: row n needs only later ones
                        old = memory[i, c, n] + h * values[k, c] * b[n]
                        for m in range(n, order):
                            old = old + behind * T[n, m] * memory[i, c, m]
                        memory[i, c, n] = old
                    for n in range(order - 1, -1, -1):  # (I - a h T) z = that, backwards
                        new = memory[i, c, n]
                        for m in range(n + 1, order):
                            new = new + ahead * T[n, m] * memory[i, c, m]
                        memory[i, c, n] = new / (1 - ahead * T[n, n])
                    if states is not None:
                        for n in range(order):
                            states[k, c, n] = memory[i, c, n]


def scan_exponential(
    const double[:, :, ::1] powers,      # IN    (n_powers, order + 2, order + 2) exp(G 2^-j), j = first, first + 1, ...
    const double[:, ::1] generator,      # IN    (order + 2, order + 2) G = [[A, B, 0], [0, 0, 1], [0, 0, 0]]
    double longest,                      # IN    the step of powers[0]; of steps twice as long only the end counts
    int n_terms,                         # IN    of the Taylor series of what is left of a step
    const double[::1] step,              # IN    (n_observations,)
    const double[:, ::1] values,         # IN    (n_observations, n_channels)
    const double[:, ::1] rises,          # IN    (n_observations, n_channels) how far values rise over the step
    const Py_ssize_t[::1] begins,        # IN    (n_series,)
    const Py_ssize_t[::1] ends,          # IN    (n_series,)
    double[:, :, ::1] memory,            # INOUT (n_series, n_channels, order)
    double[:, :, ::1] states,            # OUT   (n_observations, n_channels, order) or None
    double[:, ::1] scratch,              # WORK  (3, order + 2)
):
    """Exact steps for held values (rises of zero) and for straight lines, with any A.

    The state is augmented by the value and its slope, exp(G h) is a product over the binary digits of h.
    """
    cdef Py_ssize_t i, k, c, n, j, order = memory.shape[2], size = memory.shape[2] + 2
    cdef double h, digit, rise
    cdef double* x = &scratch[0, 0]
    cdef double* y = &scratch[1, 0]
    cdef double* z = &scratch[2, 0]
    cdef int term
    with nogil:
        for i in range(begins.shape[0]):
            for k in range(begins[i], ends[i]):
                for c in range(values.shape[1]):
                    h = step[k]
                    if h > INSTANT:
                        for n in range(order):
                            x[n] = memory[i, c, n]
                        rise = rises[k, c]
                        if h >= 2 * longest:  # all before is forgotten, and bounded work is left
                            rise *= longest / h
                            h = longest
                        x[order] = values[k, c] - rise
                        x[order + 1] = rise / h
                        digit = longest
                        for j in range(powers.shape[0]):
                            if h >= digit:
                                _multiply(&powers[j, 0, 0], size, x, y)
                                for n in range(size):
                                    x[n] = y[n]
                                h -= digit
                            digit /= 2
                        for n in range(size):
                            z[n] = x[n]
                        for term in range(1, n_terms + 1):
                            _multiply(&generator[0, 0], size, z, y)
                            for n in range(size):
                                z[n] = y[n] * (h / term)
                                x[n] += z[n]
                        for n in range(order):
                            memory[i, c, n] = x[n]
                    if states is not None:
                        for n in range(order):
                            states[k, c, n] = memory[i, c, n]


def scan_repeated(
    const double[:, :, ::1] transitions,  # IN    (n_steps, order + 2, order + 2) exp(G h) of each different step h
    const Py_ssize_t[::1] which,          # IN    (n_observations,) the one that leads to an observation
    const double[::1] lengths,            # IN    (n_steps,)
    const double[:, ::1] values,          # IN    as in scan_exponential
    const double[:, ::1] rises,
    const Py_ssize_t[::1] begins,
    const Py_ssize_t[::1] ends,
    double[:, :, ::1] memory,             # INOUT
    double[:, :, ::1] states,             # OUT
    double[:, ::1] scratch,               # WORK  (2, order + 2)
):
    """As scan_exponential, where few different steps repeat: one product of a matrix and a vector each."""
    cdef Py_ssize_t i, k, c, n, order = memory.shape[2], size = memory.shape[2] + 2
    cdef double h
    cdef double* x = &scratch[0, 0]
    cdef double* y = &scratch[1, 0]
    with nogil:
        for i in range(begins.shape[0]):
            for k in range(begins[i], ends[i]):
                h = lengths[which[k]]
                for c in range(values.shape[1]):
                    if h > INSTANT:
                        for n in range(order):
                            x[n] = memory[i, c, n]
                        x[order] = values[k, c] - rises[k, c]
                        x[order + 1] = rises[k, c] / h
                        _multiply(&transitions[which[k], 0, 0], size, x, y)
                        for n in range(order):
                            memory[i, c, n] = y[n]
                    if states is not None:
                        for n in range(order):
                            states[k, c, n] = memory[i, c, n]


cdef void _multiply(const double* A, Py_ssize_t size, const double* x, double* y) noexcept nogil:
    cdef Py_ssize_t n, m
    cdef double total, even, odd, third, fourth
    for n in range(size):
        total = 0
        m = 0
        even = odd = third = fourth = 0.0
        while m + 4 <= size:  # four sums, so that an addition need not wait for the one before
            even = even + A[n * size + m] * x[m]
            odd = odd + A[n * size + m + 1] * x[m + 1]
            third = third + A[n * size + m + 2] * x[m + 2]
            fourth = fourth + A[n * size + m + 3] * x[m + 3]
            m += 4
        while m < size:
            total = total + A[n * size + m] * x[m]
            m += 1
        y[n] = total + ((even + odd) + (third + fourth))


use_simd(environ.get("SKLEARN_HIPPO_SIMD") or None)
