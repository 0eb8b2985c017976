# Charts: how a basis is laid out along r, the coordinate in which the interpolant is linear. All that depends on the
# chart stands here, a chart after the other; included by projection.pyx.
#
#     place       the argument of the recurrence (2 x, where its slope is one) and its first two terms, p_0 and p_{-1},
#                 at every node: three rows of node, STRIDE apart
#     extras      adds up moments of antiderivatives that leave the span of the basis, two of them, or NULL
#     half_phase  how far, at most, a function of order n turns between a and b, halved
#     decay       the logarithm of how fast polynomials converge between a and b to what the basis is there, beyond its
#                 turning: infinite, where the basis is analytic

# Of an expansion with terms that decay like exp(-k), how many there have to be.
cdef double DIGITS = 36

# Of distances, whose sign says from which end they are.
cdef double TINY = 1e-300


cdef int _find_chart(str name, Chart* chart) except -1:
    """The chart of this name."""
    if name == "legendre":
        chart[0] = Chart(False, False, 0.5, _place_legendre, NULL, _turn, _analytic)
    elif name == "chebyshev":
        chart[0] = Chart(False, True, 0.5, _place_chebyshev, _extras_chebyshev, _turn, _decay_chebyshev)
    elif name == "fourier":
        chart[0] = Chart(False, False, 0, _place_fourier, _extras_fourier, _turn_fourier, _analytic)
    elif name == "warped":
        chart[0] = Chart(True, False, 0, _place_warped, NULL, _turn_warped, _analytic)
    elif name == "laguerre":
        chart[0] = Chart(True, False, 0, _place_laguerre, NULL, _turn_laguerre, _analytic)
    else:
        raise ValueError(f"There is no chart {name!r} in the kernel: see _ext/charts.pxi.")
    return 0


cdef double _analytic(double a, double b) noexcept nogil:
    return INFINITY


# --- legendre: p_n(r) on [-1, 1] -------------------------------------------------------------------


cdef void _place_legendre(int family, Py_ssize_t n, const double* r, const double* e, double* node) noexcept nogil:
    vectors.begin(n, r, node, node + STRIDE, node + 2 * STRIDE)


cdef double _turn(double n, double a, double b) noexcept nogil:
    """How far a polynomial of degree n on [-1, 1] turns between a and b, at most, halved."""
    cdef double room = fmax(fabs(a), fabs(b))
    room = (1 - room) * (1 + room)
    if room > 4 * (b - a):  # dtheta = dr / sin(theta), bounded where the sine is least
        return n / 2 * (b - a) / sqrt(room)
    return n / 2 * (acos(fmax(a, -1)) - acos(fmin(b, 1)))


# --- chebyshev: sin(n theta), r = cos(theta) on [-1, 1]: the antiderivatives of T_n under its weight ---


cdef inline double _angle(double e) noexcept nogil:
    """How far from the left end of the axis, as an angle: acos(-r)."""
    return 2 * asin(sqrt(e / 2)) if e >= 0 else M_PI - 2 * asin(sqrt(-e / 2))


cdef inline double _distance(double r) noexcept nogil:
    """From the nearer end, as well as r knows it."""
    return fmax(0, r + 1) if r <= 0 else -fmax(TINY, 1 - r)


cdef inline double _apart(const double* r, const double* e, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    """From one position to another, to the last digit where both lie in one half."""
    return e[j] - e[i] if (e[i] >= 0) == (e[j] >= 0) else r[j] - r[i]


cdef inline void _move(double r, double e, double step, double* new_r, double* new_e) noexcept nogil:
    """Go a step from a position."""
    new_r[0] = r + step
    new_e[0] = e + step
    if (e >= 0) != (r + step <= 0) or fabs(new_e[0]) > 1:  # into the other half
        new_e[0] = _distance(r + step)


cdef void _place_chebyshev(int family, Py_ssize_t n, const double* r, const double* e, double* node) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        node[j] = 2 * r[j]
        node[STRIDE + j] = 0
        node[2 * STRIDE + j] = -sqrt(fabs(e[j]) * (2 - fabs(e[j])))


cdef void _extras_chebyshev(Py_ssize_t n, const double* r, const double* e, const double* w,
                            double* extras) noexcept nogil:
    """Of theta', and of theta' r."""
    cdef Py_ssize_t j
    cdef double angle
    for j in range(n):
        angle = _angle(e[j])
        extras[0] += w[j] * angle
        extras[1] += w[j] * angle * r[j]


cdef double _decay_chebyshev(double a, double b) noexcept nogil:
    """Of sin(theta), which branches at the ends of the axis: the larger the ellipse with foci a and b that leaves them
    out, the faster."""
    cdef double far = (1 - fmax(fabs(a), fabs(b))) / ((b - a) / 2)  # from the nearer focus, in half their distance
    return log1p(far + sqrt(far * (2 + far)))


cdef void _spread_chebyshev(double e, double next_e, int q, const double* rule, double* position, double* distance,
                            double* share) noexcept nogil:
    """Gauss nodes that are smooth in the angle, not in r: dr = sin(angle) d(angle), from the nearer end."""
    cdef double from_left, from_right, angle, width
    cdef int k
    for k in range(q):
        if next_e < 0 and e < 0:
            from_right = 2 * asin(sqrt(-e / 2))
            width = from_right - 2 * asin(sqrt(-next_e / 2))
            angle = from_right - width * rule[1 + k]
            distance[k] = -2 * sin(angle / 2) ** 2
            position[k] = 1 + distance[k]
        else:
            from_left = _angle(e)
            width = _angle(next_e) - from_left
            angle = from_left + width * rule[1 + k]
            position[k] = -cos(angle)
            distance[k] = 2 * sin(angle / 2) ** 2 if position[k] <= 0 else _distance(position[k])
        share[k] *= sin(angle)


# --- fourier: cos(2 pi n r), then sin(2 pi n r), on [0, 1] -----------------------------------------


cdef void _place_fourier(int family, Py_ssize_t n, const double* r, const double* e, double* node) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        node[j] = 2 * cos(2 * M_PI * r[j])
        node[STRIDE + j] = 1 - family
        node[2 * STRIDE + j] = -sin(2 * M_PI * r[j]) if family else node[j] / 2


cdef void _extras_fourier(Py_ssize_t n, const double* r, const double* e, const double* w,
                          double* extras) noexcept nogil:
    """Of r and of r^2 / 2, which 1 has for antiderivatives."""
    cdef Py_ssize_t j
    for j in range(n):
        extras[0] += w[j] * r[j]
        extras[1] += w[j] * r[j] * r[j] / 2


cdef double _turn_fourier(double n, double a, double b) noexcept nogil:
    return M_PI / 2 * n * (b - a)


# --- warped: p_n(2 w - 1) w, w = exp(r) on (-inf, 0], the end of the series being at 0 ---------------


cdef void _place_warped(int family, Py_ssize_t n, const double* r, const double* e, double* node) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        node[STRIDE + j] = exp(r[j])
        node[j] = 4 * node[STRIDE + j] - 2
        node[2 * STRIDE + j] = 0


cdef double _turn_warped(double n, double a, double b) noexcept nogil:
    return n / 2 * (acos(2 * exp(a) - 1) - acos(2 * exp(b) - 1)) + (b - a) / 2


# --- laguerre: L_n(-r) exp(r) on (-inf, 0] ---------------------------------------------------------


cdef void _place_laguerre(int family, Py_ssize_t n, const double* r, const double* e, double* node) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        node[STRIDE + j] = exp(r[j])
        node[j] = -r[j]
        node[2 * STRIDE + j] = 0


cdef double _turn_laguerre(double n, double a, double b) noexcept nogil:
    return sqrt(n) * (sqrt(-a) - sqrt(-b)) + (b - a) / 2
