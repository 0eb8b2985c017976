"""A ridge regression on series that come in parts: sums over each part are enough, and they add up.

A worker computes features of its series, and keeps nothing of them but sums of products: of the features with each
other, and with the targets. They are those of the features as they are; scales, which depend on all series, are applied
to the sums. Some random series of each part are held out, to choose the penalty and calibrate probabilities with.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, solve
from sklearn.utils import check_array
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
from ._validation import check_labels, check_panel

Array = NDArray[Any]

HELD_OUT = 4000  # series of all parts together


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
        spread = y.std(axis=0)
        return cls(rows.mean(axis=0), inverse, None, y.mean(axis=0), np.where(spread > 0, spread, 1.0))

    def of_features(self, features: Array) -> NDArray[np.float32]:
        """In these units."""
        out = np.empty(features.shape, np.float32)
        for columns in columns_of(features.shape[1]):
            out[:, columns] = (features[:, columns] - self.shift[columns]) * self.inverse[columns]
        return out

    def design(self, y: Array) -> Array:
        """One where a series is of a class, or numbers in these units."""
        if self.classes is None:
            return (y.reshape(len(y), -1) - self.center) / self.scale
        return (y[:, None] == self.classes).astype(np.float64)


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


def pairs_of(read: Callable[[Any], Any], part: Any, number: int) -> Iterator[tuple[Any, Any]]:
    """What is read of a part, pair by pair."""
    found = read(part)
    if not isinstance(found, Iterable):
        raise TypeError(f"read must make an iterable of pairs (X, y) of part {number}, got {type(found).__name__}.")
    for pair in found:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"read must make pairs (X, y) of part {number}, got a {type(pair).__name__}.")
        yield pair[0], pair[1]


def sums_of(
    numbered: tuple[int, Any], read: Callable[[Any], Iterable[tuple[Any, Any]]], transform: Callable[[Any], Array],
    check: Callable[[Any, Any, int], tuple[Panel, Array]], units: Units, n_held: int, seed: int,
) -> tuple[Sums, Held]:  # fmt: skip
    """What a worker makes of a part: sums, and a uniform sample of its series, which are not among the sums."""
    number, part = numbered
    rng = np.random.default_rng([seed, number])
    k = len(units.center)
    sums, draws = Sums(k, len(units.shift)), np.empty(0)
    held = Held(np.empty((0, k)), np.empty((0, len(units.shift)), np.float32))
    for X, own in pairs_of(read, part, number):
        panel, y = check(X, own, number)
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
    values, seen = np.maximum(values, 0), vectors.T @ moments
    seen_held = scaling.whole(held.features, np.ones(len(held.features))) @ vectors
    del vectors
    targets = 2 * held.design - 1 if n_classes else held.design
    outputs = [seen_held @ (seen / (values + penalty * unit)[:, None]) + intercept for penalty in choice.penalties]
    errors = [float(np.mean((targets - one) ** 2)) for one in outputs]
    best = int(np.argmin(errors))
    temperature, loss = 1.0, np.inf
    if n_classes:
        codes = held.design.argmax(axis=1)
        temperature, loss = calibrate(outputs[best], np.zeros(n_classes), codes, np.ones(len(codes)))
    total.add(held.design, held.features)
    scaling, gram, moments, intercept = normal_equations(total, blocks, n_classes)
    gram[np.diag_indices_from(gram)] += choice.penalties[best] * float(np.trace(gram)) / total.n
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


def checked(X: Any, y: Any, number: int, *, classes: Array | None) -> tuple[Panel, Array]:
    """The series and targets of a pair, of part ``number``."""
    panel = check_panel(X)
    check_consistent_length(panel, y)
    if classes is None:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        return panel, y.reshape(len(y), -1)
    y = check_labels(y, panel)
    unknown = ~np.isin(y, classes)
    if unknown.any():
        raise ValueError(
            f"Part {number} has the class {y[unknown].tolist()[0]!r}, which the first series of the first part do not "
            "have: give classes=[...]."
        )
    return panel, y


def fit_parts(
    parts: Sequence[Any], read: Callable[[Any], Iterable[tuple[Any, Any]]], transform: Callable[[Any], Array],
    units: Units, blocks: Blocks, seed: int, executor: Any, report: Callable[..., object],
) -> Head:  # fmt: skip
    """Read all parts, by an executor if there is one, and solve."""
    classes = units.classes
    work = partial(
        sums_of, read=read, transform=transform, check=partial(checked, classes=classes), units=units,
        n_held=ceil(HELD_OUT / len(parts)), seed=seed,
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
            "fitted at once."
        )
    return fit_sums(total, everything, units, blocks, 0 if classes is None else len(classes))
