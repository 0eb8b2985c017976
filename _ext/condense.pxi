# Nodes to moments; and many nodes as few, where no basis function turns much over a row of them; included by
# projection.pyx.

# The cost model says whether a row of nodes is worth a substitute. Its unit is an update of one moment by one node,
# a few tenths of a nanosecond. examples/benchmarks/calibrate.py measures how good these constants are on a machine.
cdef double OVERHEAD = 600  # updates to make a substitute, beyond its arithmetic
cdef double LATER = 24      # updates for each of its nodes to take part in the next substitute
cdef double FINAL = 5.5     # nodes a unit of phase that are left of dense ones in the end: p over its reach, at p = 24
cdef double LEAST = 8192    # updates that are not worth the search for a substitute


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
    cdef int family
    if begin == end:
        return
    if not moments.used:
        _clear(moments.extras, 2 * work.n_channels)
        _clear(moments.sums, work.n_families * size)
        moments.used, moments.folded, moments.count = True, False, 0
    if moments.count >= FOLD * simd.lanes:
        _fold(work, moments)
    moments.count += end - begin
    if work.chart.extras != NULL:
        for c in range(work.n_channels):
            work.chart.extras(end - begin, nodes.r + begin, nodes.e + begin, nodes.weights + c * STRIDE + begin,
                              moments.extras + 2 * c)
    for family in range(work.n_families):
        work.chart.place(family, end - begin, nodes.r + begin, nodes.e + begin, work.node)
        vectors.moments(&work.recurrence, end - begin, work.n_channels, work.node, work.node + STRIDE,
                        work.node + 2 * STRIDE, nodes.weights + begin, STRIDE, moments.sums + family * size)


cdef void _fold(const Work* work, Moments* moments) noexcept nogil:
    """Add up the lanes.

    What nearly cancels over a stretch of nodes, as the jumps of noise do, does not cancel in a lane, which sees a few
    of them only: its partial sums grow with their number, and so does what they lose to rounding.
    """
    cdef Py_ssize_t n = work.n_families * work.n_channels * work.recurrence.n_moments
    if not moments.folded:
        _clear(moments.totals, n)
        moments.folded = True
    vectors.fold(n, moments.sums, moments.totals)
    moments.count = 0


cdef void _sum(const Work* work, const Moments* moments, int family, Py_ssize_t c, double* out) noexcept nogil:
    """The moments of one channel."""
    cdef Py_ssize_t n = work.recurrence.n_moments, i, row = (family * work.n_channels + c) * n
    vectors.reduce(n, moments.sums + row * simd.lanes, out)
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


cdef inline double _half_phase(const Work* work, double a, double b) noexcept nogil:
    """How far, at most, the fastest basis function turns between a and b, halved."""
    return work.chart.half_phase(work.order + 2, a, b)


cdef bint _hopeless(const Work* work, Py_ssize_t n, double length) noexcept nogil:
    """Whether n nodes on such a length are certainly too few to be replaced; cheaper to tell than their phase."""
    cdef double least = work.chart.turn * work.order * length
    cdef Py_ssize_t i
    for i in range(work.n_local):
        if least <= work.limits[i]:
            return _cost(work, n, work.numbers[i], least) >= 0.8 * n * work.recurrence.n_moments
    return True


cdef const double* _local_rule(const Work* work, double phase, double a, double b) noexcept nogil:
    """The fewest nodes that can stand for those between a and b, or NULL."""
    cdef double decay
    cdef Py_ssize_t i
    if not b - a > 1e-100:  # there may be nothing in between
        return NULL
    decay = work.chart.decay(a, b)
    for i in range(work.n_local):
        if phase <= work.limits[i] and work.numbers[i] * decay >= DIGITS:
            return work.local + i * (2 + MAX_LOCAL * (1 + MAX_LOCAL))
    return NULL


cdef void _substitute(Work* work, int level, Py_ssize_t begin, Py_ssize_t n, const double* rule) noexcept nogil:
    """Enter nodes into the next row as a few Chebyshev nodes, with the weights (E6).

    A polynomial g of degree below p is sum_i g(x_i) l_i, so nodes x_i with weights sum_j w_j l_i(r_j) stand for nodes
    r_j with weights w_j; l_i = 2/p sum_m T_m(x_i) T_m asks for the moments of the T_m only.
    """
    cdef Nodes* nodes = &work.jumps[level]
    cdef Nodes* few = &work.jumps[level + 1]
    cdef Py_ssize_t p = <Py_ssize_t> rule[0], i, c
    cdef bint near = work.chart.steep and (nodes.e[begin] >= 0) == (nodes.e[begin + n - 1] >= 0)
    cdef double* place = nodes.e if near else nodes.r  # in one half, distances are as good as positions, and better
    cdef double middle = (place[begin] + place[begin + n - 1]) / 2, half = (place[begin + n - 1] - place[begin]) / 2
    cdef recurrence_t chebyshev
    if few.count + p > NODES:
        _drain(work, level + 1)
    chebyshev.n_moments, chebyshev.slope, chebyshev.shift, chebyshev.back = p, NULL, NULL, work.ones
    vectors.affine(n, place + begin, middle, half, work.node, work.node + 2 * STRIDE)
    vectors.fill(n, 1, work.node + STRIDE)
    _clear(work.local_sums, work.n_channels * p * simd.lanes)
    vectors.moments(&chebyshev, n, work.n_channels, work.node, work.node + STRIDE, work.node + 2 * STRIDE,
                    nodes.weights + begin, STRIDE, work.local_sums)
    vectors.reduce(work.n_channels * p, work.local_sums, work.local_moments)
    for i in range(p):
        few.r[few.count + i] = middle + half * rule[2 + i]
        if near:
            few.e[few.count + i] = few.r[few.count + i]
            few.r[few.count + i] += -1 if middle >= 0 else 1
        elif work.chart.steep:
            few.e[few.count + i] = _distance(few.r[few.count + i])
    for c in range(work.n_channels):
        vectors.combine(p, rule + 2 + MAX_LOCAL, MAX_LOCAL, work.local_moments + c * p,
                        few.weights + c * STRIDE + few.count)
    few.count += p
