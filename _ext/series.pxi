# A series to chunks of points, and its moments to coefficients; included by projection.pyx.

# What values are multiplied by if their sums overflow.
cdef double SMALLER = 2.0 ** -64


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
    cdef bint exponential = work.chart.endless, partial, ends
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
    work.same = times == NULL and points == length == work.grid.length and unit == work.grid.unit
    work.grid.length = length if times == NULL and points == length <= CHUNK else 0
    work.grid.unit = unit
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
                if work.chart.steep:
                    work.jumps[0].e[0] = _from_ends(work, _time(times, 0) - cell, last, unit)
                for c in range(n_channels):
                    work.jumps[0].weights[c * STRIDE] = work.y[c * STRIDE]
                work.jumps[0].count = 1
        if hold:
            _enter_jumps(work, n, ends)
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
        vectors.ramp(n, NULL if times == NULL else times + j, <double> j, last, unit, base, work.high - work.low, base,
                     work.chart.steep, work.r + k)  # whose basis has infinite slopes at the ends
        if work.chart.steep:
            for i in range(n):
                work.e[k + i] = _from_ends(work, _time(times, j + i), last, unit)
    for c in range(n_channels):
        y = work.y + c * STRIDE + k
        v = values + j * n_channels + c
        if missing:
            _fill(values + c, n_channels, length, times, j, j + n, hold, work.near + c, y)
        elif floating is double:
            vectors.pick(n, v, n_channels, y)
        else:
            vectors.pick_float(n, v, n_channels, y)
        if work.unit != 1:
            for i in range(n):
                y[i] *= work.unit


cdef void _integrate(const Work* work, floating* out, Py_ssize_t stride) noexcept nogil:
    """Write the coefficients of all channels, (n_channels, order), from moments and last values, by (E3)."""
    cdef Py_ssize_t m = work.recurrence.n_moments, half = work.n_families * m + 2, c, i, kind, family
    cdef const Integration* integration = &work.integration
    cdef const Moments* moments
    cdef const double* weights
    cdef double* column
    cdef Run run
    for c in range(work.n_channels):
        for kind in range(2):
            moments = &work.kink_moments if kind else &work.jump_moments
            column = work.columns + kind * half
            if moments.used:
                for family in range(work.n_families):
                    _sum(work, moments, family, c, column)
                    column += m
                column[0] = moments.extras[2 * c]
                column[1] = moments.extras[2 * c + 1]
        _clear(work.columns + 2 * half, integration.n_columns - 2 * half)
        weights = integration.weights
        for i in range(integration.n_runs):
            run = integration.runs[i]
            if not (run.source < half and not work.jump_moments.used
                    or half <= run.source < 2 * half and not work.kink_moments.used):
                _follow(run, weights, work.columns)
            weights += run.length
        column = work.columns + integration.n_columns - work.order
        column[0] += work.last[c]
        if isnan(work.last[c]):  # a channel without observations
            vectors.fill(work.order, NAN, column)
        if work.unit != 1:
            for i in range(work.order):
                column[i] /= work.unit
            if _are_numbers(out + c * stride, work.order):  # smaller values have fewer digits
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
        vectors.multiply_add(run.length, weights, column + run.source, column + run.target)
    else:
        for i in range(run.length):
            column[run.target + i * run.target_step] += weights[i] * column[run.source + i * run.source_step]
