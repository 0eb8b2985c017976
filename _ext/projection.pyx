# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Series in, moments out: the exact projection of interpolated series, streamed through ``moments.h``.

An interpolated series is its last value plus the integral of its derivative, and the derivative of a
staircase or a broken line is a sum of point masses ("jumps") and of steps ("kinks", where the slope
changes). So the projection on any basis phi_n needs only

    jumps[n] = sum_j jump_j phi_n(r_j)      and      kinks[n] = sum_j kink_j phi_n(r_j),

which the basis then integrates once and twice (``_measures.py``). A slope over a very short gap is huge
and its two kinks nearly cancel: such a segment is entered as a smeared jump instead, by a few Gauss
nodes of its own, so that close observations cost no accuracy. Where observations are so dense that no
basis function turns much over a chunk of them, the whole chunk is replaced by a few Chebyshev nodes that
carry equivalent jumps.

Every series is read once, in chunks, into scratch memory that the caller allocates, one row a thread.
"""
from cython cimport floating
from cython.parallel cimport prange, threadid
from libc.float cimport DBL_EPSILON
from libc.math cimport acos, cos, exp, fabs, fmax, fmin, isnan, sin, sqrt, M_PI, NAN

cdef extern from "moments.h" nogil:
    enum: MAX_LANES, NODE_BLOCK
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
        void kinks(Py_ssize_t, const double*, const double*, double*, double*) noexcept nogil
    simd_t simd
    int select_simd(const char*)

cpdef enum Chart:  # how a basis is laid out along r, the coordinate in which the interpolant is linear
    LEGENDRE       # P_n(r) on [-1, 1]
    CHEBYSHEV      # sin(n theta), r = cos(theta) on [-1, 1]: the antiderivatives of T_n under its weight
    FOURIER        # cos(2 pi n r), then sin(2 pi n r), on [0, 1]
    WARPED         # P_n(2 w - 1) w, w = exp(r) on (-inf, 0], the end of the series being at 0
    LAGUERRE       # L_n(-r) exp(r) on (-inf, 0]

cdef enum:
    CHUNK = 256        # nodes at a time
    STRIDE = CHUNK + 2 * NODE_BLOCK  # of one row of nodes in the scratch memory: room for a little more, and padding
    MAX_GAUSS = 8
    MAX_LOCAL = 96     # Chebyshev nodes that may stand for a dense chunk

# Kinks lose about eps / (gap * range) to cancellation, gap and range of the series relative to that of r, summed over
# its length. Gaps below SHORT * sqrt(length) / range may be entered as jumps, which lose eps / range at most.
cdef double SHORT = 3e-5

cdef struct Nodes:     # a row of nodes that wait for the kernel, and where their moments go
    Py_ssize_t count
    double* r          # (STRIDE,)
    double* weights    # (n_channels, STRIDE)
    double* sums       # (n_sequences, n_channels, n_moments, lanes)
    double* extras     # (n_channels, 2)

cdef struct Observed:  # the neighbours of a point among a channel's own observations; -1 and length: none
    Py_ssize_t last, next

cdef struct Work:      # all that one thread needs
    Chart chart
    Py_ssize_t n_channels, order
    double short_gap
    Observed* near     # (n_channels,)
    double low, high   # the range of r; 0 and 1, so that r counts timescales, where it has no end
    recurrence_t recurrence
    const double* gauss       # (MAX_GAUSS, 1 + 2 MAX_GAUSS): limit of the half phase, nodes, weights
    const double* local       # (n_local, 2 + MAX_LOCAL (1 + MAX_LOCAL)): number, limit, places, weights by moments
    Py_ssize_t n_local
    const double* ones        # (MAX_LOCAL,)
    Nodes jumps, kinks
    Nodes local_jumps         # inside of a dense chunk, in its own coordinate
    double* moments           # (n_channels, MAX_LOCAL) of these
    double* r          # (STRIDE,) positions of the points of a chunk and of the one after it
    double* inverse    # (STRIDE,)
    double* slope      # (STRIDE,)
    double* y          # (n_channels, STRIDE)
    double* before     # (n_channels,) slope of the last segment of the previous chunk
    double* node       # (3, STRIDE) x, p_0 and p_{-1} of the nodes


def simd_name():
    """Name of the instruction set in use."""
    return simd.name.decode()


def use_simd(name=None):
    """Choose the instruction set by name, the best one for None."""
    cdef bytes encoded = b"" if name is None else name.encode()
    cdef const char* chosen = NULL if name is None else <const char*> encoded
    if not select_simd(chosen):
        raise ValueError(f"This machine or build does not offer {name!r}.")


def scratch_size(Py_ssize_t n_channels, Py_ssize_t n_moments, Py_ssize_t n_sequences):
    """Doubles of scratch memory that one thread needs."""
    return (STRIDE * (4 * n_channels + 9) + n_channels * (9 + 2 * n_sequences * n_moments * MAX_LANES)
            + n_channels * MAX_LOCAL * (1 + MAX_LANES) + MAX_LANES)


cdef double* _take(double** free, Py_ssize_t size) noexcept nogil:
    cdef double* taken = free[0]
    free[0] += size
    return taken


cdef void _lay_out(Work* work, double* free, Py_ssize_t n_sequences) noexcept nogil:
    cdef Py_ssize_t c = work.n_channels, sums = n_sequences * c * work.recurrence.n_moments * simd.lanes
    work.r = _take(&free, STRIDE)
    work.inverse = _take(&free, STRIDE)
    work.slope = _take(&free, STRIDE)
    work.node = _take(&free, 3 * STRIDE)
    work.y = _take(&free, c * STRIDE)
    work.before = _take(&free, c)
    work.near = <Observed*> _take(&free, 2 * c)
    work.jumps.r = _take(&free, STRIDE)
    work.kinks.r = work.r
    work.jumps.weights = _take(&free, c * STRIDE)
    work.kinks.weights = _take(&free, c * STRIDE)
    work.local_jumps.r = _take(&free, STRIDE)
    work.local_jumps.weights = _take(&free, c * STRIDE)
    work.local_jumps.sums = _take(&free, c * MAX_LOCAL * MAX_LANES)
    work.moments = _take(&free, c * MAX_LOCAL)
    work.jumps.extras = _take(&free, 2 * c)
    work.kinks.extras = _take(&free, 2 * c)
    work.jumps.sums = _take(&free, sums)
    work.kinks.sums = _take(&free, sums)


cdef void _clear(double* x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] = 0


# --- from nodes to moments -------------------------------------------------------------------------


cdef void _place(Chart chart, int sequence, Py_ssize_t n, const double* r, double* node) noexcept nogil:
    """The argument of the recurrence and its first two terms at every node."""
    cdef double* x = node
    cdef double* first = node + STRIDE
    cdef double* before = node + 2 * STRIDE
    cdef Py_ssize_t j
    if chart == LEGENDRE:
        for j in range(n):
            x[j] = 2 * r[j]
            first[j] = 1
            before[j] = 0
    elif chart == CHEBYSHEV:
        for j in range(n):
            x[j] = 2 * r[j]
            first[j] = 0
            before[j] = -sqrt(fmax(0, (1 - r[j]) * (1 + r[j])))
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


cdef void _add_extras(Chart chart, Py_ssize_t n, const double* r, const double* w, double* extras) noexcept nogil:
    """The antiderivatives that leave the span of the basis: of 1 for Fourier, of theta' for Chebyshev."""
    cdef Py_ssize_t j
    cdef double angle
    if chart == FOURIER:
        for j in range(n):
            extras[0] += w[j] * r[j]
            extras[1] += w[j] * r[j] * r[j] / 2
    elif chart == CHEBYSHEV:
        for j in range(n):
            angle = acos(-fmax(-1, fmin(1, r[j])))
            extras[0] += w[j] * angle
            extras[1] += w[j] * angle * r[j]


cdef void _flush(Work* work, Nodes* nodes) noexcept nogil:
    """Add the moments of the waiting nodes to their sums."""
    cdef Py_ssize_t n = nodes.count, c, j, padded
    cdef Py_ssize_t block = simd.lanes * (NODE_BLOCK // MAX_LANES)
    cdef int sequence, n_sequences = 2 if work.chart == FOURIER else 1
    if n == 0:
        return
    padded = (n + block - 1) // block * block
    for j in range(n, padded):
        nodes.r[j] = nodes.r[n - 1]
    for c in range(work.n_channels):
        _add_extras(work.chart, n, nodes.r, nodes.weights + c * STRIDE, nodes.extras + 2 * c)
        for j in range(n, padded):
            nodes.weights[c * STRIDE + j] = 0
    for sequence in range(n_sequences):
        _place(work.chart, sequence, padded, nodes.r, work.node)
        simd.moments(&work.recurrence, padded, work.n_channels, work.node, work.node + STRIDE,
                     work.node + 2 * STRIDE, nodes.weights, STRIDE,
                     nodes.sums + sequence * work.n_channels * work.recurrence.n_moments * simd.lanes)
    nodes.count = 0


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
    cdef double a = work.r[i], b = work.r[i + 1], total = 0, angle, width
    cdef double[MAX_GAUSS] position
    cdef double[MAX_GAUSS] share
    cdef const double* rule = work.gauss
    cdef Py_ssize_t c, j
    cdef int q = 1 + _gauss_rule(work.gauss, 0 if b <= a else _half_phase(work, a, b)), k
    if q == 0:
        return 0
    rule += (q - 1) * (1 + 2 * MAX_GAUSS)
    if work.jumps.count + q > CHUNK:
        _flush(work, &work.jumps)
    for k in range(q):
        position[k] = a + (b - a) * rule[1 + k]
        share[k] = rule[1 + MAX_GAUSS + k]
        if work.chart == CHEBYSHEV and q > 1:  # smooth in theta, not in r: dr = sin(theta) d(-theta)
            width = acos(fmax(a, -1)) - acos(fmin(b, 1))
            angle = acos(fmax(a, -1)) - width * rule[1 + k]
            position[k] = cos(angle)
            share[k] *= sin(angle)
        total += share[k]
    for k in range(q):
        j = work.jumps.count
        work.jumps.r[j] = position[k]
        for c in range(work.n_channels):
            work.jumps.weights[c * STRIDE + j] = (
                (work.y[c * STRIDE + i + 1] - work.y[c * STRIDE + i]) * (share[k] / total))
        work.jumps.count += 1
    return 1


# --- dense chunks as a few nodes ---------------------------------------------------------------------


cdef void _add_local_moments(Work* work, Py_ssize_t p, double middle, double half) noexcept nogil:
    """Add sum_j weights_j T_m((r_j - middle) / half), m < p, of the waiting nodes of a dense chunk."""
    cdef Nodes* nodes = &work.local_jumps
    cdef Py_ssize_t n = nodes.count, block = simd.lanes * (NODE_BLOCK // MAX_LANES), j, c
    cdef Py_ssize_t padded = (n + block - 1) // block * block
    cdef recurrence_t chebyshev
    cdef double* x = work.node
    cdef double* first = work.node + STRIDE
    cdef double* before = work.node + 2 * STRIDE
    chebyshev.n_moments, chebyshev.slope, chebyshev.shift, chebyshev.back = p, NULL, NULL, work.ones
    for j in range(n, padded):
        nodes.r[j] = middle
        for c in range(work.n_channels):
            nodes.weights[c * STRIDE + j] = 0
    for j in range(padded):
        before[j] = (nodes.r[j] - middle) / half
        x[j] = 2 * before[j]
        first[j] = 1
    simd.moments(&chebyshev, padded, work.n_channels, x, first, before, nodes.weights, STRIDE, nodes.sums)
    nodes.count = 0


cdef int _enter_dense(Work* work, Py_ssize_t n, bint ends, bint hold) noexcept nogil:
    """Enter a chunk of a line or a staircase as jumps at a few Chebyshev nodes; 0 if it is not dense enough.

    A polynomial g of degree below p is sum_i g(x_i) l_i, so nodes x_i with weights sum_j w_j l_i(r_j) stand for nodes
    r_j with weights w_j; l_i = 2/p sum_m T_m(x_i) T_m asks for the moments of the T_m only. The rise of a line over a
    segment is smeared over Gauss nodes, as many as the T_m need.
    """
    cdef Py_ssize_t last = n - 1 if ends else n, i, j, c, p, k, q = 1
    cdef double a = work.r[0], b = work.r[last], half = (b - a) / 2, middle = (a + b) / 2, total, phase, place, share
    cdef const double* table = work.local
    cdef const double* rule
    cdef double* y
    cdef double* weights
    if last < 48 or half <= 0:
        return 0
    phase = _half_phase(work, a, b)
    i = 0
    while i < work.n_local and phase > table[1]:
        table += 2 + MAX_LOCAL * (1 + MAX_LOCAL)
        i += 1
    if i == work.n_local or 3 * table[0] > last:
        return 0
    if work.chart == CHEBYSHEV and 1 - fmax(fabs(a), fabs(b)) < 8 * half:
        return 0  # sin(theta) is not smooth in r at the ends
    p = <Py_ssize_t> table[0]
    _clear(work.local_jumps.sums, work.n_channels * p * simd.lanes)
    work.local_jumps.count = 0
    for j in range(last):
        work.inverse[j] = work.r[j + 1] - work.r[j]
    if not hold:
        phase = 0
        for j in range(last):
            phase = fmax(phase, _turn(p, (work.r[j] - middle) / half, (work.r[j + 1] - middle) / half))
        q = 1 + _gauss_rule(work.gauss, phase)
    # Worth it if the moments of the chunk and then of its nodes cost less than those of its points.
    if q == 0 or q * p + p * work.order / last + 16 > work.order:
        return 0
    if not hold and _follows_a_line(work):  # which bends to the horizontal here, as far as the kinks are concerned
        for c in range(work.n_channels):
            work.kinks.weights[c * STRIDE] = -work.before[c]
        work.kinks.r, work.kinks.count = work.local_jumps.r, 1  # a place of its own: flushing pads it
        work.kinks.r[0] = a
        _flush(work, &work.kinks)
        work.kinks.r = work.r
        _clear(work.before, work.n_channels)
    rule = work.gauss + (q - 1) * (1 + 2 * MAX_GAUSS)
    for k in range(q):
        place = 0 if hold else rule[1 + k]
        share = 1 if hold else rule[1 + MAX_GAUSS + k]
        for j in range(last):
            work.local_jumps.r[j] = work.r[j] + work.inverse[j] * place
        for c in range(work.n_channels):
            y = work.y + c * STRIDE
            weights = work.local_jumps.weights + c * STRIDE
            for j in range(last):
                weights[j] = share * (y[j + 1] - y[j])
        work.local_jumps.count = last
        _add_local_moments(work, p, middle, half)
    simd.reduce(work.n_channels * p, work.local_jumps.sums, work.moments)

    if work.jumps.count + p > CHUNK:
        _flush(work, &work.jumps)
    for i in range(p):
        work.jumps.r[work.jumps.count + i] = middle + half * table[2 + i]
    for c in range(work.n_channels):
        for i in range(p):
            total = 0
            for k in range(p):
                total = total + table[2 + MAX_LOCAL + i * MAX_LOCAL + k] * work.moments[c * p + k]
            work.jumps.weights[c * STRIDE + work.jumps.count + i] = total
    work.jumps.count += p
    return 1


cdef bint _follows_a_line(Work* work) noexcept nogil:
    """Whether a line that was entered by its kinks ends where this chunk begins."""
    cdef Py_ssize_t c
    for c in range(work.n_channels):
        if work.before[c] != 0:
            return True
    return False


# --- from chunks of points to nodes ----------------------------------------------------------------


cdef void _enter_line(Work* work, Py_ssize_t n, bint ends) noexcept nogil:
    """Enter n points of a broken line; the point after them is there too, unless the line ends."""
    cdef Py_ssize_t i, c, n_segments = n - 1 if ends else n
    cdef double gap, short_gap = work.short_gap
    cdef double nearest = short_gap
    for i in range(n_segments):
        gap = work.r[i + 1] - work.r[i]
        work.inverse[i] = 1 / gap
        nearest = gap if gap < nearest else nearest
    if nearest < short_gap:
        for i in range(n_segments):
            if work.r[i + 1] - work.r[i] < short_gap and _enter_short_segment(work, i):
                work.inverse[i] = 0
    if ends:
        work.inverse[n - 1] = 0
    for c in range(work.n_channels):
        if ends:
            work.y[c * STRIDE + n] = 0
        work.slope[0] = work.before[c]
        simd.kinks(n, work.y + c * STRIDE, work.inverse, work.slope, work.kinks.weights + c * STRIDE)
        work.before[c] = work.slope[n]
    work.kinks.count = n
    _flush(work, &work.kinks)


cdef void _enter_steps(Work* work, Py_ssize_t n, bint ends) noexcept nogil:
    """Enter n points of a staircase, y_i up to r_i and y_{i + 1} after it; the last point has no step."""
    cdef Py_ssize_t i, c, n_steps = n - 1 if ends else n
    cdef Py_ssize_t waiting
    if work.jumps.count + n_steps > CHUNK + 1:  # the one where the window opens may wait along
        _flush(work, &work.jumps)
    waiting = work.jumps.count
    for i in range(n_steps):
        work.jumps.r[waiting + i] = work.r[i]
    for c in range(work.n_channels):
        for i in range(n_steps):
            work.jumps.weights[c * STRIDE + waiting + i] = work.y[c * STRIDE + i + 1] - work.y[c * STRIDE + i]
    work.jumps.count += n_steps
    _flush(work, &work.jumps)


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
                            Observed near, double t, bint hold) noexcept nogil:
    """The channel's interpolant at a time between two of its own observations, or beyond all of them."""
    cdef double a, b, start, stop
    if near.next == length:
        return v[near.last * stride] if near.last >= 0 else NAN
    b = v[near.next * stride]
    if hold or near.last < 0:
        return b
    a = v[near.last * stride]
    start = _time(times, near.last)
    stop = _time(times, near.next)
    return a + (b - a) * ((t - start) / (stop - start)) if stop > start else a


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
            y[j - begin] = _between(v, stride, length, times, near[0], _time(times, j), hold)


cdef Py_ssize_t _first_after(const double* times, Py_ssize_t length, double t) noexcept nogil:
    """Index of the first observation after t, by bisection."""
    cdef Py_ssize_t low = 0, high = length, middle
    while low < high:
        middle = (low + high) // 2
        if _time(times, middle) > t:
            high = middle
        else:
            low = middle + 1
    return low


cdef void _project(Work* work, const floating* values, const double* times, Py_ssize_t length,
                   double timescale, bint missing, bint hold, double* last) noexcept nogil:
    """Enter one series: its last values, and the jumps and kinks of its interpolant inside the window."""
    cdef Py_ssize_t n_channels = work.n_channels, c, j, k, skip = 0, lead = 0, begin, n, points
    cdef double start = _time(times, 0), stop = _time(times, length - 1), opens, origin, unit
    cdef bint exponential = work.chart == WARPED or work.chart == LAGUERRE, partial, ends
    cdef Observed near
    for c in range(n_channels):
        work.near[c].next = -1
        near.last = length - 1
        while missing and near.last >= 0 and isnan(values[near.last * n_channels + c]):
            near.last -= 1
        last[c] = values[near.last * n_channels + c] if near.last >= 0 else NAN
    if stop <= start:
        return  # a constant function: its last value says all

    if hold:
        start = 2 * start - _time(times, 1)
    opens = start if timescale == 0 else stop - timescale
    if fabs(opens - start) <= 4 * DBL_EPSILON * fmax(fabs(start), fabs(stop)):
        opens = start  # a window of just the series' length, but for rounding
    origin = stop if exponential else opens
    unit = timescale if exponential else stop - origin  # so that the last time lies at the end of r to the last bit
    partial = exponential or opens < start  # the window reaches back beyond the series, where f = 0
    if not partial and timescale > 0:
        skip = _first_after(times, length, opens)
        lead = 1 if skip > 0 and not hold else 0  # the line is cut where the window opens
        start = opens

    work.short_gap = SHORT * sqrt(<double> length) * (work.high - work.low)
    if partial:
        work.short_gap /= fmin(1, (stop - start) / timescale)
        if exponential:  # the antiderivatives of whose functions do not decay with n
            work.short_gap *= 10
        work.jumps.r[0] = work.low + (work.high - work.low) * ((start - origin) / unit)
        for c in range(n_channels):
            if missing:
                _fill(values + c, n_channels, length, times, 0, 1, hold, work.near + c, work.y)
            else:
                work.y[0] = values[c]
            work.jumps.weights[c * STRIDE] = work.y[0]
        work.jumps.count = 1

    points = length - skip + lead
    begin = 0
    while begin < points:
        n = min(CHUNK, points - begin)
        ends = begin + n == points
        k = 0
        if begin == 0 and lead:
            work.r[0] = work.low
            for c in range(n_channels):
                if missing:
                    _find(&near, values + c, n_channels, length, skip)
                else:
                    near.last, near.next = skip - 1, skip
                work.y[c * STRIDE] = _between(values + c, n_channels, length, times, near, opens, hold)
            k = 1
        # Points begin + k .. begin + n (the one after the chunk too, unless the series ends).
        j = begin + k + skip - lead
        _read(work, values, times, length, origin, unit, missing, hold, j, n - k + (not ends), k)
        if begin == 0:
            _clear(work.before, n_channels)
        if not _enter_dense(work, n, ends, hold):
            if hold:
                _enter_steps(work, n, ends)
            else:
                _enter_line(work, n, ends)
        begin += n
    _flush(work, &work.jumps)


cdef void _read(Work* work, const floating* values, const double* times, Py_ssize_t length, double origin,
                double unit, bint missing, bint hold, Py_ssize_t j, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    """Copy observations j .. j + n - 1 to the places from k on of the chunk, channel by channel."""
    cdef Py_ssize_t i, c, n_channels = work.n_channels
    cdef double low = work.low, width = work.high - work.low
    cdef const floating* v
    cdef double* y
    if times == NULL:
        for i in range(n):
            work.r[k + i] = low + width * ((<double> (j + i) - origin) / unit)
    else:
        for i in range(n):
            work.r[k + i] = low + width * ((times[j + i] - origin) / unit)
    for c in range(n_channels):
        y = work.y + c * STRIDE + k
        if missing:
            _fill(values + c, n_channels, length, times, j, j + n, hold, work.near + c, y)
        else:
            v = values + j * n_channels + c
            for i in range(n):
                y[i] = v[i * n_channels]


def project(
    const floating[:, ::1] values,       # IN   (n_observations, n_channels)
    const double[::1] times,             # IN   (n_observations,), or None for 0, 1, 2, ... in every series
    const Py_ssize_t[::1] begins,        # IN   (n_series,) first observation of each series ...
    const Py_ssize_t[::1] ends,          # IN   (n_series,) ... and the one after its last; series may overlap
    tuple basis,                         # IN   chart, order, (low, high) of r, slope, shift, back
    tuple rules,                         # IN   gauss, local, ones: see Work
    const double[::1] timescales,        # IN   (n_series,) 0 for the measures that scale with the series
    bint missing,                        # IN   whether values may be NaN
    bint hold,                           # IN   staircase or broken line
    double[:, ::1] scratch,              # WORK (n_threads, scratch_size(...))
    double[:, :, :, :, ::1] moments,     # OUT  (n_series, 2: jumps and kinks, n_sequences, n_channels, n_moments)
    double[:, :, :, ::1] extras,         # OUT  (n_series, 2, n_channels, 2)
    double[:, ::1] last,                 # OUT  (n_series, n_channels)
):
    """Fill ``moments``, ``extras`` and ``last`` from every series, with as many threads as scratch has rows."""
    cdef const double[:, ::1] gauss = rules[0]
    cdef const double[:, ::1] local = rules[1]
    cdef const double[::1] ones = rules[2]
    cdef const double* times_0 = NULL if times is None else &times[0]
    cdef int n_threads = scratch.shape[0]
    cdef Py_ssize_t i, n_series = begins.shape[0]
    cdef Work plan
    _describe(&plan, basis, values.shape[1], moments.shape[4])
    plan.gauss, plan.ones, plan.n_local = &gauss[0, 0], &ones[0], local.shape[0]
    plan.local = &local[0, 0] if plan.n_local > 0 else NULL
    for i in prange(n_series, nogil=True, schedule="dynamic", num_threads=n_threads):
        _one(plan, &values[0, 0], times_0, begins[i], ends[i], timescales[i], missing, hold, &scratch[threadid(), 0],
             moments.shape[2], &moments[i, 0, 0, 0, 0], &extras[i, 0, 0, 0], &last[i, 0])


cdef int _describe(Work* work, tuple basis, Py_ssize_t n_channels, Py_ssize_t n_moments) except -1:
    """Note what is the same for all series. The arrays of the basis stay alive with the tuple."""
    cdef const double[::1] slope = basis[4]
    cdef const double[::1] shift = basis[5]
    cdef const double[::1] back = basis[6]
    work.chart, work.order, work.low, work.high = basis[0], basis[1], basis[2], basis[3]
    work.n_channels, work.recurrence.n_moments = n_channels, n_moments
    work.recurrence.slope = NULL if slope is None else &slope[0]
    work.recurrence.shift = NULL if shift is None else &shift[0]
    work.recurrence.back = &back[0]
    return 0


cdef void _one(Work work, const floating* values, const double* times, Py_ssize_t begin, Py_ssize_t end,
               double timescale, bint missing, bint hold, double* scratch, Py_ssize_t n_sequences, double* moments,
               double* extras, double* last) noexcept nogil:
    """Project one series, with a copy of the plan and scratch memory of its own."""
    cdef Py_ssize_t c, n_channels = work.n_channels, rows = n_sequences * n_channels * work.recurrence.n_moments
    _lay_out(&work, scratch, n_sequences)
    work.jumps.count = work.kinks.count = work.local_jumps.count = 0
    _clear(work.jumps.extras, 4 * n_channels)
    _clear(work.jumps.sums, 2 * rows * simd.lanes)
    _project(&work, values + begin * n_channels, NULL if times == NULL else times + begin, end - begin,
             timescale, missing, hold, last)
    simd.reduce(2 * rows, work.jumps.sums, moments)
    for c in range(4 * n_channels):
        extras[c] = work.jumps.extras[c]


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
    tuple basis,                         # IN   as in project
    double[:, ::1] scratch,              # WORK (n_threads, scratch_size(...))
    double[:, :, ::1] moments,           # OUT  (n_series, n_channels, n_moments)
):
    """Fill ``moments`` with sum_j weights_j phi_n(r_j), for a basis with one sequence."""
    cdef Work work
    cdef Py_ssize_t i, c, j, begin, n, n_moments = moments.shape[2], n_channels = weights.shape[1]
    _describe(&work, basis, n_channels, n_moments)
    with nogil:
        _lay_out(&work, &scratch[0, 0], 1)
        for i in range(r.shape[0]):
            _clear(work.jumps.extras, 2 * n_channels)
            _clear(work.jumps.sums, n_channels * n_moments * simd.lanes)
            begin = 0
            while begin < r.shape[1]:
                n = min(CHUNK, r.shape[1] - begin)
                for j in range(n):
                    work.jumps.r[j] = r[i, begin + j]
                for c in range(n_channels):
                    for j in range(n):
                        work.jumps.weights[c * STRIDE + j] = weights[i, c, begin + j]
                work.jumps.count = n
                _flush(&work, &work.jumps)
                begin += n
            simd.reduce(n_channels * n_moments, work.jumps.sums, &moments[i, 0, 0])


use_simd()
