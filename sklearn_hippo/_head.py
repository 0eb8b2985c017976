"""The head of `HiPPOClassifier` and `HiPPORegressor`: ridge regression on very many features.

Features are standardized, and scaled by how much of their variance the targets explain; the penalty is chosen by
leave-one-out, in closed form. Of fewer series than features the products of the series are taken (the dual), otherwise
those of the features (the primal), for which the features of some series at a time are enough.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, solve
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.model_selection import StratifiedKFold

Array = NDArray[Any]
Blocks = list[tuple[slice, float]]

FLOOR = 0.02  # share of variance below which all features are alike
FAR = 30.0  # standard deviations, beyond which a feature of a new series counts as if it were there
COLUMNS_AT_ONCE = 4096
ROWS_AT_ONCE = 4096
KEPT = 2**29  # bytes of features that are computed once; of more they are computed in every pass


class Choice(NamedTuple):
    """Penalties as multiples of the mean square of a series, and the precision that the products need for them."""

    penalties: Array
    precision: Any


OF_CLASSES = Choice(np.logspace(-6, 2, 17), np.float32)
OF_NUMBERS = Choice(np.logspace(-9, 1, 31), np.float64)


class Features:
    """The features of series, some series at a time.

    Parameters
    ----------
    transform : callable
        Of some series it makes an array of shape (n_series, n_features).
    series : sequence
        That takes slices and arrays of positions.
    n_features : int
    report : callable
        Told what has been done, and from which verbosity on that is worth a line.
    """

    def __init__(
        self, transform: Callable[[Any], Array], series: Any, n_features: int,
        report: Callable[..., object] = lambda done, level=1: None, kept: Array | None = None,
    ):  # fmt: skip
        self.transform, self.series, self.n_features = transform, series, n_features
        self.report, self.kept = report, kept
        if kept is None and 4 * len(series) * n_features <= KEPT:
            self.kept = np.asarray(transform(series))
            report(f"{n_features} features of {len(series)} series")

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, positions: Array) -> "Features":
        kept = None if self.kept is None else self.kept[positions]
        return Features(self.transform, self.series[positions], self.n_features, self.report, kept)

    def __iter__(self) -> Iterator[tuple[slice, Array]]:
        """Positions of series, and their features."""
        for k in range(0, len(self), ROWS_AT_ONCE):
            rows = slice(k, min(k + ROWS_AT_ONCE, len(self)))
            yield rows, np.asarray(self.transform(self.series[rows])) if self.kept is None else self.kept[rows]
            if self.kept is None:
                self.report(f"{self.n_features} features of {rows.stop} of {len(self)} series, in a pass over all", 2)


class Scaling(NamedTuple):
    """Z = (features - center) * inverse * weight, where new series are clipped to FAR standard deviations.

    With a mean, Z is divided by its length, for every series, and the mean subtracted.
    """

    center: Array  # (n_features,)
    inverse: Array  # (n_features,) of the standard deviations; 0 for a feature that does not vary
    weight: Array  # (n_features,)
    mean: Array | None = None  # (n_features,) of the series when they have unit length

    def pieces(self, features: Array, *, new: bool = False) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Some columns at a time, and Z there."""
        lengths = None if self.mean is None else self.lengths(features, new=new)[:, None]
        for columns in columns_of(features.shape[1]):
            own = np.asarray(features[:, columns], np.float64) - self.center[columns]
            own *= self.inverse[columns]
            if new:
                np.clip(own, -FAR, FAR, out=own)
            own *= self.weight[columns]
            if lengths is not None and self.mean is not None:
                own /= lengths
                own -= self.mean[columns]
            yield columns, own.astype(np.float32)

    def lengths(self, features: Array, *, new: bool = False) -> Array:
        """Of Z before it is divided by them, one for each series; of nothing 1."""
        squares = np.zeros(len(features))
        for _, own in self._replace(mean=None).pieces(features, new=new):
            squares += np.einsum("ij,ij->i", own, own, dtype=np.float64)
        return np.sqrt(np.where(squares > 0, squares, 1.0))

    def whole(self, features: Array, root: Array) -> NDArray[np.float32]:
        """Z, and each series times the root of its weight."""
        out = np.empty(features.shape, np.float32)
        for columns, own in self.pieces(features):
            out[:, columns] = own
        out *= root[:, None].astype(np.float32)
        return out

    def of_unit_length(self, features: Features, weights: Array) -> "Scaling":
        """With the mean under these weights."""
        factors = weights / weights.sum()
        mean = np.zeros(features.n_features)
        for rows, some in features:
            own = factors[rows] / self.lengths(some)
            for columns, piece in self.pieces(some):
                mean[columns] += own @ piece
        return self._replace(mean=mean)


def columns_of(n: int) -> list[slice]:
    """Features, some at a time."""
    return [slice(k, min(k + COLUMNS_AT_ONCE, n)) for k in range(0, n, COLUMNS_AT_ONCE)]


def learn_scaling(
    features: Features, targets: Array, weights: Array, blocks: Blocks, *, n_classes: int = 0, power: float = 0
) -> Scaling:
    """Standardize features, and scale them by what the targets explain of them.

    Parameters
    ----------
    features : Features
    targets : ndarray of shape (n_series, n_targets)
        Of classes, 1 or -1.
    weights : ndarray of shape (n_series,)
        Of the series; they sum up to their number.
    blocks : list of (columns, float)
        Columns whose scales are relative to each other, and the variance that they have together, for each of them.
    n_classes : int
        0 for a regression, in which all targets explain together.
    power : float
        As in `balance`: the center is the mean under weights that are so balanced.
    """
    n, p = len(features), features.n_features
    share = weights / weights.sum()
    if n_classes:
        design = (targets > 0) * share[:, None]
    else:
        centered = targets - share @ targets
        spread = np.sqrt(share @ centered**2)
        design = centered / np.where(spread > 0, spread, 1) * share[:, None]
    shift: Array | None = None  # near the means, so that differences of squares keep their digits
    mean, squares, products = np.zeros(p), np.zeros(p), np.zeros((targets.shape[1], p))
    for rows, some in features:
        if shift is None:
            shift = some.mean(axis=0, dtype=np.float64)
        for columns in columns_of(p):
            own = np.asarray(some[:, columns], np.float64) - shift[columns]
            mean[columns] += share[rows] @ own
            products[:, columns] += design[rows].T @ own
            squares[columns] += share[rows] @ np.square(own, out=own)
    assert shift is not None
    found = scaling_of(n, mean, squares - mean**2, design.sum(axis=0), products, blocks, n_classes, power, shift)
    return found._replace(center=shift + found.center)


def scaling_of(
    n: int, mean: Array, variance: Array, size: Array, products: Array, blocks: Blocks, n_classes: int,
    power: float = 0, shift: Any = 0.0,
) -> Scaling:  # fmt: skip
    """From what is known of n series: means and variances of the features, and their products with the design.

    The design is, of classes, one where a series is of them, and of numbers the standardized targets; all of these are
    means over the series, and features are less the shift. Sizes are means of the design.
    """
    scale = np.sqrt(np.maximum(variance, 0))
    varies = scale > 1e-7 * np.maximum(1, np.abs(shift + mean))
    inverse = np.where(varies, 1 / np.where(varies, scale, 1), 0)
    center = mean
    if n_classes:
        means = products / np.maximum(size[:, None], 1e-300)
        between = size @ (means - mean) ** 2 * inverse**2
        balanced = size ** (1 - power)
        center = balanced @ means / balanced.sum()
        chance = (n_classes - 1) / max(n - 1, 1)
        explained = (between - chance) / max(1 - chance, 1e-12)
    else:
        explained = ((products * inverse) ** 2).max(axis=0) - 1 / n
    weight = np.sqrt(np.maximum(explained, FLOOR))
    for columns, share in blocks:
        used = weight[columns][varies[columns]]
        if len(used):
            weight[columns] *= np.sqrt(share) / np.sqrt(np.mean(used**2))
    return Scaling(center, inverse, weight)


class Solution(NamedTuple):
    """Of the ridge regression: targets are Z @ coefficients + intercept."""

    coefficients: Array  # (n_features, n_targets)
    intercept: Array  # (n_targets,)
    penalty: float  # as a multiple of the mean square of a series
    error: float  # mean square of what is left when each series is predicted by all others; of a given penalty NaN


def ridge(
    features: Features, scaling: Scaling, targets: Array, weights: Array, choice: Choice, penalty: float | None = None
) -> Solution:
    """Ridge regression with weights; without a penalty, the best of those to choose from by leave-one-out.

    Let Z' = sqrt(weights) Z = U sqrt(e) V^T, whose mean is zero. In the dual Z' Z'^T = U e U^T is decomposed, in the
    primal Z'^T Z' = V e V^T; of either there are the projections P = U sqrt(e) = Z' V. Predictions are H y with
    H = P / (e + penalty) P^T + s s^T, s the square roots of the shares of the weights, and what is predicted for a
    series by all others is y - (y - H y) / (1 - diag H), all times the roots of the weights.
    """
    root, share = np.sqrt(weights), weights / weights.sum()
    intercept = share @ targets
    y = (targets - intercept) * root[:, None]
    dual = len(features) <= features.n_features
    make = series_products if dual else feature_products
    products = make(features, scaling, root, choice.precision)
    unit = float(np.trace(products)) / len(features) or 1.0  # no feature varies: the intercept is all there is
    moments = y if dual else over_series(features, scaling, root, y)
    error = np.nan
    if penalty is None:
        values, vectors = eigh(products.T, driver="evr", overwrite_a=True, check_finite=False)
        del products
        values = np.maximum(values, 0)
        seen = vectors.T @ moments
        choices = choice.penalties * unit
        errors = np.zeros(len(choices))
        if dual:
            lengths = np.sqrt(values)
            errors += squares_left(vectors * lengths, values, lengths[:, None] * seen, y, share, choices)
        else:
            basis = vectors.astype(choice.precision)
            for rows, some in features:
                projections = scaling.whole(some, root[rows]).astype(choice.precision) @ basis
                errors += squares_left(projections, values, seen, y[rows], share[rows], choices)
        best = int(errors.argmin())
        penalty, error = float(choice.penalties[best]), float(errors[best] / y.size)
        solved = vectors @ (seen / (values + choices[best])[:, None])
    else:
        # More than the products are rounded by, so that none of their eigenvalues is negative: sums of them are rounded
        # by their size, which is that of the greatest eigenvalue where one feature outweighs the others.
        rounding = 8 * np.finfo(choice.precision).eps * (float(np.linalg.norm(products)) or unit)
        products[np.diag_indices_from(products)] += penalty * unit + rounding
        solved = solve(products.T, moments, assume_a="pos", overwrite_a=True, check_finite=False)
    return Solution(over_series(features, scaling, root, solved) if dual else solved, intercept, penalty, error)


def squares_left(projections: Array, values: Array, seen: Array, y: Array, share: Array, choices: Array) -> Array:
    """Sums of squares, for each penalty, of what is left of y when each series is predicted by all others."""
    kept = 1 / (values[:, None] + choices)
    leverage = np.minimum(projections**2 @ kept.astype(projections.dtype) + share[:, None], 1 - 1e-9)
    total = np.empty(len(choices))
    for i in range(len(choices)):
        guess = projections @ (kept[:, i, None] * seen).astype(projections.dtype)
        total[i] = np.sum(((y - guess) / (1 - leverage[:, i, None])) ** 2)
    return total


def series_products(features: Features, scaling: Scaling, root: Array, precision: Any) -> Array:
    """Z' Z'^T: products of all series with each other."""
    own = np.asarray(features.transform(features.series)) if features.kept is None else features.kept
    total = np.zeros((len(own), len(own)), precision)
    for _, piece in scaling.pieces(own):
        scaled = piece.astype(precision)
        total += scaled @ scaled.T
    return total.astype(np.float64) * np.outer(root, root)


def feature_products(features: Features, scaling: Scaling, root: Array, precision: Any) -> Array:
    """Z'^T Z': products of all features with each other, summed over the series."""
    total = np.zeros((features.n_features, features.n_features))
    for rows, some in features:
        own = scaling.whole(some, root[rows]).astype(precision)
        total += own.T @ own
    return total


def over_series(features: Features, scaling: Scaling, root: Array, factors: Array) -> Array:
    """Z'^T factors: a sum over the series, for each feature."""
    total = np.zeros((features.n_features, factors.shape[1]))
    for rows, some in features:
        weighted = (root[rows, None] * factors[rows]).astype(np.float64)
        for columns, piece in scaling.pieces(some):
            total[columns] += piece.T @ weighted
    return total


def predict(features: Array, scaling: Scaling, coefficients: Array, intercept: Array) -> Array:
    """Targets of series."""
    total = np.tile(np.asarray(intercept, np.float64), (len(features), 1))
    for columns, piece in scaling.pieces(features, new=True):
        total += piece @ coefficients[columns]
    return total


def balance(targets: Array, weights: Array, power: float) -> tuple[Array, Array]:
    """Weights divided by that power of the weight of their class, and the logarithms of these factors, by class."""
    own = targets > 0
    share = weights @ own / weights.sum()
    factors = share**-power
    balanced = weights * factors[own.argmax(axis=1)]
    return balanced * (len(weights) / balanced.sum()), -np.log(factors)


class Head(NamedTuple):
    """A head, and of classes what makes logarithms of probabilities of its outputs."""

    scaling: Scaling
    solution: Solution
    temperature: float = 1.0  # outputs are multiplied by it,
    offset: Any = 0.0  # (n_targets,) and this is added
    loss: float = np.inf  # of such probabilities, cross-validated
    left_out: Array | None = None  # (n_series, n_targets), outputs for series that were not fitted; else NaN


def fit_head(
    features: Features, targets: Array, weights: Array, blocks: Blocks, n_classes: int, *, power: float = 0,
    unit: bool = False, penalty: float | None = None,
) -> Head:  # fmt: skip
    """Scaling and ridge regression; of classes under weights that are balanced by a power, which the offset undoes."""
    scaling = learn_scaling(features, targets, weights, blocks, n_classes=n_classes, power=power)
    offset = np.zeros(targets.shape[1])
    if n_classes:
        weights, offset = balance(targets, weights, power)
    if unit:
        scaling = scaling.of_unit_length(features, weights)
    choice = OF_CLASSES if n_classes else OF_NUMBERS
    return Head(scaling, ridge(features, scaling, targets, weights, choice, penalty), offset=offset)


def fit_calibrated(features: Features, targets: Array, weights: Array, blocks: Blocks, seed: int) -> Head:
    """The head of a classifier with the temperature under which outputs of folds left out are the best probabilities.

    Where series are fewer than features, they are also tried at unit length, and, if one class is more than twice as
    large as another, with weights that are balanced by a half; the better of these probabilities decide.
    """
    codes = targets.argmax(axis=1)
    counts = np.bincount(codes)
    n_folds = min(5, int(counts.min()))

    def tried(**how: Any) -> Head:
        head = fit_head(features, targets, weights, blocks, len(counts), **how)
        features.report(f"ridge regression on {len(features)} series")
        if n_folds < 2:
            return head
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(codes, codes)
        outputs, used = [], []
        # one fold has series enough where each is too many to keep its features
        for i, (train, test) in enumerate(islice(folds, None if features.kept is not None else 1)):
            own = weights[train] * len(train) / weights[train].sum()
            part = fit_head(
                features[train], targets[train], own, blocks, len(counts), **how, penalty=head.solution.penalty
            )
            outputs += [predict(some, part.scaling, *part.solution[:2]) for _, some in features[test]]
            used.append(test)
            features.report(f"fold {i + 1} of {n_folds}")
        which = np.concatenate(used)
        left_out = np.full(targets.shape, np.nan)
        left_out[which] = np.concatenate(outputs)
        temperature, loss = calibrate(left_out[which], head.offset, codes[which], weights[which])
        return head._replace(temperature=temperature, loss=loss, left_out=left_out)

    best = tried()
    if n_folds > 1 and len(features) <= features.n_features:
        best = min(best, tried(unit=True), key=lambda head: head.loss)
        if counts.max() > 2 * counts.min():
            best = min(best, tried(unit=best.scaling.mean is not None, power=0.5), key=lambda head: head.loss)
    return best


def calibrate(
    outputs: Array, offset: Array, codes: NDArray[np.intp], weights: Array, doubt: float | None = None
) -> tuple[float, float]:
    """What to multiply outputs by for the best log-probabilities of classes, and the loss of these."""
    if doubt is None:
        doubt = 1 / (len(codes) + 2)  # as much as one more series of any class: no probability is 0 or 1

    def loss(log_temperature: float) -> float:
        logs = log_softmax(np.exp(log_temperature) * outputs + offset, axis=1)
        own = (1 - doubt) * logs[np.arange(len(codes)), codes] + doubt * logs.mean(axis=1)
        return -float(np.average(own, weights=weights))

    found = minimize_scalar(loss, bounds=(-3, 5), method="bounded")
    return float(np.exp(found.x)), float(found.fun)
