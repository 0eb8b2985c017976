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
from os import environ

from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.float cimport DBL_EPSILON, DBL_MAX
from libc.math cimport acos, asin, cos, exp, fabs, fmax, fmin, isnan, log1p, sin, sqrt, INFINITY, M_PI, NAN
from libc.string cimport memcpy, memset

cdef extern from "<fenv.h>" nogil:
    int FE_OVERFLOW, FE_INVALID
    int fetestexcept(int)
    int feclearexcept(int)

cdef extern from "moments.h" nogil:
    enum: MAX_LANES
    ctypedef struct recurrence_t:
        Py_ssize_t n_moments
        const double* slope
        const double* shift
        const double* back
    struct simd_t:
        const char* name
        int lanes
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
        void steps(Py_ssize_t, const double*, double*) noexcept nogil
        void affine(Py_ssize_t, const double*, double, double, double*, double*) noexcept nogil
        void fill(Py_ssize_t, double, double*) noexcept nogil
        void pick(Py_ssize_t, const double*, Py_ssize_t, double*) noexcept nogil
        void pick_float(Py_ssize_t, const float*, Py_ssize_t, double*) noexcept nogil
        void begin(Py_ssize_t, const double*, double*, double*, double*) noexcept nogil
    simd_t simd
    int select_simd(const char*)
    void PREFETCH(const void*)

cpdef enum Chart:  # how a basis is laid out along r, the coordinate in which the interpolant is linear
    LEGENDRE       # P_n(r) on [-1, 1]
    CHEBYSHEV      # sin(n theta), r = cos(theta) on [-1, 1]: the antiderivatives of T_n under its weight
    FOURIER        # cos(2 pi n r), then sin(2 pi n r), on [0, 1]
    WARPED         # P_n(2 w - 1) w, w = exp(r) on (-inf, 0], the end of the series being at 0
    LAGUERRE       # L_n(-r) exp(r) on (-inf, 0]

cdef enum:
    CHUNK = 256        # points that are read at a time
    NODES = 512        # nodes that wait for each other
    STRIDE = NODES + 8  # of one row of nodes or points in the scratch memory
    LEVELS = 3         # rows of jumps: as they come, those that stand for many, and those that stand for many of these
    MAX_GAUSS = 8
    MAX_LOCAL = 96     # Chebyshev nodes that may stand for a dense row
    MAX_RULES = 16     # numbers of Chebyshev nodes to choose from
    FOLD = 128         # nodes whose moments a lane adds up by itself
    FEW = 32           # nodes that are not worth a substitute
    SOME = 64          # segments that are looked at together

# Kinks lose about eps / (gap * range) to cancellation, gap and range of the series relative to that of r, summed over
# its length. Gaps below SHORT * sqrt(length) / range may be entered as jumps, which lose eps / range at most.
cdef double SHORT = 3e-5

# What substitutes cost, in updates of one moment by one node: to make one, beyond its arithmetic; for each node to take
# its part in the next; and how many nodes a unit of phase are left of dense ones in the end (p over its reach, at 24).
cdef double OVERHEAD = 600
cdef double LATER = 24
cdef double FINAL = 5.5

# Of an expansion with terms that decay like exp(-k), how many there have to be.
cdef double DIGITS = 36

# What values are multiplied by if their sums overflow.
cdef double SMALLER = 2.0 ** -64

# Of distances, whose sign says from which end they are.
cdef double TINY = 1e-300

# Updates that are not worth the search for a substitute.
cdef double LEAST = 8192

cdef struct Moments:
    bint used, folded
    Py_ssize_t count   # nodes in the sums
    double* sums       # (n_sequences, n_channels, n_moments, lanes)
    double* totals     # (n_sequences, n_channels, n_moments) of the nodes before these, if there were many
    double* extras     # (n_channels, 2)

cdef struct Nodes:     # a row of nodes that wait for the kernel, in the order of r, and where their moments go
    Py_ssize_t count
    double* r          # (STRIDE,)
    double* e          # (STRIDE,) of the Chebyshev chart only
    double* weights    # (n_channels, STRIDE)
    Moments* moments

cdef struct Observed:  # the neighbours of a point among a channel's own observations; -1 and length: none
    Py_ssize_t last, next

cdef struct Run:       # column[target + i target_step] += weights[i] column[source + i source_step], in turn
    Py_ssize_t target, target_step, source, source_step, length

cdef struct Rule:      # how a basis integrates: runs over columns, which are the moments and then those that follow
    Py_ssize_t n_columns, n_runs
    const Run* runs
    const double* weights      # of all runs, one after the other

cdef struct Clock:     # of the last series, if it has no times of its own and all its points are in r, gap and inverse
    Py_ssize_t length  # or 0
    double unit, least, widest

cdef struct Work:      # all that one thread needs
    Clock* clock
    Chart chart
    Py_ssize_t n_channels, order, n_sequences
    bint same          # whether the clock is that of the last series
    double unit        # 1, or SMALLER: of the values
    double short_gap
    Observed* near     # (n_channels,)
    double low, high   # the range of r; 0 and 1, so that r counts timescales, where it has no end
    double reach       # how many timescales of the past are not negligible
    recurrence_t recurrence
    Rule integration
    const double* gauss       # (MAX_GAUSS, 1 + 2 MAX_GAUSS): limit of the half phase, nodes, weights
    const double* local       # (n_local, 2 + MAX_LOCAL (1 + MAX_LOCAL)): number, limit, places, moments by weights
    Py_ssize_t n_local
    double[MAX_RULES] numbers, limits  # of the rows of local, side by side
    const double* ones        # (MAX_LOCAL,)
    Moments jump_moments, kink_moments
    Nodes[LEVELS] jumps
    Nodes kinks
    double* local_sums        # (n_channels, MAX_LOCAL, lanes)
    double* local_moments     # (n_channels, MAX_LOCAL)
    double origin, lead  # the window opens at origin - lead
    double* r          # (STRIDE,) positions of the points of a chunk and of the one after it
    double* e          # (STRIDE,)
    double* gap        # (STRIDE,)
    double* inverse    # (STRIDE,)
    double* slope      # (STRIDE,)
    double* y          # (n_channels, STRIDE)
    double* before     # (n_channels,) slope of the last segment of the previous chunk
    double* last       # (n_channels,) last values
    double* node       # (3, STRIDE) x, p_0 and p_{-1} of the nodes
    double* columns    # moments and extras of the jumps and kinks of one channel, and what follows from them


cdef extern from *:
    """
    #ifdef _OPENMP
    #define HIPPO_OPENMP 1
    #else
    #define HIPPO_OPENMP 0
    #endif
    """
    const bint HIPPO_OPENMP


def has_openmp():
    """Whether there are threads."""
    return bool(HIPPO_OPENMP)


def simd_name():
    """Name of the instruction set in use."""
    return simd.name.decode()


def use_simd(name=None):
    """Choose the instruction set by name, the best one for None."""
    cdef bytes encoded = b"" if name is None else name.encode()
    cdef const char* chosen = NULL if name is None else <const char*> encoded
    if not select_simd(chosen):
        raise ValueError(f"This machine or build does not offer {name!r}: choose avx512, avx2 or baseline.")


def rule_sizes():
    """Largest numbers of Gauss nodes, of Chebyshev nodes, and of choices of these, for which there is room."""
    return MAX_GAUSS, MAX_LOCAL, MAX_RULES


def scratch_size(Py_ssize_t n_channels, Py_ssize_t n_moments, Py_ssize_t n_sequences, Py_ssize_t n_columns):
    """Doubles of scratch memory that one thread needs."""
    cdef Work work
    work.n_channels, work.n_sequences, work.recurrence.n_moments = n_channels, n_sequences, n_moments
    work.integration.n_columns = n_columns
    return 8 + _lay_out(&work, NULL)


cdef double* _take(double* scratch, Py_ssize_t* taken, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t begin = taken[0]
    taken[0] += (size + 7) // 8 * 8
    return NULL if scratch == NULL else scratch + begin


cdef Py_ssize_t _lay_out(Work* work, double* scratch) noexcept nogil:
    """Share out the scratch memory, in whole cache lines, and tell how much of it is needed."""
    cdef Py_ssize_t taken = 0, level, c = work.n_channels, m = work.n_sequences * work.recurrence.n_moments
    if scratch != NULL:
        scratch = <double*> ((<size_t> scratch + 63) // 64 * 64)
    work.clock = <Clock*> _take(scratch, &taken, 8)
    work.r = _take(scratch, &taken, STRIDE)
    work.e = _take(scratch, &taken, STRIDE)
    work.gap = _take(scratch, &taken, STRIDE)
    work.inverse = _take(scratch, &taken, STRIDE)
    work.slope = _take(scratch, &taken, STRIDE)
    work.node = _take(scratch, &taken, 3 * STRIDE)
    work.y = _take(scratch, &taken, c * STRIDE)
    work.before = _take(scratch, &taken, c)
    work.last = _take(scratch, &taken, c)
    work.near = <Observed*> _take(scratch, &taken, 2 * c)
    work.jump_moments.extras = _take(scratch, &taken, 2 * c)
    work.kink_moments.extras = _take(scratch, &taken, 2 * c)
    work.jump_moments.sums = _take(scratch, &taken, c * m * MAX_LANES)
    work.kink_moments.sums = _take(scratch, &taken, c * m * MAX_LANES)
    work.jump_moments.totals = _take(scratch, &taken, c * m)
    work.kink_moments.totals = _take(scratch, &taken, c * m)
    work.columns = _take(scratch, &taken, work.integration.n_columns)
    work.local_sums = _take(scratch, &taken, c * MAX_LOCAL * MAX_LANES)
    work.local_moments = _take(scratch, &taken, c * MAX_LOCAL)
    work.kinks.r, work.kinks.e = work.r, work.e
    work.kinks.weights = _take(scratch, &taken, c * STRIDE)
    work.kinks.moments = &work.kink_moments
    work.kinks.count = 0
    for level in range(LEVELS):
        work.jumps[level].r = _take(scratch, &taken, STRIDE)
        work.jumps[level].e = _take(scratch, &taken, STRIDE)
        work.jumps[level].weights = _take(scratch, &taken, c * STRIDE)
        work.jumps[level].moments = &work.jump_moments
        work.jumps[level].count = 0
    work.jump_moments.used = work.kink_moments.used = False
    return taken


cdef void _clear(double* x, Py_ssize_t n) noexcept nogil:
    memset(x, 0, n * sizeof(double))


# --- from nodes to moments -------------------------------------------------------------------------


cdef inline double _angle(double e) noexcept nogil:
    """How far from the left end of the axis, as an angle: acos(-r)."""
    return 2 * asin(sqrt(e / 2)) if e >= 0 else M_PI - 2 * asin(sqrt(-e / 2))


cdef inline double _distance(double r) noexcept nogil:
    """From the nearer end, as well as r knows it."""
    return fmax(0, r + 1) if r <= 0 else -fmax(TINY, 1 - r)


cdef inline double _step(const double* r, const double* e, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """From one position to another, to the last digit where both lie in one half."""
    return e[j] - e[i] if (e[i] >= 0) == (e[j] >= 0) else r[j] - r[i]


cdef inline void _move(double r, double e, double step, double* new_r, double* new_e) noexcept nogil:
    """Go a step from a position."""
    new_r[0] = r + step
    new_e[0] = e + step
    if (e >= 0) != (r + step <= 0) or fabs(new_e[0]) > 1:  # into the other half
        new_e[0] = _distance(r + step)


cdef void _place(Chart chart, int sequence, Py_ssize_t n, const double* r, const double* e,
                 double* node) noexcept nogil:
    """The argument of the recurrence and its first two terms at every node."""
    cdef double* x = node
    cdef double* first = node + STRIDE
    cdef double* before = node + 2 * STRIDE
    cdef Py_ssize_t j
    if chart == LEGENDRE:
        simd.begin(n, r, x, first, before)
    elif chart == CHEBYSHEV:
        for j in range(n):
            x[j] = 2 * r[j]
            first[j] = 0
            before[j] = -sqrt(fabs(e[j]) * (2 - fabs(e[j])))
    elif chart == FOURIER:
        for j in range(n):
            x[j] = 2 * cos(2 * M_PI * r[j])
            first[j] = 1 - sequence
            before[j] = -sin(2 * M_PI * r[j]) if sequence else x[j] / 2
    else:
        for j in range(n):
            first[j] = exp(r[j])
            x[j] = 4 * first[j] - 2 if chart == WARPED else -r[j]
            before[j] = 0


cdef void _add_extras(Chart chart, Py_ssize_t n, const double* r, const double* e, const double* w,
                      double* extras) noexcept nogil:
    """The antiderivatives that leave the span of the basis: of 1 for Fourier, of theta' for Chebyshev."""
    cdef Py_ssize_t j
    cdef double angle
    if chart == FOURIER:
        for j in range(n):
            extras[0] += w[j] * r[j]
            extras[1] += w[j] * r[j] * r[j] / 2
    elif chart == CHEBYSHEV:
        for j in range(n):
            angle = _angle(e[j])
            extras[0] += w[j] * angle
            extras[1] += w[j] * angle * r[j]


cdef Py_ssize_t _pad(const Work* work, Nodes* nodes) noexcept nogil:
    """Fill the last vector with nodes that weigh nothing; return the number of nodes with them."""
    cdef Py_ssize_t n = nodes.count, padded = (n + simd.lanes - 1) // simd.lanes * simd.lanes, c, j
    for j in range(n, padded):
        nodes.r[j] = nodes.r[n - 1]
        nodes.e[j] = nodes.e[n - 1]
        for c in range(work.n_channels):
            nodes.weights[c * STRIDE + j] = 0
    return padded


cdef void _add(Work* work, Nodes* nodes, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Add the moments of some of the waiting nodes, whole vectors of them, to their sums."""
    cdef Moments* moments = nodes.moments
    cdef Py_ssize_t c, size = work.n_channels * work.recurrence.n_moments * simd.lanes
    cdef int sequence
    if begin == end:
        return
    if not moments.used:
        _clear(moments.extras, 2 * work.n_channels)
        _clear(moments.sums, work.n_sequences * size)
        moments.used, moments.folded, moments.count = True, False, 0
    if moments.count >= FOLD * simd.lanes:
        _fold(work, moments)
    moments.count += end - begin
    for c in range(work.n_channels):
        _add_extras(work.chart, end - begin, nodes.r + begin, nodes.e + begin, nodes.weights + c * STRIDE + begin,
                    moments.extras + 2 * c)
    for sequence in range(work.n_sequences):
        _place(work.chart, sequence, end - begin, nodes.r + begin, nodes.e + begin, work.node)
        simd.moments(&work.recurrence, end - begin, work.n_channels, work.node, work.node + STRIDE,
                     work.node + 2 * STRIDE, nodes.weights + begin, STRIDE, moments.sums + sequence * size)


cdef void _fold(const Work* work, Moments* moments) noexcept nogil:
    """Add up the lanes.

    What nearly cancels over a stretch of nodes, as the jumps of noise do, does not cancel in a lane, which sees a few
    of them only: its partial sums grow with their number, and so does what they lose to rounding.
    """
    cdef Py_ssize_t n = work.n_sequences * work.n_channels * work.recurrence.n_moments
    if not moments.folded:
        _clear(moments.totals, n)
        moments.folded = True
    simd.fold(n, moments.sums, moments.totals)
    moments.count = 0


cdef void _sum(const Work* work, const Moments* moments, int sequence, Py_ssize_t c, double* out) noexcept nogil:
    """The moments of one channel."""
    cdef Py_ssize_t n = work.recurrence.n_moments, i, row = (sequence * work.n_channels + c) * n
    simd.reduce(n, moments.sums + row * simd.lanes, out)
    if moments.folded:
        for i in range(n):
            out[i] += moments.totals[row + i]


# --- many jumps as few -----------------------------------------------------------------------------


cdef void _drain(Work* work, int level) noexcept nogil:
    """Empty a row of jumps: into the next one what few nodes can stand for, and the rest into the sums."""
    cdef Nodes* nodes = &work.jumps[level]
    cdef Py_ssize_t kept = 0, end = _pad(work, nodes)
    if level < LEVELS - 1 and end >= FEW:
        kept = _condense(work, level, 0, end, 0)
    _add(work, nodes, kept, end)
    nodes.count = 0


cdef void _drain_all(Work* work) noexcept nogil:
    cdef int level
    for level in range(LEVELS):
        _drain(work, level)


cdef Py_ssize_t _condense(Work* work, int level, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t kept) noexcept nogil:
    """Find what few nodes can stand for among nodes begin .. end - 1.

    Nodes kept .. begin - 1 are left over from before; what is left over after this begins where it returns. All of
    these are multiples of MAX_LANES, but for the end of the row, which is padded.
    """
    cdef Nodes* nodes = &work.jumps[level]
    cdef Py_ssize_t n = end - begin, middle
    cdef double a = nodes.r[begin], b = nodes.r[end - 1]
    cdef double phase, cost, apart = n * <double> work.recurrence.n_moments
    cdef const double* rule
    cdef const double* finer
    if n < FEW or apart < LEAST:
        return kept
    if not _hopeless(work, n, b - a):
        phase = _half_phase(work, a, b)
        rule = _local_rule(work, phase, a, b)
        if rule != NULL:
            cost = _cost(work, n, rule[0], phase)
            finer = _local_rule(work, phase / 2, a, b)
            if cost < 0.8 * apart and cost <= 2 * _cost(work, n / 2.0, finer[0], phase / 2):
                _add(work, nodes, kept, begin)
                _substitute(work, level, begin, n, rule)
                return end
    if n < 2 * FEW:
        return kept
    middle = begin + n // (2 * MAX_LANES) * MAX_LANES
    kept = _condense(work, level, begin, middle, kept)
    return _condense(work, level, middle, end, kept)


cdef double _cost(const Work* work, double n, double p, double phase) noexcept nogil:
    """Of p nodes that take the place of n, in updates of one moment by one node.

    To make their weights; and then, each meets the basis, or is one of many of which FINAL nodes a unit of phase are
    left in the end.
    """
    cdef double m = work.recurrence.n_moments
    return n * p + p * p / 2 + fmin(p * m, p * LATER + FINAL * phase * m) + OVERHEAD


cdef bint _hopeless(const Work* work, Py_ssize_t n, double length) noexcept nogil:
    """Whether n nodes on such a length are certainly too few to be replaced; cheaper to tell than their phase."""
    cdef double least = work.order * length / 2 if work.chart <= CHEBYSHEV else 0  # as theta is longer than r
    cdef Py_ssize_t i
    for i in range(work.n_local):
        if least <= work.limits[i]:
            return _cost(work, n, work.numbers[i], least) >= 0.8 * n * work.recurrence.n_moments
    return True


cdef double _decay(const Work* work, double a, double b) noexcept nogil:
    """The logarithm of how fast polynomials converge between a and b to what the basis is there, beyond its turning.

    What is no polynomial is sin(theta), which branches at the ends of the axis: the larger the ellipse with foci a and
    b that leaves them out, the faster.
    """
    cdef double far
    if work.chart != CHEBYSHEV:
        return INFINITY
    far = (1 - fmax(fabs(a), fabs(b))) / ((b - a) / 2)  # from the nearer focus, in half the distance of the foci
    return log1p(far + sqrt(far * (2 + far)))


cdef const double* _local_rule(const Work* work, double phase, double a, double b) noexcept nogil:
    """The fewest nodes that can stand for those between a and b, or NULL."""
    cdef double decay
    cdef Py_ssize_t i
    if not b - a > 1e-100:  # there may be nothing in between
        return NULL
    decay = _decay(work, a, b)
    for i in range(work.n_local):
        if phase <= work.limits[i] and work.numbers[i] * decay >= DIGITS:
            return work.local + i * (2 + MAX_LOCAL * (1 + MAX_LOCAL))
    return NULL


cdef void _substitute(Work* work, int level, Py_ssize_t begin, Py_ssize_t n, const double* rule) noexcept nogil:
    """Enter nodes into the next row as a few Chebyshev nodes.

    A polynomial g of degree below p is sum_i g(x_i) l_i, so nodes x_i with weights sum_j w_j l_i(r_j) stand for nodes
    r_j with weights w_j; l_i = 2/p sum_m T_m(x_i) T_m asks for the moments of the T_m only.
    """
    cdef Nodes* nodes = &work.jumps[level]
    cdef Nodes* few = &work.jumps[level + 1]
    cdef Py_ssize_t p = <Py_ssize_t> rule[0], i, c
    cdef bint near = work.chart == CHEBYSHEV and (nodes.e[begin] >= 0) == (nodes.e[begin + n - 1] >= 0)
    cdef double* place = nodes.e if near else nodes.r  # in one half, distances are as good as positions, and better
    cdef double middle = (place[begin] + place[begin + n - 1]) / 2, half = (place[begin + n - 1] - place[begin]) / 2
    cdef recurrence_t chebyshev
    if few.count + p > NODES:
        _drain(work, level + 1)
    chebyshev.n_moments, chebyshev.slope, chebyshev.shift, chebyshev.back = p, NULL, NULL, work.ones
    simd.affine(n, place + begin, middle, half, work.node, work.node + 2 * STRIDE)
    simd.fill(n, 1, work.node + STRIDE)
    _clear(work.local_sums, work.n_channels * p * simd.lanes)
    simd.moments(&chebyshev, n, work.n_channels, work.node, work.node + STRIDE, work.node + 2 * STRIDE,
                 nodes.weights + begin, STRIDE, work.local_sums)
    simd.reduce(work.n_channels * p, work.local_sums, work.local_moments)
    for i in range(p):
        few.r[few.count + i] = middle + half * rule[2 + i]
        if near:
            few.e[few.count + i] = few.r[few.count + i]
            few.r[few.count + i] += -1 if middle >= 0 else 1
        elif work.chart == CHEBYSHEV:
            few.e[few.count + i] = _distance(few.r[few.count + i])
    for c in range(work.n_channels):
        simd.combine(p, rule + 2 + MAX_LOCAL, MAX_LOCAL, work.local_moments + c * p,
                     few.weights + c * STRIDE + few.count)
    few.count += p


# --- short segments as smeared jumps ---------------------------------------------------------------


cdef double _half_phase(const Work* work, double a, double b) noexcept nogil:
    """How far, at most, the fastest basis function turns between a and b, halved."""
    cdef double n = work.order + 2
    if work.chart == FOURIER:
        return M_PI / 2 * n * (b - a)
    if work.chart == LAGUERRE:
        return sqrt(n) * (sqrt(-a) - sqrt(-b)) + (b - a) / 2
    if work.chart == WARPED:
        return n / 2 * (acos(2 * exp(a) - 1) - acos(2 * exp(b) - 1)) + (b - a) / 2
    return _turn(n, a, b)


cdef double _turn(double n, double a, double b) noexcept nogil:
    """How far a polynomial of degree n on [-1, 1] turns between a and b, at most, halved."""
    cdef double room = fmax(fabs(a), fabs(b))
    room = (1 - room) * (1 + room)
    if room > 4 * (b - a):  # dtheta = dr / sin(theta), bounded where the sine is least
        return n / 2 * (b - a) / sqrt(room)
    return n / 2 * (acos(fmax(a, -1)) - acos(fmin(b, 1)))


cdef int _gauss_rule(const double* gauss, double phase) noexcept nogil:
    """Index of the smallest Gauss rule that is exact over a half phase, which is one less than its nodes, or -1."""
    cdef int q
    for q in range(MAX_GAUSS):
        if phase <= gauss[q * (1 + 2 * MAX_GAUSS)]:
            return q
    return -1


cdef int _enter_short_segment(Work* work, Py_ssize_t i) noexcept nogil:
    """Enter the rise from point i to i + 1 as jumps at Gauss nodes; 0 if the basis turns too far in between."""
    cdef double a = work.r[i], b = work.r[i + 1], total = 0, from_left, from_right, angle, width
    cdef double[MAX_GAUSS] position
    cdef double[MAX_GAUSS] distance
    cdef double[MAX_GAUSS] share
    cdef const double* rule = work.gauss
    cdef Nodes* nodes = &work.jumps[0]
    cdef Py_ssize_t c, j
    cdef int q = 1 + _gauss_rule(work.gauss, 0 if b <= a else _half_phase(work, a, b)), k
    if q == 0:
        return 0
    if q == 1 and work.chart == CHEBYSHEV and work.e[i] != work.e[i + 1]:
        q = 2  # as smooth as the functions are in the angle, it is squares of it that count at an end
    rule += (q - 1) * (1 + 2 * MAX_GAUSS)
    if nodes.count + q > NODES:
        _drain(work, 0)
    for k in range(q):
        position[k] = a + (b - a) * rule[1 + k]
        share[k] = rule[1 + MAX_GAUSS + k]
        if work.chart == CHEBYSHEV:
            distance[k] = work.e[i]
            if q > 1:  # smooth in the angle, not in r: dr = sin(angle) d(angle), from the nearer end
                if work.e[i + 1] < 0 and work.e[i] < 0:
                    from_right = 2 * asin(sqrt(-work.e[i] / 2))
                    width = from_right - 2 * asin(sqrt(-work.e[i + 1] / 2))
                    angle = from_right - width * rule[1 + k]
                    distance[k] = -2 * sin(angle / 2) ** 2
                    position[k] = 1 + distance[k]
                else:
                    from_left = _angle(work.e[i])
                    width = _angle(work.e[i + 1]) - from_left
                    angle = from_left + width * rule[1 + k]
                    position[k] = -cos(angle)
                    distance[k] = 2 * sin(angle / 2) ** 2 if position[k] <= 0 else _distance(position[k])
                share[k] *= sin(angle)
        total += share[k]
    for k in range(q):
        j = nodes.count
        nodes.r[j] = position[k]
        if work.chart == CHEBYSHEV:
            nodes.e[j] = distance[k]
        for c in range(work.n_channels):
            nodes.weights[c * STRIDE + j] = (
                (work.y[c * STRIDE + i + 1] - work.y[c * STRIDE + i]) * (share[k] / total))
        nodes.count += 1
    return 1


cdef void _enter_short_segments(Work* work, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """Enter the short ones among a few segments as jumps, and leave none of their slopes to the kinks."""
    cdef Py_ssize_t[SOME] which
    cdef Nodes* nodes = &work.jumps[0]
    cdef const double* rule = work.gauss
    cdef Py_ssize_t n = 0, i, j, c
    cdef double a, b, widest = 0, rise
    cdef double* target
    cdef int k, q
    for i in range(begin, end):
        which[n] = i
        if work.gap[i] < work.short_gap:
            n += 1
            widest = fmax(widest, work.gap[i])
    if n == 0:
        return
    # As many Gauss nodes for each as the longest would need where the basis turns fastest, which is at one of the ends;
    a, b = work.r[which[0]], work.r[which[n - 1] + 1]
    q = 1 + _gauss_rule(work.gauss, fmax(_half_phase(work, a, a + widest), _half_phase(work, b - widest, b)))
    if q == 0 or q > 5 or work.chart == CHEBYSHEV:
        for j in range(n):  # or each as it needs
            if _enter_short_segment(work, which[j]):
                work.inverse[which[j]] = 0
        return
    if nodes.count + n * q > NODES:
        _drain(work, 0)
    rule += (q - 1) * (1 + 2 * MAX_GAUSS) + 1
    target = nodes.r + nodes.count
    for j in range(n):
        i = which[j]
        work.inverse[i] = 0
        for k in range(q):
            target[j * q + k] = work.r[i] + work.gap[i] * rule[k]
    for c in range(work.n_channels):
        target = nodes.weights + c * STRIDE + nodes.count
        for j in range(n):
            rise = work.y[c * STRIDE + which[j] + 1] - work.y[c * STRIDE + which[j]]
            for k in range(q):
                target[j * q + k] = rise * rule[MAX_GAUSS + k]
    nodes.count += n * q


# --- from chunks of points to nodes ----------------------------------------------------------------


cdef int _smear(const Work* work, Py_ssize_t n_segments, double widest) noexcept nogil:
    """How many Gauss nodes a segment to enter a line by its jumps: where all gaps are short, or a few nodes will stand
    for all of these; or 0."""
    cdef double a = work.r[0], b = work.r[n_segments], phase, along = 0
    cdef const double* rule
    cdef int q
    if n_segments < FEW:
        return 0
    if widest >= work.short_gap:
        if _hopeless(work, n_segments, b - a):
            return 0
        along = _half_phase(work, a, b)
        rule = _local_rule(work, along, a, b)
        if rule == NULL:
            return 0
    # A basis turns fastest at one of the ends.
    phase = fmax(_half_phase(work, a, a + widest), _half_phase(work, b - widest, b))
    q = 1 + _gauss_rule(work.gauss, phase)
    if 2 * q * fmin(_decay(work, a, a + widest), _decay(work, b - widest, b)) < DIGITS:
        return 0
    if widest < work.short_gap:
        return q
    if _cost(work, q * n_segments, rule[0], along) < 0.8 * n_segments * work.recurrence.n_moments:
        return q
    return 0


cdef void _enter_dense_line(Work* work, Py_ssize_t n_segments, int q) noexcept nogil:
    """Enter a line as jumps, each rise spread over q Gauss nodes."""
    cdef Nodes* nodes = &work.jumps[0]
    cdef const double* rule = work.gauss + (q - 1) * (1 + 2 * MAX_GAUSS)
    cdef Py_ssize_t begin = 0, n, i, c, k
    cdef double* target
    while begin < n_segments:
        n = min(n_segments - begin, NODES // q)
        if nodes.count + n * q > NODES:
            _drain(work, 0)
        target = nodes.r + nodes.count
        for i in range(n):
            for k in range(q):
                target[i * q + k] = work.r[begin + i] + work.gap[begin + i] * rule[1 + k]
        if work.chart == CHEBYSHEV:
            for i in range(n):
                for k in range(q):
                    _move(work.r[begin + i], work.e[begin + i], work.gap[begin + i] * rule[1 + k],
                          target + i * q + k, nodes.e + nodes.count + i * q + k)
        for c in range(work.n_channels):
            simd.steps(n, work.y + c * STRIDE + begin, work.slope)
            target = nodes.weights + c * STRIDE + nodes.count
            for i in range(n):
                for k in range(q):
                    target[i * q + k] = work.slope[i] * rule[1 + MAX_GAUSS + k]
        nodes.count += n * q
        begin += n


cdef void _bend(Work* work) noexcept nogil:
    """Turn a line that was entered by its kinks to the horizontal, where it goes on as jumps."""
    cdef Py_ssize_t c
    cdef bint flat = True
    for c in range(work.n_channels):
        flat = flat and work.before[c] == 0
        work.kinks.weights[c * STRIDE] = -work.before[c]
    if not flat:
        work.kinks.count = 1
        work.kinks.r, work.kinks.e = work.slope, work.inverse  # places of their own: they are padded
        work.kinks.r[0], work.kinks.e[0] = work.r[0], work.e[0]
        _add(work, &work.kinks, 0, _pad(work, &work.kinks))
        work.kinks.r, work.kinks.e = work.r, work.e
        _clear(work.before, work.n_channels)


cdef void _enter_line(Work* work, Py_ssize_t n, bint ends) noexcept nogil:
    """Enter n points of a broken line; the point after them is there too, unless the line ends."""
    cdef Py_ssize_t i, c, n_segments = n - 1 if ends else n
    cdef Clock* clock = work.clock
    cdef int q
    if not work.same:
        clock.widest = simd.gaps(n_segments, work.r, work.gap, &clock.least)
        if work.chart == CHEBYSHEV:
            clock.widest, clock.least = 0, INFINITY
            for i in range(n_segments):
                work.gap[i] = _step(work.r, work.e, i, i + 1)
                clock.widest, clock.least = fmax(clock.widest, work.gap[i]), fmin(clock.least, work.gap[i])
    q = _smear(work, n_segments, clock.widest)
    if q > 0:
        _bend(work)
        _enter_dense_line(work, n_segments, q)
        return
    if not work.same:
        simd.invert(n_segments, work.gap, work.inverse)
    if clock.least < work.short_gap:
        clock.length = 0
        i = 0
        while i < n_segments:
            _enter_short_segments(work, i, min(i + <Py_ssize_t> SOME, n_segments))
            i += SOME
    if ends:
        work.inverse[n - 1] = 0
    for c in range(work.n_channels):
        if ends:
            work.y[c * STRIDE + n] = 0
        work.slope[0] = work.before[c]
        simd.kinks(n, work.y + c * STRIDE, work.inverse, work.slope, work.kinks.weights + c * STRIDE)
        work.before[c] = work.slope[n]
    work.kinks.count = n
    _add(work, &work.kinks, 0, _pad(work, &work.kinks))


cdef void _enter_steps(Work* work, Py_ssize_t n, bint ends) noexcept nogil:
    """Enter n points of a staircase, y_i up to r_i and y_{i + 1} after it; the last point has no step."""
    cdef Nodes* nodes = &work.jumps[0]
    cdef Py_ssize_t c, n_steps = n - 1 if ends else n
    if nodes.count + n_steps > NODES:
        _drain(work, 0)
    memcpy(nodes.r + nodes.count, work.r, n_steps * sizeof(double))
    if work.chart == CHEBYSHEV:
        memcpy(nodes.e + nodes.count, work.e, n_steps * sizeof(double))
    for c in range(work.n_channels):
        simd.steps(n_steps, work.y + c * STRIDE, nodes.weights + c * STRIDE + nodes.count)
    nodes.count += n_steps


# --- from a series to chunks of points -------------------------------------------------------------


cdef inline double _time(const double* times, Py_ssize_t j) noexcept nogil:
    return <double> j if times == NULL else times[j]


cdef void _find(Observed* near, const floating* v, Py_ssize_t stride, Py_ssize_t length, Py_ssize_t j) noexcept nogil:
    """Set the neighbours of the gap before observation j, and nothing further than needed."""
    near.last = j - 1
    while near.last >= 0 and isnan(v[near.last * stride]):
        near.last -= 1
    near.next = j
    while near.next < length and isnan(v[near.next * stride]):
        near.next += 1


cdef inline double _between(const floating* v, Py_ssize_t stride, Py_ssize_t length, const double* times,
                            Observed near, double origin, double t, bint hold) noexcept nogil:
    """The channel's interpolant at a time since the origin, between two of its own observations, or beyond them."""
    cdef double a, b, start, stop, share
    if near.next == length:
        return v[near.last * stride] if near.last >= 0 else NAN
    b = v[near.next * stride]
    if hold or near.last < 0:
        return b
    a = v[near.last * stride]
    start = _time(times, near.last) - origin
    stop = _time(times, near.next) - origin
    if not stop > start:
        return a
    share = (t - start) / (stop - start)
    return a + (b - a) * share if fabs(b - a) <= DBL_MAX else a * (1 - share) + b * share


cdef void _fill(const floating* v, Py_ssize_t stride, Py_ssize_t length, const double* times,
                Py_ssize_t begin, Py_ssize_t end, bint hold, Observed* near, double* y) noexcept nogil:
    """One channel's observations begin..end - 1, the missing ones interpolated.

    ``near`` goes along from call to call, so that a long gap is searched once; it begins with next = -1, not known.
    """
    cdef Py_ssize_t j
    for j in range(begin, end):
        if not isnan(v[j * stride]):
            y[j - begin] = v[j * stride]
        else:
            if near.next < j:
                _find(near, v, stride, length, j)
            y[j - begin] = _between(v, stride, length, times, near[0], 0, _time(times, j), hold)


cdef Py_ssize_t _first_after(const double* times, Py_ssize_t length, double origin, double t) noexcept nogil:
    """Index of the first observation later than t since the origin, by bisection."""
    cdef Py_ssize_t low = 0, high = length, middle
    while low < high:
        middle = (low + high) // 2
        if _time(times, middle) - origin > t:
            high = middle
        else:
            low = middle + 1
    return low


cdef void _project(Work* work, const floating* values, const double* times, Py_ssize_t length,
                   double timescale, bint missing, bint hold, bint endless) noexcept nogil:
    """Enter one series: its last values, and the jumps and kinks of its interpolant inside the window.

    Before the series began there was nothing, or, if it is endless, the first value of each channel.
    """
    cdef Py_ssize_t n_channels = work.n_channels, c, j, k, skip = 0, lead = 0, begin, n, points
    cdef double last = _time(times, length - 1)
    cdef double start = _time(times, 0) - last  # times here are since the last one, so that large ones lose no digits
    cdef double cell = 0, opens, unit, base, width = work.high - work.low
    cdef bint exponential = work.chart == WARPED or work.chart == LAGUERRE, partial, ends
    cdef Observed near
    for c in range(n_channels):
        work.near[c].next = -1
        near.last = length - 1
        while missing and near.last >= 0 and isnan(values[near.last * n_channels + c]):
            near.last -= 1
        work.last[c] = work.unit * values[near.last * n_channels + c] if near.last >= 0 else NAN
    if start >= 0:  # no duration: a constant function, of its last value, or all that is in the window is the past
        for c in range(n_channels):
            if timescale > 0 and not isnan(work.last[c]):
                j = 0
                while endless and isnan(values[j * n_channels + c]):
                    j += 1
                work.last[c] = work.unit * values[j * n_channels + c] if endless else 0
        return

    if hold:  # the first cell is as long as the next one
        cell = _time(times, 1) - _time(times, 0)
        if cell == 0:
            cell = _time(times, _first_after(times, length, _time(times, 0), 0)) - _time(times, 0)
        start -= cell
    opens = start if timescale == 0 else -timescale * (work.reach if exponential else 1)
    if fabs(opens - start) <= 4 * DBL_EPSILON * timescale:
        opens = start  # a window of just the series' length, but for the rounding of a difference
    unit = timescale if exponential else -opens
    # Since the first time where the window begins with the series, so that its own differences count; else the last.
    work.origin, work.lead = last, timescale
    if timescale == 0 or (opens == start and not hold):
        work.origin, work.lead = _time(times, 0), cell
    base = 0 if exponential else work.high  # r at the last time
    if timescale > 0 and opens > start:
        skip = _first_after(times, length, last, opens)
        lead = 1 if skip > 0 and not hold else 0  # the line is cut where the window opens
        start = opens
    partial = exponential or opens < start  # the window reaches back beyond the series

    work.short_gap = SHORT * sqrt(<double> length) * width
    if partial:
        work.short_gap /= fmin(1, -start / timescale)
        if exponential:  # the antiderivatives of whose functions do not decay with n
            work.short_gap *= 10

    points = length - skip + lead
    work.same = times == NULL and points == length == work.clock.length and unit == work.clock.unit
    work.clock.length = length if times == NULL and points == length <= CHUNK else 0
    work.clock.unit = unit
    begin = 0
    while begin < points:
        n = min(CHUNK, points - begin)
        ends = begin + n == points
        k = 0
        if begin == 0 and lead:
            work.r[0], work.e[0] = base + width * (start / unit), 0
            for c in range(n_channels):
                if missing:
                    _find(&near, values + c, n_channels, length, skip)
                else:
                    near.last, near.next = skip - 1, skip
                work.y[c * STRIDE] = work.unit * _between(
                    values + c, n_channels, length, times, near, last, start, hold)
            k = 1
        # Points begin + k .. begin + n (the one after the chunk too, unless the series ends).
        j = begin + k + skip - lead
        _read(work, values, times, length, last, unit, base, missing, hold, j, n - k + (not ends), k)
        if begin == 0:
            _clear(work.before, n_channels)
            if not (partial or hold):
                work.r[0], work.e[0] = work.low, 0  # to the last bit
            if partial and not endless:
                work.jumps[0].r[0] = base + width * (start / unit)
                if work.chart == CHEBYSHEV:
                    work.jumps[0].e[0] = _from_ends(work, _time(times, 0) - cell, last, unit)
                for c in range(n_channels):
                    work.jumps[0].weights[c * STRIDE] = work.y[c * STRIDE]
                work.jumps[0].count = 1
        if hold:
            _enter_steps(work, n, ends)
        else:
            _enter_line(work, n, ends)
        begin += n
    _drain_all(work)


cdef double _from_ends(const Work* work, double t, double last, double unit) noexcept nogil:
    """Where a time lies, from the nearer end of the window [origin - lead, last], whose length is the unit."""
    cdef double since = t - work.origin, lost = t - (work.origin + since)  # exact together, where the times are near
    cdef double left = 2 * ((since + work.lead) + lost) / unit
    return fmax(0, left) if left <= 1 else -fmax(TINY, 2 * (last - t) / unit)


cdef void _read(Work* work, const floating* values, const double* times, Py_ssize_t length, double last,
                double unit, double base, bint missing, bint hold, Py_ssize_t j, Py_ssize_t n,
                Py_ssize_t k) noexcept nogil:
    """Copy observations j .. j + n - 1 to the places from k on of the chunk, channel by channel."""
    cdef Py_ssize_t c, i, n_channels = work.n_channels
    cdef const floating* v
    cdef double* y
    if not work.same:
        simd.ramp(n, NULL if times == NULL else times + j, <double> j, last, unit, base, work.high - work.low, base,
                  work.chart == CHEBYSHEV, work.r + k)  # whose basis has infinite slopes at the ends
        if work.chart == CHEBYSHEV:
            for i in range(n):
                work.e[k + i] = _from_ends(work, _time(times, j + i), last, unit)
    for c in range(n_channels):
        y = work.y + c * STRIDE + k
        v = values + j * n_channels + c
        if missing:
            _fill(values + c, n_channels, length, times, j, j + n, hold, work.near + c, y)
        elif floating is double:
            simd.pick(n, v, n_channels, y)
        else:
            simd.pick_float(n, v, n_channels, y)
        if work.unit != 1:
            for i in range(n):
                y[i] *= work.unit


# --- from moments to coefficients ------------------------------------------------------------------


cdef void _integrate(const Work* work, floating* out, Py_ssize_t stride) noexcept nogil:
    """Write the coefficients of all channels, (n_channels, order), from the moments of a series and its last values."""
    cdef Py_ssize_t m = work.recurrence.n_moments, half = work.n_sequences * m + 2, c, i, kind, sequence
    cdef const Rule* rule = &work.integration
    cdef const Moments* moments
    cdef const double* weights
    cdef double* column
    cdef Run run
    for c in range(work.n_channels):
        for kind in range(2):
            moments = &work.kink_moments if kind else &work.jump_moments
            column = work.columns + kind * half
            if moments.used:
                for sequence in range(work.n_sequences):
                    _sum(work, moments, sequence, c, column)
                    column += m
                column[0] = moments.extras[2 * c]
                column[1] = moments.extras[2 * c + 1]
        _clear(work.columns + 2 * half, rule.n_columns - 2 * half)
        weights = rule.weights
        for i in range(rule.n_runs):
            run = rule.runs[i]
            if not (run.source < half and not work.jump_moments.used
                    or half <= run.source < 2 * half and not work.kink_moments.used):
                _follow(run, weights, work.columns)
            weights += run.length
        column = work.columns + rule.n_columns - work.order
        column[0] += work.last[c]
        if isnan(work.last[c]):  # a channel without observations
            simd.fill(work.order, NAN, column)
        if work.unit != 1:
            for i in range(work.order):
                column[i] /= work.unit
        if work.unit != 1 and _are_numbers(out + c * stride, work.order):  # smaller values have fewer digits
            continue
        for i in range(work.order):
            out[c * stride + i] = <floating> column[i]


cdef bint _overflowed(const Work* work, const floating* out, Py_ssize_t stride) noexcept nogil:
    """Whether coefficients of a channel that was observed are no numbers: looked up where the processor noticed."""
    cdef Py_ssize_t c
    if not fetestexcept(FE_OVERFLOW | FE_INVALID):
        return False
    feclearexcept(FE_OVERFLOW | FE_INVALID)
    for c in range(work.n_channels):
        if not _are_numbers(out + c * stride, work.order) and not isnan(work.last[c]):
            return True
    return False


cdef inline bint _are_numbers(const floating* x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not fabs(<double> x[i]) <= DBL_MAX:
            return False
    return True


cdef inline void _follow(Run run, const double* weights, double* column) noexcept nogil:
    cdef Py_ssize_t i
    if run.target_step == 1 and run.source_step == 1 and run.source + run.length <= run.target:
        simd.multiply_add(run.length, weights, column + run.source, column + run.target)
    else:
        for i in range(run.length):
            column[run.target + i * run.target_step] += weights[i] * column[run.source + i * run.source_step]


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
        plan.clock.length = 0
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
    work.chart, work.n_sequences, work.order, work.low, work.high, work.reach, recurrence, integration = basis
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


def node_moments(
    const double[:, ::1] r,              # IN   (n_series, n_nodes)
    const double[:, :, ::1] weights,     # IN   (n_series, n_channels, n_nodes)
    tuple basis,                         # IN   see _describe
    tuple rules,                         # IN   as in project
    double[:, ::1] scratch,              # WORK (1, scratch_size(...))
    double[:, :, ::1] moments,           # OUT  (n_series, n_channels, n_moments)
):
    """Fill ``moments`` with sum_j weights_j phi_n(r_j), for a basis with one sequence."""
    cdef Work work
    cdef Nodes* nodes = &work.kinks
    cdef Py_ssize_t i, c, begin, n
    _describe(&work, basis, rules, weights.shape[1])
    with nogil:
        for i in range(r.shape[0]):
            _lay_out(&work, &scratch[0, 0])
            begin = 0
            while begin < r.shape[1]:
                n = min(<Py_ssize_t> NODES, r.shape[1] - begin)
                memcpy(nodes.r, &r[i, begin], n * sizeof(double))
                for c in range(weights.shape[1]):
                    memcpy(nodes.weights + c * STRIDE, &weights[i, c, begin], n * sizeof(double))
                nodes.count = n
                _add(&work, nodes, 0, _pad(&work, nodes))
                begin += n
            for c in range(weights.shape[1]):
                _sum(&work, &work.kink_moments, 0, c, &moments[i, c, 0])


use_simd(environ.get("SKLEARN_HIPPO_SIMD") or None)
