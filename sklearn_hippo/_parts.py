"""A ridge regression on series that come in parts: sums over each part are enough, and they add up.

A worker computes features of its series, and keeps nothing of them but sums of products: of the features with each
other, and with the targets. They are those of the features as they are; scales, which depend on all series, are applied
to the sums. Some random series of each part are held out, to choose the penalty and calibrate probabilities with.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, solve
from sklearn.utils.validation import check_consistent_length

from ._head import (
    OF_CLASSES,
    OF_NUMBERS,
    ROWS_AT_ONCE,
    Blocks,
    Head,
    Scaling,
    Solution,
    calibrate,
    columns_of,
    scaling_of,
)
from ._panel import Panel
from ._scales import mean_and_scale, standardized
from ._validation import check_labels, check_numbers, check_panel

Array = NDArray[Any]

HELD_OUT = 4000  # series of all parts together
FARTHEST = 1e6  # standard deviations of the first series, beyond which a feature counts as if it were there


class Units(NamedTuple):
    """What makes numbers of order one of features and targets, known before any part is read."""

    shift: Array  # (n_features,)
    inverse: Array  # (n_features,)
    classes: Array | None  # labels; None for numbers,
    center: Array  # (n_targets,) of which these are the mean
    scale: Array  # (n_targets,) and the standard deviation

    @classmethod
    def learn(cls, features: Array, y: Array, classes: Array | None) -> "Units":
        """From some series."""
        rows = np.asarray(features, np.float64)
        scale = rows.std(axis=0)
        inverse = 1 / np.where(scale > 0, scale, 1)
        if classes is not None:
            return cls(rows.mean(axis=0), inverse, classes, np.zeros(len(classes)), np.ones(len(classes)))
        center, spread = np.transpose([mean_and_scale(target, np.ones(len(target))) for target in y.T])
        return cls(rows.mean(axis=0), inverse, None, center, spread)

    def of_features(self, features: Array) -> NDArray[np.float32]:
        """In these units, at most FARTHEST."""
        out = np.empty(features.shape, np.float32)
        for columns in columns_of(features.shape[1]):
            own = (features[:, columns] - self.shift[columns]) * self.inverse[columns]
            np.clip(own, -FARTHEST, FARTHEST, out=out[:, columns], casting="same_kind")
        return out

    def design(self, y: Array) -> Array:
        """One where a series is of a class, or numbers in these units."""
        if self.classes is not None:
            return (y[:, None] == self.classes).astype(np.float64)
        design = standardized(y, self.center, self.scale, np.inf)
        if np.abs(design).max(initial=0) > FARTHEST:
            i, j = np.unravel_index(np.abs(design).argmax(), y.shape)
            raise ValueError(
                f"y has the target {y[i, j]:.3g}, more than {FARTHEST:g} standard deviations of those of the first "
                "series away from their mean. Let the first series of the first part be of all kinds."
            )
        return design


class Sums:
    """Sums over series of their design E and features F: of E, E^T E, F, E^T F and F^T F."""

    def __init__(self, n_targets: int, n_features: int):
        self.n = 0
        self.design, self.squares = np.zeros(n_targets), np.zeros((n_targets, n_targets))
        self.features = np.zeros(n_features)
        self.products, self.gram = np.zeros((n_targets, n_features)), np.zeros((n_features, n_features))

    def add(self, design: Array, features: NDArray[np.float32]) -> None:
        """Add some series; products are made in single precision, and summed in double."""
        self.n += len(features)
        self.design += design.sum(axis=0)
        self.squares += design.T @ design
        self.features += features.sum(axis=0, dtype=np.float64)
        self.products += design.T @ features
        for k in range(0, len(features), ROWS_AT_ONCE):
            self.gram += features[k : k + ROWS_AT_ONCE].T @ features[k : k + ROWS_AT_ONCE]

    def __iadd__(self, other: "Sums") -> "Sums":
        self.n += other.n
        for name in ("design", "squares", "features", "products", "gram"):
            own = getattr(self, name)
            own += getattr(other, name)
        return self


class Held(NamedTuple):
    """Series that are held out."""

    design: Array
    features: NDArray[np.float32]


def check_parts(parts: Any, read: Any, executor: Any) -> list[Any]:
    """Parts, and what reads them."""
    if not isinstance(parts, Iterable) or isinstance(parts, (str, bytes)):
        raise TypeError(f"parts must be an iterable of what read is called with, got {type(parts).__name__}.")
    if not callable(read):
        raise TypeError(f"read must be a function, of a part, got {type(read).__name__}.")
    if executor is not None and not hasattr(executor, "map"):
        raise TypeError(f"executor must be one of concurrent.futures, with a map, got {type(executor).__name__}.")
    parts = list(parts)
    if not parts:
        raise ValueError("There are no parts.")
    return parts


@contextmanager
def of_part(part: Any, number: int) -> Iterator[None]:
    """Note of an error which part it is of."""
    try:
        yield
    except Exception as error:
        error.add_note(f"This is in part {number}: {part!r}.")
        raise


def pairs_of(read: Callable[[Any], Any], part: Any) -> Iterator[tuple[Any, Any]]:
    """What is read of a part, pair by pair."""
    found = read(part)
    if not isinstance(found, Iterable):
        raise TypeError(f"read must make an iterable of pairs (X, y), got {type(found).__name__}.")
    for pair in found:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or pair[0] is None:
            what = "(None, ...)" if isinstance(pair, (tuple, list)) and len(pair) == 2 else f"a {type(pair).__name__}"
            raise TypeError(f"read must make pairs (X, y), got {what}.")
        yield pair[0], pair[1]


def sums_of(
    numbered: tuple[int, Any], read: Callable[[Any], Iterable[tuple[Any, Any]]], transform: Callable[[Any], Array],
    check: Callable[[Any, Any], tuple[Panel, Array]], units: Units, n_held: int, seed: int,
) -> tuple[Sums, Held]:  # fmt: skip
    """What a worker makes of a part: sums, and a uniform sample of its series, which are not among the sums."""
    number, part = numbered
    rng = np.random.default_rng([seed, number])
    k = len(units.center)
    sums, draws = Sums(k, len(units.shift)), np.empty(0)
    held = Held(np.empty((0, k)), np.empty((0, len(units.shift)), np.float32))
    with of_part(part, number):
        for X, own in pairs_of(read, part):
            panel, y = check(X, own)
            for start in range(0, len(panel), ROWS_AT_ONCE):
                some = slice(start, start + ROWS_AT_ONCE)
                features = units.of_features(np.asarray(transform(panel[some])))
                # the series with the least draws so far are held out
                draws = np.append(draws, rng.uniform(size=len(features)))
                design = np.concatenate([held.design, units.design(y[some])])
                features = np.concatenate([held.features, features])
                order = np.argsort(draws)
                kept, rest = order[:n_held], order[n_held:]
                sums.add(design[rest], features[rest])
                held, draws = Held(design[kept], features[kept]), draws[kept]
    return sums, held


def fit_sums(total: Sums, held: Held, units: Units, blocks: Blocks, n_classes: int) -> Head:
    """The head that is best for the series held out, fitted to all series."""
    choice = OF_CLASSES if n_classes else OF_NUMBERS
    scaling, gram, moments, intercept = normal_equations(total, blocks, n_classes)
    unit = float(np.trace(gram)) / total.n or 1.0
    values, vectors = eigh(gram.T, driver="evr", overwrite_a=True, check_finite=False)
    del gram
    # products are rounded: by as much as their eigenvalues are negative, and that is added to penalties
    rounding = max(-float(values[0]), 0.0)
    values, seen = np.maximum(values, 0), vectors.T @ moments
    seen_held = scaling.whole(held.features, np.ones(len(held.features))) @ vectors
    del vectors
    targets = 2 * held.design - 1 if n_classes else held.design
    choices = choice.penalties * unit + 2 * rounding
    outputs = [seen_held @ (seen / (values + penalty)[:, None]) + intercept for penalty in choices]
    errors = [float(np.mean((targets - one) ** 2)) for one in outputs]
    best = len(errors) - 1 - int(np.argmin(errors[::-1]))  # of equal ones the largest penalty
    temperature, loss = 1.0, np.inf
    if n_classes:
        codes = held.design.argmax(axis=1)
        temperature, loss = calibrate(outputs[best], np.zeros(n_classes), codes, np.ones(len(codes)))
    more = (total.n + len(held.design)) / total.n
    total.add(held.design, held.features)
    scaling, gram, moments, intercept = normal_equations(total, blocks, n_classes)
    unit = float(np.trace(gram)) / total.n or 1.0
    gram[np.diag_indices_from(gram)] += choice.penalties[best] * unit + 2 * more * rounding
    coefficients = solve(gram.T, moments, assume_a="pos", overwrite_a=True, check_finite=False)
    solution = Solution(coefficients, intercept, float(choice.penalties[best]), errors[best])
    scaling = Scaling(units.shift + scaling.center / units.inverse, scaling.inverse * units.inverse, scaling.weight)
    return Head(scaling, solution, temperature, np.zeros(len(intercept)), loss)


def normal_equations(total: Sums, blocks: Blocks, n_classes: int) -> tuple[Scaling, Array, Array, Array]:
    """Of Z = (F - center) * inverse * weight and the centered targets: scaling, Z^T Z, Z^T y, and the means of y."""
    n, mean, size, products = total.n, total.features / total.n, total.design / total.n, total.products / total.n
    variance = np.diag(total.gram) / n - mean**2
    if n_classes:
        scaling = scaling_of(n, mean, variance, size, products, blocks, n_classes)
        moments, intercept = 2 * (products - size[:, None] * mean), 2 * size - 1
    else:
        spread = np.sqrt(np.maximum(np.diag(total.squares) / n - size**2, 0))
        moments, intercept = products - size[:, None] * mean, size
        standard = moments / np.where(spread > 0, spread, 1)[:, None]
        scaling = scaling_of(n, mean, variance, np.zeros(len(size)), standard, blocks, 0)
    factors = scaling.inverse * scaling.weight
    gram = total.gram - np.outer(n * mean, mean)
    gram *= factors
    gram *= factors[:, None]
    return scaling, gram, n * (moments * factors).T, intercept


def checked(X: Any, y: Any, *, classes: Array | None, shape: tuple[int, ...]) -> tuple[Panel, Array]:
    """The series and targets of a pair; these are classes, or of a shape beyond the series."""
    panel = check_panel(X)
    check_consistent_length(panel, y)
    if classes is None:
        y = check_numbers(y)
        if y.shape[1:] != shape:
            raise ValueError(
                f"y must have shape (n_series{', ' * bool(shape)}{', '.join(map(str, shape))}), as that of "
                f"the first series, got {y.shape}."
            )
        return panel, y.reshape(len(y), -1)
    y = check_labels(y, panel)
    unknown = ~np.isin(y, classes)
    if unknown.any():
        raise ValueError(
            f"The class {y[unknown].tolist()[0]!r} is neither of the first series nor among those given: say "
            "classes=[...]."
        )
    return panel, y


def fit_parts(
    parts: Sequence[Any], read: Callable[[Any], Iterable[tuple[Any, Any]]], transform: Callable[[Any], Array],
    check: Callable[[Any, Any], tuple[Panel, Array]], units: Units, blocks: Blocks, seed: int, executor: Any,
    report: Callable[..., object],
) -> Head:  # fmt: skip
    """Read all parts, by an executor if there is one, and solve."""
    classes = units.classes
    work = partial(
        sums_of, read=read, transform=transform, check=check, units=units, n_held=ceil(HELD_OUT / len(parts)),
        seed=seed,
    )  # fmt: skip
    total, held = None, []
    for i, (sums, own) in enumerate((map if executor is None else executor.map)(work, list(enumerate(parts)))):
        if total is None:
            total = sums
        else:
            total += sums
        held.append(own)
        report(f"part {i + 1} of {len(parts)}: {total.n + sum(len(one.design) for one in held)} series so far")
    assert total is not None
    everything = Held(*(np.concatenate(both) for both in zip(*held, strict=True)))
    if total.n < 2 * len(everything.design):
        raise ValueError(
            f"The parts have {total.n} series beside the {len(everything.design)} that are held out: so few can be "
            "fitted at once, by fit."
        )
    return fit_sums(total, everything, units, blocks, 0 if classes is None else len(classes))
