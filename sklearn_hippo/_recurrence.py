"""Panel -> states of the online dynamics: the only module that calls the recurrence kernels.

A step of length h takes c' = A c + B f to the next observation. The exact ones ("zoh" for held values, "linear" for
straight lines) of LegS, its time-invariant twin and LagT end in the projection itself, so `project` computes them. The
others step through time: implicit steps in O(order), of triangular measures and of those whose A is normal plus low
rank (and densely, of any other); exact ones with exp(A h) as a product over the binary digits of h, from a table that
does not grow with the length. Where few different steps repeat, as in regular series, each has its exp(A h).
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from ._dynamics import Dynamics, modes
from ._ext_projection import fill
from ._ext_recurrence import n_lanes, scan_exponential, scan_modes, scan_repeated, scan_triangular
from ._measures import Measure
from ._panel import Panel, own_times
from ._projection import excess, project, series_span

Array = NDArray[Any]

# How much of a one-step method is implicit; the exact ones need a table.
IMPLICIT = {"forward": 0.0, "bilinear": 0.5, "backward": 1.0}
EXACT = ("zoh", "linear")
DISCRETIZATIONS = (*IMPLICIT, *EXACT)


def interpolation_of(discretization: str) -> str:
    """What a discretization takes a series for: straight lines, or held values."""
    return "linear" if discretization == "linear" else "hold"


def recur(
    panel: Panel,
    measure: Measure,
    order: int,
    *,
    timescale: float | None = None,
    discretization: str = "zoh",
    past: str = "zero",
    visit: bool = False,
    n_threads: int = 1,
) -> Array:
    """States of the dynamics, after the last or after every observation.

    Parameters
    ----------
    panel : Panel
    measure : Measure
        One that has dynamics.
    order : int
    timescale : float, optional
        In units of the timestamps; ignored by the measures that scale with the series.
    discretization : {"forward", "bilinear", "backward", "zoh", "linear"}
        "linear" draws straight lines between the observations, from the first one on. The others hold each value over
        the interval before it, the first interval being as long as the second.
    past : {"zero", "constant"}
        As in `project`.
    visit : bool, default=False
        Whether to return the state after every observation.
    n_threads : int

    Returns
    -------
    ndarray of shape (n_series, n_channels, order), or (n_observations, n_channels, order) with ``visit``
        Of the dtype of the values; NaN for a series or channel without observations.

    Raises
    ------
    ValueError
        If forward Euler is not stable with the steps of the series.
    """
    dtype = panel.values.dtype
    interpolation = interpolation_of(discretization)
    some = panel.lengths > 0
    if not some.all():
        found = np.full((0 if visit else len(panel), panel.n_channels, order), np.nan, dtype)
        if some.any():
            observed = recur(
                panel[some], measure, order, timescale=timescale, discretization=discretization, past=past,
                visit=visit, n_threads=n_threads,
            )  # fmt: skip
            if visit:
                return observed
            found[some] = observed
        return found
    if measure.exact and discretization in EXACT:
        return project(
            panel,
            measure,
            order,
            timescale=timescale,
            interpolation=interpolation,
            past=past,
            rows=prefixes(panel) if visit else None,
            n_threads=n_threads,
        )
    assert measure.dynamics is not None
    if visit and panel.has_missing:  # a state must not know what fills a hole later
        return _each_beginning(panel, measure, order, timescale, discretization, past, n_threads)
    dynamics = measure.dynamics(order)
    values = np.empty((len(panel.values), panel.n_channels))
    fill(panel.values, panel.times, panel.offsets, interpolation == "hold", values)
    begins, ends = panel.offsets[:-1], panel.offsets[1:]
    exponent = excess(np.maximum.reduceat(np.nan_to_num(np.abs(values)), begins)[..., None], axis=2)
    of_rows = np.repeat(exponent, panel.lengths, axis=0)
    values = np.ldexp(values, -of_rows)
    step, started = steps(panel, measure.clock, interpolation, timescale)
    if discretization == "forward":
        _check_stability(dynamics, step, panel)
    size = len(dynamics.B)
    memory = np.zeros((len(panel), panel.n_channels, size))
    if measure.clock == "log":
        memory[..., 0] = values[started]
    elif past == "constant":  # which dynamics do not change: A e_0 + B = 0
        memory[..., 0] = values[begins]
    states = np.empty((len(values), panel.n_channels, size)) if visit else None
    walk = (step, values, begins, ends, memory, states)
    n_threads = max(1, min(n_threads, len(panel)))
    if discretization in EXACT:
        exact_steps(dynamics, interpolation, *walk, n_threads=n_threads)
    elif dynamics.factors is not None:
        _triangular_steps(dynamics.factors, dynamics.B, IMPLICIT[discretization], *walk, n_threads=n_threads)
    elif dynamics.V is not None:
        _modal_steps(dynamics, IMPLICIT[discretization], *walk, n_threads=n_threads)
    else:
        _dense_steps(dynamics, IMPLICIT[discretization], *walk)
    # A function of no duration is a constant, or what its past was.
    reached = ends - 1 if states is None else np.arange(len(values), dtype=np.intp)
    out = (memory if states is None else states)[..., :order]
    first = np.repeat(begins, panel.lengths)[reached]
    constant = reached <= first if panel.times is None else panel.times[reached] <= panel.times[first]
    out[constant] = 0
    if measure.clock == "log":
        out[constant, :, 0] = values[reached[constant]]
    else:
        out[constant, :, 0] = values[first[constant]] * (past == "constant")
    out[np.isnan(out[..., 0])] = np.nan
    return np.ldexp(out, (exponent if states is None else of_rows)[..., None]).astype(dtype, copy=False)


def _each_beginning(
    panel: Panel,
    measure: Measure,
    order: int,
    timescale: float | None,
    discretization: str,
    past: str,
    n_threads: int,
) -> Array:
    """States after every observation, from a recurrence over each beginning of each series."""
    begins, ends = prefixes(panel)
    states = np.empty((len(ends), panel.n_channels, order), panel.values.dtype)
    lengths = ends - begins
    for some in np.array_split(np.arange(len(ends)), 1 + int(lengths.sum()) // 1_000_000):
        offsets = np.concatenate([[0], np.cumsum(lengths[some])])
        rows = np.arange(offsets[-1]) + np.repeat(begins[some] - offsets[:-1], lengths[some])
        times = None if panel.times is None else panel.times[rows]
        beginnings = Panel._trusted(panel.values[rows], times, offsets, None, None)
        states[some] = recur(
            beginnings,
            measure,
            order,
            timescale=timescale,
            discretization=discretization,
            past=past,
            n_threads=n_threads,
        )
    return states


def prefixes(panel: Panel) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of all beginnings of all series, one for every observation."""
    return np.repeat(panel.offsets[:-1], panel.lengths), np.arange(1, len(panel.values) + 1, dtype=np.intp)


def steps(panel: Panel, clock: str, interpolation: str, timescale: float | None) -> tuple[Array, NDArray[np.intp]]:
    """Dimensionless step (E8) that leads to every observation, and the observation at which each series' clock starts.

    The logarithmic clock starts at the first observation after t_0: until then, the function is a constant.
    """
    offsets, lengths = panel.offsets, panel.lengths
    start, _ = series_span(panel.times, offsets, interpolation)
    times = own_times(panel)
    before = np.concatenate([[0.0], times[:-1]])
    before[offsets[:-1]] = start
    if clock == "linear":
        return (times - before) / timescale, offsets[:-1]
    elapsed, already = times - np.repeat(start, lengths), before - np.repeat(start, lengths)
    step = np.zeros(len(times))
    np.log(elapsed / np.where(already > 0, already, 1), where=already > 0, out=step)
    later = np.where(elapsed > 0, np.arange(len(times)), len(times))
    started = np.minimum(np.minimum.reduceat(later, offsets[:-1]), offsets[1:] - 1)
    return step, started


def _check_stability(dynamics: Dynamics, step: Array, panel: Panel) -> None:
    """Forward Euler multiplies an error by 1 + h a for every eigenvalue a of A: it must stay within the unit circle."""
    eigenvalues = np.diag(dynamics.A) if dynamics.factors is not None else np.linalg.eigvals(dynamics.A)
    growth = np.abs(1 + np.multiply.outer([step.max(initial=0)], eigenvalues)).max()
    if growth > 1 + 1e-12:
        row = int(np.argmax(step))
        series, position = panel._place(row)
        limit = np.min(-2 * eigenvalues.real / np.abs(eigenvalues) ** 2)
        raise ValueError(
            f"{panel._called(series)}: the step to position {position} is {step[row]:.3g}, and above {limit:.3g} an "
            f"error grows from step to step, where discretization='forward' is unstable at order {len(dynamics.B)}. "
            "Use 'bilinear' or 'zoh', or a smaller order."
        )


_LONGEST = 2.0**10  # timescales, after which nothing is remembered


_FEW = 4  # different steps, of which each is worth a matrix of its own


def _generator(dynamics: Dynamics) -> Array:
    """G of the system augmented by the value and its slope: [[A, B, 0], [0, 0, 1], [0, 0, 0]]."""
    order = len(dynamics.B)
    G = np.zeros((order + 2, order + 2))
    G[:order, :order], G[:order, order], G[order, order + 1] = dynamics.A, dynamics.B, 1
    return G


@lru_cache(maxsize=16)
def _transition(dynamics: Dynamics, h: float) -> Array:
    return expm(_generator(dynamics) * h)


@lru_cache(maxsize=4)
def _digits(dynamics: Dynamics) -> tuple[Array, Array]:
    """The generator G, and exp(G h) for h = 2^10, 2^9, ..., until few Taylor terms do the rest."""
    G = _generator(dynamics)
    n_powers = 18 + max(0, int(np.ceil(np.log2(np.linalg.norm(G, 2)))))
    return G, np.stack([expm(G * (_LONGEST / 2**j)) for j in range(n_powers)])


def exact_steps(
    dynamics: Dynamics, interpolation: str, step: Array, values: Array, begins: Array, ends: Array, memory: Array,
    states: Array | None = None, *, n_threads: int = 1,
) -> None:  # fmt: skip
    """Advance ``memory``, in place, by (E9): over held values, or straight lines from the value before."""
    rises = np.zeros_like(values)
    if interpolation == "linear":
        rises[1:] = np.diff(values, axis=0)
        rises[begins] = 0
    size = len(dynamics.B) + 2
    n_threads = max(1, min(n_threads, len(begins)))
    lengths, which = np.unique(step, return_inverse=True)
    if len(lengths) <= _FEW and lengths[-1] <= _LONGEST:
        transitions = np.stack([_transition(dynamics, float(h)) for h in lengths])
        scratch = np.empty((n_threads, 2 * size))
        scan_repeated(transitions, which, lengths, values, rises, begins, ends, memory, states, scratch)
        return
    generator, powers = _digits(dynamics)
    scratch = np.empty((n_threads, 3 * size))
    # The rest of a step is below 2^-8 / |G|: six terms leave 2^-56 / 7!.
    scan_exponential(powers, generator, _LONGEST, 6, step, values, rises, begins, ends, memory, states, scratch)


def _triangular_steps(
    factors: tuple[Array, Array, Array], B: Array, implicit: float, step: Array, values: Array, begins: Array,
    ends: Array, memory: Array, states: Array | None, *, n_threads: int,
) -> None:  # fmt: skip
    order, lanes = len(B), n_lanes()
    padded = np.zeros((4, order + 2 * (lanes - 1)))
    padded[:, lanes - 1 : lanes - 1 + order] = np.stack([*factors, B])[:, ::-1]
    scratch = np.empty((n_threads, lanes * (order + lanes)))
    scan_triangular(padded, implicit, step, values, begins, ends, memory, states, scratch)


def _modal_steps(
    dynamics: Dynamics, implicit: float, step: Array, values: Array, begins: Array, ends: Array, memory: Array,
    states: Array | None, *, n_threads: int,
) -> None:  # fmt: skip
    own = modes(dynamics)
    size, n_channels = 2 * len(own.frequency), memory.shape[1]
    z = np.ascontiguousarray(memory @ own.into.T)
    visited = None if states is None else np.empty((len(states), n_channels, size))
    scan_modes(
        own.frequency, own.V, own.origin, own.b, own.damping, implicit, step, values, begins, ends, z, visited,
        np.empty((n_threads, (3 + 4 * n_channels) * (size // 2))),
    )  # fmt: skip
    np.matmul(z, own.out.T, out=memory)
    if states is not None and visited is not None:
        np.matmul(visited, own.out.T, out=states)


def _dense_steps(
    dynamics: Dynamics, implicit: float, step: Array, values: Array, begins: Array, ends: Array, memory: Array,
    states: Array | None,
) -> None:  # fmt: skip
    """Advance ``memory`` under an A of which nothing is known: all series side by side, a dense system a step."""
    A, B = dynamics.A, dynamics.B
    for k in range(int((ends - begins).max())):
        on = np.flatnonzero(begins + k < ends)
        at = begins[on] + k
        hA = step[at, None, None] * A
        ahead = np.eye(len(B)) - implicit * hA
        # (I - a h A) (c+ - c) = h (A c + B f), column by channel
        rise = (hA @ memory[on].swapaxes(1, 2)) + (step[at, None] * B)[..., None] * values[at, None]
        memory[on] += np.linalg.solve(ahead, rise).swapaxes(1, 2)
        if states is not None:
            states[at] = memory[on]
