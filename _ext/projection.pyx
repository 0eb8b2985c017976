# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Series in, coefficients out: the exact projection of interpolated series, streamed through ``moments.h``.

An interpolated series is its last value plus the integral of its derivative, and the derivative of a
staircase or a broken line is a sum of point masses ("jumps") and of steps ("kinks", where the slope
changes). So the projection on any basis phi_n needs only

    jumps[n] = sum_j jump_j phi_n(r_j)      and      kinks[n] = sum_j kink_j phi_n(r_j),

which the basis then integrates once and twice (``_measures.py`` says how). A slope over a very short gap
is huge and its two kinks nearly cancel: such a segment is entered as a smeared jump instead, by a few
Gauss nodes of its own, so that close observations cost no accuracy.

Where nodes are so dense that no basis function turns much over a row of them, a few Chebyshev nodes with
equivalent weights take their place, and again a few the place of many such groups. So the number of nodes
that meet the basis itself depends on its order, and hardly on the length of a series.

The Chebyshev basis has infinite slopes at both ends of the axis: there r, next to -1 or 1, has lost the distance
to the end. So with every position goes e, its distance to the nearer end, computed from the times themselves:
r + 1 in the left half, r - 1 in the right one.

Every series is read once, in chunks, into scratch memory that the caller allocates, one row a thread.
"""
from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.float cimport DBL_EPSILON, DBL_MAX
from libc.math cimport acos, asin, cos, exp, fabs, fmax, fmin, isnan, log1p, sin, sqrt, INFINITY, M_PI, NAN
from libc.string cimport memcpy, memset

cdef extern from "<fenv.h>" nogil:
    int FE_OVERFLOW, FE_INVALID
    int fetestexcept(int)
    int feclearexcept(int)

include "simd.pxi"

cdef extern from "moments.h" nogil:
    ctypedef struct recurrence_t:
        Py_ssize_t n_moments
        const double* slope
        const double* shift
        const double* back
    ctypedef struct vectors_t:
        void moments(const recurrence_t*, Py_ssize_t, Py_ssize_t, const double*, const double*,
                     const double*, const double*, Py_ssize_t, double*) noexcept nogil
        void reduce(Py_ssize_t, const double*, double*) noexcept nogil
        void fold(Py_ssize_t, double*, double*) noexcept nogil
        void multiply_add(Py_ssize_t, const double*, const double*, double*) noexcept nogil
        void ramp(Py_ssize_t, const double*, double, double, double, double, double, double, int,
                  double*) noexcept nogil
        void combine(Py_ssize_t, const double*, Py_ssize_t, const double*, double*) noexcept nogil
        double gaps(Py_ssize_t, const double*, double*, double*) noexcept nogil
        void invert(Py_ssize_t, const double*, double*) noexcept nogil
        void kinks(Py_ssize_t, const double*, const double*, double*, double*) noexcept nogil
        void rises(Py_ssize_t, const double*, double*) noexcept nogil
        void affine(Py_ssize_t, const double*, double, double, double*, double*) noexcept nogil
        void fill(Py_ssize_t, double, double*) noexcept nogil
        void pick(Py_ssize_t, const double*, Py_ssize_t, double*) noexcept nogil
        void pick_float(Py_ssize_t, const float*, Py_ssize_t, double*) noexcept nogil
        void begin(Py_ssize_t, const double*, double*, double*, double*) noexcept nogil
    vectors_t vectors  # those of the instruction set in use

cdef extern from *:
    """
    #ifdef _OPENMP
    #define HIPPO_OPENMP 1
    #else
    #define HIPPO_OPENMP 0
    #endif
    """
    const bint HIPPO_OPENMP

include "types.pxi"
include "charts.pxi"
include "condense.pxi"
include "segments.pxi"
include "series.pxi"
include "embed.pxi"


def has_openmp():
    """Whether there are threads."""
    return bool(HIPPO_OPENMP)


def rule_sizes():
    """Largest numbers of Gauss nodes, of Chebyshev nodes, and of choices of these, for which there is room."""
    return MAX_GAUSS, MAX_LOCAL, MAX_RULES


def cost_model(**changes):
    """The constants of the cost model (condense.pxi) by name, after changes: for calibration."""
    global OVERHEAD, LATER, FINAL, LEAST
    constants = {"overhead": OVERHEAD, "later": LATER, "final": FINAL, "least": LEAST}
    unknown = changes.keys() - constants.keys()
    if unknown:
        raise ValueError(f"The cost model has no {min(unknown)!r}, but {', '.join(constants)}.")
    constants |= changes
    OVERHEAD, LATER, FINAL, LEAST = constants.values()
    return constants


def scratch_size(Py_ssize_t n_channels, Py_ssize_t n_moments, Py_ssize_t n_families, Py_ssize_t n_columns):
    """Doubles of scratch memory that one thread needs."""
    cdef Work work
    work.n_channels, work.n_families, work.recurrence.n_moments = n_channels, n_families, n_moments
    work.integration.n_columns = n_columns
    return 8 + _lay_out(&work, NULL)


def project(
    const floating[:, ::1] values,       # IN   (n_observations, n_channels)
    const double[::1] times,             # IN   (n_observations,), or None for 0, 1, 2, ... in every series
    const Py_ssize_t[::1] begins,        # IN   (n_series,) first observation of each series ...
    const Py_ssize_t[::1] ends,          # IN   (n_series,) ... and the one after its last; series may overlap
    const Py_ssize_t[::1] schedule,      # IN   (n_series,) in which order to take them ...
    Py_ssize_t chunk,                    # IN   ... and how many at a time
    tuple basis,                         # IN   see _describe
    tuple rules,                         # IN   gauss, local, ones: see Work
    const double[::1] timescales,        # IN   (n_series,) 0 for the measures that scale with the series
    bint missing,                        # IN   whether values may be NaN
    bint hold,                           # IN   staircase or broken line
    bint endless,                        # IN   before the first time: the first values, or 0
    double[:, ::1] scratch,              # WORK (n_threads, scratch_size(...))
    floating[:, :, :] out,               # OUT  (n_series, n_channels, order), contiguous along the last axis
):
    """Fill ``out`` with the coefficients of every series, with as many threads as scratch has rows."""
    cdef const double* times_0 = NULL if times is None else &times[0]
    cdef int n_threads = scratch.shape[0]
    cdef Py_ssize_t i, s, u, n_series = begins.shape[0], stride = out.strides[1] // sizeof(floating)
    cdef Work plan
    _describe(&plan, basis, rules, values.shape[1])
    for i in range(n_threads):
        _lay_out(&plan, &scratch[i, 0])
        plan.grid.length = 0
    for i in prange(n_series, nogil=True, schedule="dynamic", chunksize=chunk, num_threads=n_threads):
        s = schedule[i]
        u = schedule[min(i + n_threads, n_series - 1)]  # about the next one for this thread
        _one(plan, &values[0, 0], times_0, begins[s], ends[s], timescales[s], missing, hold, endless,
             &scratch[threadid(), 0], &out[s, 0, 0], stride, &values[begins[u], 0],
             (ends[u] - begins[u]) * values.shape[1])


cdef int _describe(Work* work, tuple basis, tuple rules, Py_ssize_t n_channels) except -1:
    """Note what is the same for all series. The arrays stay alive with the tuples."""
    cdef const double[::1] slope, shift, back, weights
    cdef const Py_ssize_t[:, ::1] runs
    cdef const double[:, ::1] gauss, local
    cdef const double[::1] ones
    cdef Py_ssize_t i
    cdef str name
    name, work.n_families, work.order, work.low, work.high, work.reach, recurrence, integration = basis
    _find_chart(name, &work.chart)
    slope, shift, back = recurrence
    work.integration.n_columns, runs, weights = integration
    gauss, local, ones = rules
    work.n_channels, work.recurrence.n_moments = n_channels, back.shape[0]
    work.recurrence.slope = NULL if slope is None else &slope[0]
    work.recurrence.shift = NULL if shift is None else &shift[0]
    work.recurrence.back = &back[0]
    work.integration.n_runs, work.integration.runs = runs.shape[0], <const Run*> &runs[0, 0]
    work.integration.weights = &weights[0]
    work.gauss, work.ones, work.n_local = &gauss[0, 0], &ones[0], local.shape[0]
    work.local = &local[0, 0] if work.n_local > 0 else NULL
    for i in range(work.n_local):
        work.numbers[i], work.limits[i] = local[i, 0], local[i, 1]
    return 0


cdef void _one(Work work, const floating* values, const double* times, Py_ssize_t begin, Py_ssize_t end,
               double timescale, bint missing, bint hold, bint endless, double* scratch, floating* out,
               Py_ssize_t stride, const floating* upcoming, Py_ssize_t n_upcoming) noexcept nogil:
    """Project one series, with a copy of the plan and scratch memory of its own, and ask for one that comes soon.

    A series without observations has no coefficients.
    """
    cdef Py_ssize_t i, line = 64 // sizeof(floating)
    for i in range(min((n_upcoming + line - 1) // line, <Py_ssize_t> 64)):
        PREFETCH(upcoming + i * line)
    PREFETCH(upcoming + n_upcoming - work.n_channels)
    if end == begin:
        for i in range(work.n_channels * work.order):
            out[i // work.order * stride + i % work.order] = NAN
        return
    work.unit = 1
    while True:
        _lay_out(&work, scratch)
        _project(&work, values + begin * work.n_channels, NULL if times == NULL else times + begin, end - begin,
                 timescale, missing, hold, endless)
        _integrate(&work, out, stride)
        if work.unit != 1 or not _overflowed(&work, out, stride):
            return
        work.unit = SMALLER  # an overflow on the way: once more, with smaller values


def fill(
    const floating[:, ::1] values,       # IN   (n_observations, n_channels)
    const double[::1] times,             # IN   (n_observations,) or None
    const Py_ssize_t[::1] offsets,       # IN   (n_series + 1,)
    bint hold,                           # IN   staircase or broken line
    double[:, ::1] filled,               # OUT  (n_observations, n_channels)
):
    """Fill ``filled`` with the values, the missing ones interpolated."""
    cdef Py_ssize_t i, j, c, n_channels = values.shape[1], begin, length
    cdef const double* t
    cdef double[CHUNK] y
    cdef Py_ssize_t k, n
    cdef Observed near
    with nogil:
        for i in range(offsets.shape[0] - 1):
            begin, length = offsets[i], offsets[i + 1] - offsets[i]
            t = NULL if times is None else &times[begin]
            for c in range(n_channels):
                k = 0
                near.next = -1
                while k < length:
                    n = min(CHUNK, length - k)
                    _fill(&values[begin, c], n_channels, length, t, k, k + n, hold, &near, y)
                    for j in range(n):
                        filled[begin + k + j, c] = y[j]
                    k += n
