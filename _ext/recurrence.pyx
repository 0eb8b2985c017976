# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""The online dynamics c' = A c + B f, one observation after the other.

Every function advances ``memory`` over the observations of every series, in place, and writes the states that it visits
into ``states`` unless that is None. ``step`` is the dimensionless step that leads to an observation; values are filled.
"""
from cython.parallel cimport prange, threadid
from libc.string cimport memcpy

include "simd.pxi"
include "modes.pxi"

cdef extern from "scan.h" nogil:
    ctypedef struct factors_t:
        const double* d
        const double* p
        const double* q
        const double* b
    void wavefront(Py_ssize_t order, double implicit, const factors_t*, const double* step, const double* f, double* c,
                   double* states, Py_ssize_t stride, Py_ssize_t n_states, double* diagonals)
    void scan_double(const modes_t*, Py_ssize_t length, Py_ssize_t n_channels, const double* step, const double* f,
                     double* memory, double* states, double* scratch)

# Steps that leave no trace: the slope of a rise by one would overflow over a shorter one.
cdef double INSTANT = 1e-290


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
    cdef int n_threads = scratch.shape[0]
    f.d, f.p, f.q, f.b = &factors[0, 0], &factors[1, 0], &factors[2, 0], &factors[3, 0]
    for i in prange(n_series, nogil=True, schedule="dynamic", num_threads=n_threads):
        _triangular(&f, implicit, &step[0], &values[0, 0], begins[i], ends[i], memory.shape[1],
                    memory.shape[2], &memory[i, 0, 0], states_0, &scratch[threadid(), 0])


cdef void _triangular(const factors_t* f, double implicit, const double* step, const double* values, Py_ssize_t begin,
                      Py_ssize_t end, Py_ssize_t n_channels, Py_ssize_t order, double* memory, double* states,
                      double* scratch) noexcept nogil:
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


def scan_modes(
    const double[::1] frequency,         # IN    (n_modes,)
    const double[:, ::1] V,              # IN    (rank, 2 n_modes)
    const double[::1] origin,            # IN    (2 n_modes,) the memory of a constant 1
    const double[::1] b,                 # IN    (rank,)
    double damping,
    double implicit,                     # IN    as in scan_triangular
    const double[::1] step,              # IN    (n_observations,), endless where nothing is left of what was before
    const double[:, ::1] values,         # IN    (n_observations, n_channels)
    const Py_ssize_t[::1] begins,        # IN    (n_series,)
    const Py_ssize_t[::1] ends,          # IN    (n_series,)
    double[:, :, ::1] memory,            # INOUT (n_series, n_channels, 2 n_modes)
    double[:, :, ::1] states,            # OUT   (n_observations, n_channels, 2 n_modes) or None
    double[:, ::1] scratch,              # WORK  (n_threads, (3 + 4 n_channels) n_modes)
):
    """Any A that is normal plus low rank, in the coordinates in which it is: modes.h has the algebra."""
    cdef modes_t m = _modes(frequency.shape[0], b, damping, implicit)
    cdef Py_ssize_t i, n_channels = memory.shape[1], size = memory.shape[1] * memory.shape[2]
    cdef double* states_0 = NULL if states is None else &states[0, 0, 0]
    cdef int n_threads = scratch.shape[0]
    m.frequency, m.V, m.origin = &frequency[0], &V[0, 0], &origin[0]
    for i in prange(begins.shape[0], nogil=True, schedule="dynamic", num_threads=n_threads):
        scan_double(&m, ends[i] - begins[i], n_channels, &step[begins[i]], &values[begins[i], 0], &memory[i, 0, 0],
                    NULL if states_0 == NULL else states_0 + begins[i] * size, &scratch[threadid(), 0])


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
    double[:, ::1] scratch,              # WORK  (n_threads, 3 (order + 2))
):
    """Exact steps for held values (rises of zero) and for straight lines, with any A.

    The state is augmented by the value and its slope, exp(G h) is a product over the binary digits of h.
    """
    cdef Py_ssize_t i, n_powers = powers.shape[0], n_channels = memory.shape[1], order = memory.shape[2]
    cdef double* states_0 = NULL if states is None else &states[0, 0, 0]
    cdef int n_threads = scratch.shape[0]
    for i in prange(begins.shape[0], nogil=True, schedule="dynamic", num_threads=n_threads):
        _exponential(&powers[0, 0, 0], n_powers, &generator[0, 0], longest, n_terms, &step[0], &values[0, 0],
                     &rises[0, 0], begins[i], ends[i], n_channels, order, &memory[i, 0, 0], states_0,
                     &scratch[threadid(), 0])


cdef void _exponential(const double* powers, Py_ssize_t n_powers, const double* generator, double longest, int n_terms,
                       const double* step, const double* values, const double* rises, Py_ssize_t begin, Py_ssize_t end,
                       Py_ssize_t n_channels, Py_ssize_t order, double* memory, double* states,
                       double* scratch) noexcept nogil:
    """One series, by (E9)."""
    cdef Py_ssize_t k, c, n, j, size = order + 2
    cdef double h, digit, rise
    cdef double* x = scratch
    cdef double* y = scratch + size
    cdef double* z = scratch + 2 * size
    cdef double* state
    cdef int term
    for k in range(begin, end):
        for c in range(n_channels):
            state = memory + c * order
            h = step[k]
            if h > INSTANT:
                rise = rises[k * n_channels + c]
                if h >= 2 * longest:  # all before is forgotten, and bounded work is left
                    rise = rise * (longest / h)
                    h = longest
                memcpy(x, state, order * sizeof(double))
                x[order], x[order + 1] = values[k * n_channels + c] - rise, rise / h
                digit = longest
                for j in range(n_powers):
                    if h >= digit:
                        _multiply(powers + j * size * size, size, x, y)
                        memcpy(x, y, size * sizeof(double))
                        h = h - digit
                    digit = digit / 2
                memcpy(z, x, size * sizeof(double))
                for term in range(1, n_terms + 1):
                    _multiply(generator, size, z, y)
                    for n in range(size):
                        z[n] = y[n] * (h / term)
                        x[n] = x[n] + z[n]
                memcpy(state, x, order * sizeof(double))
            if states != NULL:
                memcpy(states + (k * n_channels + c) * order, state, order * sizeof(double))


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
    double[:, ::1] scratch,               # WORK  (n_threads, 2 (order + 2))
):
    """As scan_exponential, where few different steps repeat: one product of a matrix and a vector each."""
    cdef Py_ssize_t i, n_channels = memory.shape[1], order = memory.shape[2]
    cdef double* states_0 = NULL if states is None else &states[0, 0, 0]
    cdef int n_threads = scratch.shape[0]
    for i in prange(begins.shape[0], nogil=True, schedule="dynamic", num_threads=n_threads):
        _repeated(&transitions[0, 0, 0], &which[0], &lengths[0], &values[0, 0], &rises[0, 0], begins[i], ends[i],
                  n_channels, order, &memory[i, 0, 0], states_0, &scratch[threadid(), 0])


cdef void _repeated(const double* transitions, const Py_ssize_t* which, const double* lengths, const double* values,
                    const double* rises, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t n_channels, Py_ssize_t order,
                    double* memory, double* states, double* scratch) noexcept nogil:
    cdef Py_ssize_t k, c, at, size = order + 2
    cdef double h
    cdef double* x = scratch
    cdef double* y = scratch + size
    for k in range(begin, end):
        h = lengths[which[k]]
        for c in range(n_channels):
            at = k * n_channels + c
            if h > INSTANT:
                memcpy(x, memory + c * order, order * sizeof(double))
                x[order], x[order + 1] = values[at] - rises[at], rises[at] / h
                _multiply(transitions + which[k] * size * size, size, x, y)
                memcpy(memory + c * order, y, order * sizeof(double))
            if states != NULL:
                memcpy(states + at * order, memory + c * order, order * sizeof(double))


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
