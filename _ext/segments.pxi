# Segments of a broken line or a staircase to nodes; included by projection.pyx.

# Kinks lose about eps / (gap * range) to cancellation, gap and range of the series relative to that of r, summed over
# its length. Gaps below SHORT * sqrt(length) / range may be entered as jumps, which lose eps / range at most.
cdef double SHORT = 3e-5


cdef int _gauss_rule(const double* gauss, double phase) noexcept nogil:
    """Index of the smallest Gauss rule that is exact over a half phase, which is one less than its nodes, or -1."""
    cdef int q
    for q in range(MAX_GAUSS):
        if phase <= gauss[q * (1 + 2 * MAX_GAUSS)]:
            return q
    return -1


cdef int _enter_short_segment(Work* work, Py_ssize_t i) noexcept nogil:
    """Enter the rise from point i to i + 1 as jumps at Gauss nodes; 0 if the basis turns too far in between."""
    cdef double a = work.r[i], b = work.r[i + 1], total = 0
    cdef double[MAX_GAUSS] position
    cdef double[MAX_GAUSS] distance
    cdef double[MAX_GAUSS] share
    cdef const double* rule = work.gauss
    cdef Nodes* nodes = &work.jumps[0]
    cdef Py_ssize_t c, j
    cdef int q = 1 + _gauss_rule(work.gauss, 0 if b <= a else _half_phase(work, a, b)), k
    if q == 0:
        return 0
    if q == 1 and work.chart.steep and work.e[i] != work.e[i + 1]:
        q = 2  # as smooth as the functions are in the angle, it is squares of it that count at an end
    rule += (q - 1) * (1 + 2 * MAX_GAUSS)
    if nodes.count + q > NODES:
        _drain(work, 0)
    for k in range(q):
        position[k], share[k], distance[k] = a + (b - a) * rule[1 + k], rule[1 + MAX_GAUSS + k], work.e[i]
    if work.chart.steep and q > 1:
        _spread_chebyshev(work.e[i], work.e[i + 1], q, rule, position, distance, share)
    for k in range(q):
        total += share[k]
    for k in range(q):
        j = nodes.count
        nodes.r[j] = position[k]
        if work.chart.steep:
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
    if q == 0 or q > 5 or work.chart.steep:
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
    if 2 * q * fmin(work.chart.decay(a, a + widest), work.chart.decay(b - widest, b)) < DIGITS:
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
        if work.chart.steep:
            for i in range(n):
                for k in range(q):
                    _move(work.r[begin + i], work.e[begin + i], work.gap[begin + i] * rule[1 + k],
                          target + i * q + k, nodes.e + nodes.count + i * q + k)
        for c in range(work.n_channels):
            vectors.rises(n, work.y + c * STRIDE + begin, work.slope)
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
    cdef Grid* grid = work.grid
    cdef int q
    if not work.same:
        grid.widest = vectors.gaps(n_segments, work.r, work.gap, &grid.least)
        if work.chart.steep:
            grid.widest, grid.least = 0, INFINITY
            for i in range(n_segments):
                work.gap[i] = _apart(work.r, work.e, i, i + 1)
                grid.widest, grid.least = fmax(grid.widest, work.gap[i]), fmin(grid.least, work.gap[i])
    q = _smear(work, n_segments, grid.widest)
    if q > 0:
        _bend(work)
        _enter_dense_line(work, n_segments, q)
        return
    if not work.same:
        vectors.invert(n_segments, work.gap, work.inverse)
    if grid.least < work.short_gap:
        grid.length = 0
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
        vectors.kinks(n, work.y + c * STRIDE, work.inverse, work.slope, work.kinks.weights + c * STRIDE)
        work.before[c] = work.slope[n]
    work.kinks.count = n
    _add(work, &work.kinks, 0, _pad(work, &work.kinks))


cdef void _enter_jumps(Work* work, Py_ssize_t n, bint ends) noexcept nogil:
    """Enter n points of a staircase, y_i up to r_i and y_{i + 1} after it; the last point has no step."""
    cdef Nodes* nodes = &work.jumps[0]
    cdef Py_ssize_t c, n_jumps = n - 1 if ends else n
    if nodes.count + n_jumps > NODES:
        _drain(work, 0)
    memcpy(nodes.r + nodes.count, work.r, n_jumps * sizeof(double))
    if work.chart.steep:
        memcpy(nodes.e + nodes.count, work.e, n_jumps * sizeof(double))
    for c in range(work.n_channels):
        vectors.rises(n_jumps, work.y + c * STRIDE, nodes.weights + c * STRIDE + nodes.count)
    nodes.count += n_jumps
