"""Slow, independent references. They know what the documentation claims, and nothing of how the package computes it.

`project` is quadrature of the defining integrals, segment by segment. `recur` runs the dense dynamics c' = A c + B f
with matrix exponentials, `one_step_method` with the classical discretizations. `basis` and `dynamics` are written out
again from the tables of the documentation. Nothing of the package is imported here. They are asked for the same series
under every instruction set, and so keep what they found.
"""

import pickle
from functools import wraps
from itertools import pairwise

import numpy as np
from numpy.polynomial import chebyshev, laguerre, legendre
from scipy.linalg import expm

SCALED = ("legs", "fous", "chebs")
SLIDING = ("legt", "fout", "chebt")
DECAYING = ("lagt", "legs_lti")
MEASURES = SCALED + SLIDING + DECAYING


def kept(reference):
    """What is asked again is not computed again."""
    known = {}

    @wraps(reference)
    def found(*arguments, **options):
        asked = pickle.dumps((arguments, options))
        if asked not in known:
            known[asked] = pickle.dumps(reference(*arguments, **options))
        return pickle.loads(known[asked])  # the caller's own

    return found


def first_cell(times):
    """Where held values begin: the first interval is as long as the next one, between stamps that differ."""
    later = times[times > times[0]]
    return 2 * times[0] - later[0] if len(later) else times[0]


def interpolant(times, values, interpolation):
    """Segments (start, stop, f(start), f(stop)) of one channel's interpolant, missing values left out."""
    times, values = np.asarray(times, float), np.asarray(values, float)
    seen = ~np.isnan(values)
    own_times, own = times[seen], values[seen]
    if interpolation == "linear":
        knots = np.r_[times[0], own_times, times[-1]]
        heights = np.r_[own[0], own, own[-1]]
        return [(a, b, x, y) for a, b, x, y in zip(knots, knots[1:], heights, heights[1:], strict=False) if b > a]
    edges = np.r_[first_cell(times), own_times]
    segments = [(a, b, x, x) for a, b, x in zip(edges, edges[1:], own, strict=False) if b > a]
    if times[-1] > own_times[-1]:
        segments.append((own_times[-1], times[-1], own[-1], own[-1]))
    return segments


def _real_fourier(u, order):
    columns = [np.ones_like(u)]
    for k in range(1, order):
        harmonic = (k + 1) // 2
        wave = np.cos if k % 2 else np.sin
        columns.append(np.sqrt(2) * wave(2 * np.pi * harmonic * u))
    return np.stack(columns, axis=1)


def basis(measure, order, u):
    """Basis functions at positions u: in [0, 1] along the window, or timescales before the end."""
    root = np.sqrt(2 * np.arange(order) + 1)
    if measure in ("legs", "legt"):
        return legendre.legvander(2 * u - 1, order - 1) * root
    if measure in ("chebs", "chebt"):
        return chebyshev.chebvander(2 * u - 1, order - 1) * np.where(np.arange(order) == 0, 1, np.sqrt(2))
    if measure in ("fous", "fout"):
        return _real_fourier(u, order)
    if measure == "lagt":
        return laguerre.lagvander(u, order - 1)
    return legendre.legvander(2 * np.exp(-u) - 1, order - 1) * root


def _cut(segments, places):
    """Segments cut at some places, for quadrature to see an exponential inside of a long one."""
    for a, b, fa, fb in segments:
        knots = np.r_[a, np.sort(places[(places > a) & (places < b)]), b]
        heights = np.interp(knots, [a, b], [fa, fb])
        yield from zip(knots[:-1], knots[1:], heights[:-1], heights[1:], strict=True)


@kept
def project(measure, order, times, values, timescale=None, interpolation="linear", past="zero"):
    """Coefficients of one channel, by Gauss quadrature with enough nodes for every segment.

    Before its first time the channel was 0, or its first own value for ever: under the fading measures for 110
    timescales, beyond which |L_n(z)| exp(-z) <= exp(-z / 2) leaves 1e-24.
    """
    times = np.asarray(times, float)
    own = np.asarray(values, float)
    own = own[~np.isnan(own)]
    if times[-1] <= times[0] and measure in SCALED:
        return np.r_[own[-1], np.zeros(order - 1)]
    segments = interpolant(times, values, interpolation) if times[-1] > times[0] else []
    stop = times[-1]
    start = times[0] if interpolation == "linear" else first_cell(times)
    length = stop - start if measure in SCALED else timescale
    opens = stop - length
    if past == "constant" and measure not in SCALED:
        dawn = min(start, opens if measure in SLIDING else stop - 110 * timescale)
        if dawn < start:
            segments = [(dawn, start, own[0], own[0]), *segments]
    nodes, weights = legendre.leggauss(order + 30)
    total = np.zeros(order)
    if measure in DECAYING:
        segments = list(_cut(segments, stop - np.arange(1, 220) * timescale / 2))
    for a, b, fa, fb in segments:
        low = max(a, opens) if measure not in DECAYING else a
        if b <= low:
            continue
        if measure in ("chebs", "chebt"):  # in theta, where the density is 1 / pi
            ends = np.array([(low - opens) / length, (b - opens) / length])
            ends[np.abs(ends) < 1e-13], ends[np.abs(ends - 1) < 1e-13] = 0, 1
            theta = np.arccos(2 * ends - 1)
            theta, half = theta.mean() + (theta[0] - theta[1]) / 2 * nodes, (theta[0] - theta[1]) / 2
            u = (1 + np.cos(theta)) / 2
            density = half / np.pi
        else:
            u = ((low + b) / 2 + (b - low) / 2 * nodes - opens) / length
            density = (b - low) / 2 / length
        if measure in DECAYING:
            u = 1 - u  # timescales before the end
            density = density * np.exp(-u)
            s = stop - u * length
        else:
            s = opens + u * length
        f = fa + (fb - fa) * (s - a) / (b - a)
        total += (density * weights * f) @ basis(measure, order, u)
    return total


def dynamics(measure, order):
    """A and B of c' = A c + B f, n row and k column; the state may be longer than the order."""
    n, k = np.indices((order, order))
    if measure in ("legs", "legs_lti"):
        A = -np.where(n > k, np.sqrt((2 * n + 1) * (2 * k + 1)), np.where(n == k, n + 1, 0))
        return A.astype(float), np.sqrt(2 * np.arange(order) + 1.0)
    if measure == "lagt":
        return -np.tril(np.ones((order, order))), np.ones(order)
    if measure == "legt":
        sign = np.where(k <= n, 1.0, (-1.0) ** (n - k))
        return -np.sqrt((2 * n + 1) * (2 * k + 1)) * sign, np.sqrt(2 * np.arange(order) + 1)
    if measure == "fout":  # the published form, sines of the lag, with its dead index 1; then the sines of the position
        size = 2 * (order // 2 + 1)
        A, b = np.zeros((size, size)), np.zeros(size)
        for m in range(size // 2):
            A[2 * m, 2 * m + 1], A[2 * m + 1, 2 * m] = -2 * np.pi * m, 2 * np.pi * m
            b[2 * m] = np.sqrt(2) if m else 1
        A -= 2 * np.outer(b, b)
        kept = [0, *range(2, size)]
        flip = np.array([1.0, *[(-1.0) ** i for i in range(size - 2)]])
        A = A[np.ix_(kept, kept)] * np.outer(flip, flip)
        return A, 2 * b[kept] * flip
    if measure == "lmu":
        A = (2 * n + 1) * np.where(n < k, -1.0, (-1.0) ** (n - k + 1))
        return A, (2 * np.arange(order) + 1) * (-1.0) ** np.arange(order)
    if measure == "rand":
        random = np.random.RandomState(0)
        A, B = random.randn(order, order) / np.sqrt(order), random.randn(order)
        A -= max(1, np.linalg.eigvals(A).real.max() + 0.5) * np.eye(order)
        return A, B / np.sqrt(np.sum((np.linalg.inv(A) @ B) ** 2))
    raise ValueError(measure)


@kept
def gated(measure, order, x, times, weights, gate, discretization, timescale=None):
    """Hidden states and memories of the HiPPO-RNN on one sequence, with dense matrices.

    ``weights``: u_x, u_h, b_u, and W_x, W_c, b (and W_h of the gate "gru"), candidate first, then gates.
    """
    u_x, u_h, b_u, W_x, W_c, b, W_h = weights
    A, B = dynamics(measure, order)
    identity = np.eye(len(B))
    n_memories, n_hidden = u_h.shape
    h, c = np.zeros(n_hidden), np.zeros((n_memories, len(B)))
    hidden, memories = [], []
    start = first_cell(times)
    before = time_of_stamp = -np.inf
    for x_t, time in zip(x, times, strict=True):
        if time > time_of_stamp:
            before, time_of_stamp, stamp = time_of_stamp, time, (h, c)
        h, c = stamp  # observations of one stamp are one observation
        u = u_x @ x_t + u_h @ h + b_u
        if before == -np.inf:  # the first value was there for ever
            step = np.inf
            c = np.outer(u, np.linalg.solve(-A, B))
        else:
            step = np.log((time - start) / (before - start)) if measure == "legs" else (time - before) / timescale
            if discretization == "zoh":
                system = np.zeros((len(B) + 1, len(B) + 1))
                system[:-1, :-1], system[:-1, -1] = A * step, B * step
                c = (np.column_stack([c, u]) @ expm(system).T)[:, :-1]
            else:
                a = {"bilinear": 0.5, "backward": 1.0}[discretization]
                right = c @ (identity + (1 - a) * step * A).T + step * np.outer(u, B)
                c = np.linalg.solve(identity - a * step * A, right.T).T
        z = W_x @ x_t + W_c @ c[:, :order].ravel() + b
        first, rest = z[:n_hidden], z[n_hidden:]
        if gate is None:
            h = np.tanh(first)
        elif gate == "gru":
            opening = 1 / (1 + np.exp(-(rest[:n_hidden] + W_h[n_hidden : 2 * n_hidden] @ h)))
            reset = 1 / (1 + np.exp(-(rest[n_hidden:] + W_h[2 * n_hidden :] @ h)))
            h = (1 - opening) * h + opening * np.tanh(first + W_h[:n_hidden] @ (reset * h))
        else:
            opening = 1 / (1 + np.exp(-rest)) if gate == "mgu" else 1 - np.exp(-step * np.exp(rest))
            h = (1 - opening) * h + opening * np.tanh(first)
        hidden.append(h)
        memories.append(c)
    return np.array(hidden), np.array(memories)


@kept
def recur(measure, order, times, values, timescale=None, interpolation="linear", past="zero"):
    """The memory after the last observation of one channel, by exact steps of the dense dynamics.

    It begins empty, or with what a constant past leaves in it, the solution of A c + B x = 0.
    For f = x + (y - x) s / h on a step of length h, augment the state by f and its slope and exponentiate once.
    """
    times = np.asarray(times, float)
    A, B = dynamics(measure, order)
    coefficients, order = order, len(B)
    segments = interpolant(times, values, interpolation)
    origin = segments[0][0]
    memory = np.zeros(order)
    if past == "constant" and measure != "legs":
        memory = np.linalg.solve(A, -B * segments[0][2])
    first = True
    for a, b, x, y in segments:
        if measure == "legs":
            if first:  # the memory of f on [t_0, t_1], exactly
                memory = project("legs", order, [a, b], [x, y])
                first = False
                continue
            # In log-time a straight line is an exponential: f = p + q exp(s), a state of its own.
            h = np.log((b - origin) / (a - origin))
            q = (y - x) / (np.exp(h) - 1)
            p = x - q
            system = np.zeros((order + 2, order + 2))
            system[:order, :order], system[:order, order], system[:order, order + 1] = A, B, B
            system[order + 1, order + 1] = 1
            memory = (expm(system * h) @ np.r_[memory, p, q])[:order]
        else:
            h = (b - a) / timescale
            system = np.zeros((order + 2, order + 2))
            system[:order, :order], system[:order, order], system[order, order + 1] = A, B, 1
            memory = (expm(system * h) @ np.r_[memory, x, (y - x) / h])[:order]
    return memory[:coefficients]


def steps(measure, times, discretization, timescale=None):
    """Dimensionless steps of the clock that lead to every observation; NaN where it has not started to run."""
    times = np.asarray(times, float)
    origin = times[0] if discretization == "linear" else first_cell(times)
    before = np.r_[origin, times[:-1]]
    if measure != "legs":
        return (times - before) / timescale
    running = before > origin
    return np.array([np.log((t - origin) / (b - origin)) if r else np.nan
                     for t, b, r in zip(times, before, running, strict=True)])  # fmt: skip


@kept
def one_step_method(measure, order, times, values, discretization, timescale=None, past="zero"):
    """States after every observation of one channel, by dense steps of one of the five discretizations.

    "linear" rises to each value from the one before; the others hold each value over the interval before it.
    """
    A, B = dynamics(measure, order)
    size, coefficients = len(B), order
    identity = np.eye(size)
    implicit = {"forward": 0.0, "bilinear": 0.5, "backward": 1.0}.get(discretization)
    memory, states, before = np.zeros(size), [], values[0]
    if past == "constant" and measure != "legs":
        memory = np.linalg.solve(A, -B * before)
    for h, x in zip(steps(measure, times, discretization, timescale), values, strict=True):
        if np.isnan(h):  # until the clock starts, the function is a constant
            memory = np.r_[x, np.zeros(size - 1)]
        if h > 0 and implicit is not None:
            right = memory + (1 - implicit) * h * A @ memory + h * B * x
            memory = np.linalg.solve(identity - implicit * h * A, right)
        elif h > 0:
            system = np.zeros((size + 2, size + 2))
            system[:size, :size], system[:size, size], system[size, size + 1] = A, B, 1
            begin = before if discretization == "linear" else x
            memory = (expm(system * h) @ np.r_[memory, begin, (x - begin) / h])[:size]
        before = x
        states.append(memory[:coefficients])
    return np.array(states)


def relative_error(actual, expected):
    """Largest error relative to the largest coefficient."""
    return np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max()


def long_legendre(values, order, interpolation):
    """LegS coefficients of one channel at regular times, cell by cell, in extended precision.

    Four Gauss nodes a cell integrate polynomials of degree seven exactly, and of any basis function over one cell of
    thousands what is beyond that is below 1e-18.
    """
    values = np.asarray(values, np.longdouble)
    nodes = np.polynomial.legendre.leggauss(4)[0].astype(np.longdouble)
    for _ in range(3):  # Newton's steps from double precision: 35 x^4 - 30 x^2 + 3 = 0
        nodes -= (35 * nodes**4 - 30 * nodes**2 + 3) / (140 * nodes**3 - 60 * nodes)
    weights = 8 / ((1 - nodes**2) * (35 * nodes**3 - 15 * nodes) ** 2)  # 2 / ((1 - x^2) P_4'(x)^2)
    n_cells = len(values) - (interpolation == "linear")
    cells, total = np.arange(n_cells, dtype=np.longdouble), np.zeros(order, np.longdouble)
    for node, weight in zip((1 + nodes) / 2, weights / 2, strict=True):
        x = 2 * (cells + node) / n_cells - 1
        f = values if interpolation == "hold" else values[:-1] + np.diff(values) * node
        before, now = np.zeros_like(x), np.ones_like(x)
        for n in range(order):
            total[n] += weight * (f @ now) / n_cells
            before, now = now, ((2 * n + 1) * x * now - n * before) / (n + 1)
    return (total * np.sqrt(2 * np.arange(order, dtype=np.longdouble) + 1)).astype(float)


def chebyshev_in_forty_digits(order, times, values, timescale=None, interpolation="linear"):
    """Chebyshev coefficients of one channel, from the integrals of cosines over every segment, in forty digits.

    With u = (1 - cos(phi)) / 2, T_n(2 u - 1) = (-1)^n cos(n phi), and a line is A + C cos(phi).
    """
    import mpmath as mp

    with mp.workdps(40):
        t, f = ([mp.mpf(float(one)) for one in some] for some in (times, values))
        start, knots = t[0], list(zip(t, t[1:], f, f[1:], strict=False))
        if interpolation == "hold":
            start = 2 * t[0] - next(one for one in t if one > t[0])
            knots = [(a, b, y, y) for a, b, y in zip([start, *t], t, f, strict=False)]
        length = t[-1] - start if timescale is None else mp.mpf(timescale)
        opens, total = t[-1] - length, [mp.mpf(0)] * order
        for a, b, x, y in knots:
            low = max(a, opens)
            if b <= low:
                continue
            ends = [2 * mp.asin(mp.sqrt((one - opens) / length)) for one in (low, b)]
            slope = (y - x) / (b - a)
            A, C = x + slope * (opens - a + length / 2), -slope * length / 2
            cosines = [
                ends[1] - ends[0],
                *((mp.sin(n * ends[1]) - mp.sin(n * ends[0])) / n for n in range(1, order + 1)),
            ]
            for n in range(order):
                factor = (mp.sqrt(2) * (-1) ** n if n else 1) / mp.pi
                total[n] += factor * (A * cosines[n] + C * (cosines[n + 1] + cosines[abs(n - 1)]) / 2)
        return np.array([float(one) for one in total])


def window_coefficients(order, times, values, begin, end):
    """Coefficients of one channel over a window of time, by quadrature: c_n = sqrt(2n+1) times the mean of f P_n."""
    seen = ~np.isnan(values)
    own, heights = times[seen], values[seen]
    if not len(own):
        return np.zeros(order), np.zeros(order)
    last = np.append(own[1:] != own[:-1], True)  # of a tie, the last one counts
    own, heights = own[last], heights[last]
    knots = np.unique(np.r_[begin, own[(own > begin) & (own < end)], end])
    nodes, weights = legendre.leggauss(order + 4)
    coefficients, slopes = np.zeros(order), np.zeros(order)
    for a, b in pairwise(knots):
        t = (a + b) / 2 + (b - a) / 2 * nodes
        p = legendre.legvander(2 * (t - begin) / (end - begin) - 1, order - 1) * np.sqrt(2 * np.arange(order) + 1)
        share = weights * (b - a) / 2 / (end - begin)
        coefficients += (share * np.interp(t, own, heights)) @ p
        inside = own[0] <= (a + b) / 2 <= own[-1] and len(own) > 1
        slope = np.diff(np.interp([a, b], own, heights))[0] / (b - a) if inside else 0.0
        slopes += slope * (share @ p)
    return coefficients, slopes


def longest_run(bits):
    """Length of the longest stretch of true ones."""
    longest = run = 0
    for bit in bits:
        run = run + 1 if bit else 0
        longest = max(longest, run)
    return longest


def state_space(rate, read, through, u, step, modes, last, *, held):
    """Outputs of x' = lambda x + u, y = 2 Re(C x) + D u at the observations: a matrix exponential for every step."""
    n_modes, width = rate.shape
    y = np.zeros(u.shape)
    for h in range(width):
        x = modes[:, h].astype(complex)
        before = last[h]
        for k, now in enumerate(u[:, h]):
            for n in range(n_modes):
                if step[k] > 0:
                    slope = 0.0 if held else (now - before) / step[k]
                    A = np.array([[rate[n, h], 1, 0], [0, 0, 1], [0, 0, 0]]) * step[k]  # of x, u and its slope
                    x[n] = (expm(A) @ [x[n], now if held else before, slope])[0]
            y[k, h] = 2 * (read[:, h] * x).real.sum() + through[h] * now
            before = now
    return y


def low_rank_space(A, B, C, D, u, steps, *, rule):
    """Outputs of x' = A x + B u, y = C x + D u from x = 0 at the first observation, one channel, by dense algebra."""
    n = len(B)
    x, y = np.zeros(n), [D * u[0]]
    for before, now, h in zip(u[:-1], u[1:], steps[1:], strict=True):
        if rule == "bilinear":
            x = np.linalg.solve(np.eye(n) - h / 2 * A, x + h / 2 * (A @ x) + h / 2 * B * (before + now))
        else:  # the input as further states: its value, and its slope
            start, slope = (now, 0.0) if rule == "zoh" else (before, (now - before) / h)
            system = np.zeros((n + 2, n + 2))
            system[:n, :n], system[:n, n], system[n, n + 1] = A, B, 1
            x = (expm(system * h) @ np.concatenate([x, [start, slope]]))[:n]
        y.append(C @ x + D * now)
    return np.array(y)


def selective_space(rate, clock, B, C, D, u, x):
    """Outputs of x+ = e^z x + (e^z - 1) / rate B_k u_k, y = 2 Re(C_k x) + D u, z = rate clock_k; one channel.

    All of (length,) or (length, n_modes), and x (n_modes,) before the first observation.
    """
    y = []
    for k, now in enumerate(u):
        for n in range(len(rate)):
            system = np.array([[rate[n], B[k, n] * now], [0, 0]]) * clock[k]
            x[n] = (expm(system) @ [x[n], 1])[0]
        y.append(2 * (C[k] * x).real.sum() + D * now)
    return np.array(y)


def mean_of_line(t, u, start, end, *, held):
    """Mean from start to end of a broken line, or of values held back to the one before; NaN without observations."""
    if not len(t):
        return np.nan
    knots = np.concatenate([[start], t[(t > start) & (t < end)], [end]])
    middles = (knots[1:] + knots[:-1]) / 2  # between knots it is linear: the mean is the value in the middle
    values = u[np.minimum(np.searchsorted(t, middles), len(t) - 1)] if held else np.interp(middles, t, u)
    return (values * np.diff(knots)).sum() / (end - start)
