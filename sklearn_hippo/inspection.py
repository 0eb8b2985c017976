"""Pictures of what is remembered: a signal and its reconstruction, memory over time, measures; of models: what decides.

Display classes in the manner of scikit-learn: ``from_estimator`` computes, ``plot`` draws, and both return the display.
(Five of them side by side: half of these lines is documentation.)
"""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_scalar
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from ._contributions import contributions, shares
from ._measures import MEASURES, with_projection
from ._panel import Panel
from ._projection import reconstruct, series_span
from ._ridge import HiPPOClassifier, HiPPORegressor
from ._transformer import HiPPOTransformer
from ._validation import check_panel

__all__ = ["LossCurveDisplay", "MeasureDisplay", "MemoryDisplay", "ReconstructionDisplay", "WindowDisplay"]

Array = NDArray[Any]


def _check_several(ax: Any, n: int, what: str) -> None:
    """Refuse what is no array of so many axes."""
    if np.shape(ax) != (n,) or not all(hasattr(item, "plot") for item in ax):
        raise ValueError(f"{what} draws {n} pictures: ax must be an array of {n} Axes, as plt.subplots({n})[1] is.")


def _axes(ax: Any, caller: str, n: int = 1) -> Any:
    """The given axes, or ``n`` new ones below each other."""
    check_matplotlib_support(caller)
    import matplotlib.pyplot as plt

    if ax is not None:
        if n == 1 and not hasattr(ax, "plot"):
            raise TypeError(f"ax must be Axes of matplotlib, got {type(ax).__name__}.")
        if n > 1:
            _check_several(ax, n, "show_error")
        return ax
    if n == 1:
        return plt.subplots(layout="constrained")[1]
    return plt.subplots(n, 1, sharex=True, height_ratios=[3, 1], layout="constrained")[1]


def _text(name: Any) -> str:
    """A name as matplotlib draws it: dollars are no formula, and no legend leaves it out."""
    name = str(name).replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name


def _dates(times: Array, ax: Any, datetimes: bool) -> Array:
    """Times as an axis shows them."""
    if not datetimes:
        return times
    if len(times) and not (-62135596800 <= times[0] <= times[-1] <= 253402300799):
        raise ValueError("An axis shows dates of the years 1 to 9999: the times are others. Say datetimes=False.")
    ax.xaxis_date()
    return times / 86400  # matplotlib counts days since 1970


def _transformer_of(estimator: Any, fitted: bool = True) -> HiPPOTransformer:
    """A transformer, or the one with which a pipeline or the best one of a search begins."""
    found = getattr(estimator, "best_estimator_", estimator)
    found = found.steps[0][1] if getattr(found, "steps", None) else found
    if not isinstance(found, HiPPOTransformer):
        raise TypeError(
            f"A display shows a HiPPOTransformer, or a Pipeline that begins with one, got {type(found).__name__}"
            f"{'' if found is estimator else f' in a {type(estimator).__name__}'}."
        )
    if fitted:
        check_is_fitted(found)
    return found


def _one_series(X: Any, index: Any) -> Panel:
    """A series by its position, or else by its id, in which there is something to draw."""
    panel = check_panel(X)
    found: list[Any]
    if isinstance(index, (int, np.integer)) and not isinstance(index, bool):
        if not -len(panel) <= index < len(panel):
            raise IndexError(f"There is no series {index}: X has {len(panel)}.")
        found = [index]
    else:
        ids = [] if panel.ids is None or isinstance(index, np.ndarray) else panel.ids.tolist()
        found = [i for i, item in enumerate(ids) if item == index]
        if len(found) != 1:
            told = "has no ids" if panel.ids is None else f"has {len(found)} series of that id"
            raise IndexError(f"index={index!r} must be the position of a series, or the id of one: X {told}.")
    one = panel[found]
    if not one.lengths[0]:
        raise ValueError(f"{one._called(0)} has no observations: there is nothing to draw.")
    return one


def _channel_of(panel: Panel, channel: Any) -> tuple[int, str]:
    """A channel by its number or its name; its number, and how it is called."""
    names = panel.channel_names
    if isinstance(channel, str):
        if names is None or channel not in names:
            known = "no names" if names is None else f"the channels {list(names)}"
            raise IndexError(f"There is no channel {channel!r}: X has {known}.")
        channel = names.index(channel)
    channel = check_scalar(channel, "channel", Integral)
    if not -panel.n_channels <= channel < panel.n_channels:
        raise IndexError(f"There is no channel {channel}: X has {panel.n_channels}.")
    channel %= panel.n_channels
    return channel, f"channel {channel}" if names is None else names[channel]


class ReconstructionDisplay:
    """One series, its observations, and what its coefficients keep of it.

    Parameters
    ----------
    times : ndarray of shape (n_observations,)
    values : ndarray of shape (n_observations,)
        The observations of one channel, NaN where there is none.
    grid : ndarray of shape (n_points,)
        Times of the curves.
    signal : ndarray of shape (n_points,)
        The interpolated observations.
    reconstruction : ndarray of shape (n_points,)
    name : str
        Of the channel.
    datetimes : bool, default=False
        Whether times are seconds since 1970, and the axis shows dates.

    Attributes
    ----------
    ax_ : matplotlib Axes, or array of two
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The reconstruction.

    See Also
    --------
    HiPPOTransformer.inverse_transform : The numbers behind the picture.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_hippo import HiPPOTransformer
    >>> from sklearn_hippo.inspection import ReconstructionDisplay
    >>> X = [np.sin(np.arange(30) / 4)]
    >>> display = ReconstructionDisplay.from_estimator(HiPPOTransformer(order=6).fit(X), X)
    >>> display.ax_.get_xlabel()
    'time'
    """

    def __init__(
        self,
        times: Array,
        values: Array,
        grid: Array,
        signal: Array,
        reconstruction: Array,
        name: str,
        datetimes: bool = False,
    ):
        self.times = times
        self.values = values
        self.grid = grid
        self.signal = signal
        self.reconstruction = reconstruction
        self.name = name
        self.datetimes = datetimes

    @classmethod
    def from_estimator(
        cls,
        transformer: Any,
        X: Any,
        index: Any = 0,
        ax: Any = None,
        *,
        channel: int | str = 0,
        n_points: int = 500,
        show_error: bool = False,
        datetimes: bool = False,
    ) -> Self:
        """Project a series, reconstruct it and plot both.

        Parameters
        ----------
        transformer : HiPPOTransformer, or Pipeline or search whose best one begins with one
            Fitted.
        X : Panel, array, sequence or DataFrame
            As in `HiPPOTransformer.fit`.
        index : int or id, default=0
            Which series: its position or, of another type than integers, its id.
        ax : matplotlib Axes, optional
            With ``show_error``, an array of two.
        channel : int or str, default=0
            Number or name.
        n_points : int, default=500
            Of the curves.
        show_error : bool, default=False
            Plot the difference of both curves below.
        datetimes : bool, default=False
            Whether the times of X are datetimes, or seconds since 1970, and the axis shows dates.

        Returns
        -------
        ReconstructionDisplay

        Raises
        ------
        TypeError, ValueError, IndexError
            If there is no such series or channel, nothing was observed in it, the estimator is not what it should be,
            or ``ax`` is not.
        """
        transformer = _transformer_of(transformer)
        n_points = check_scalar(n_points, "n_points", Integral, min_val=2)
        panel = _one_series(X, index)
        times, values = panel[0]
        channel, name = _channel_of(panel, channel)
        values = values[:, channel]
        interpolation = transformer._interpolation
        start, stop = series_span(times, panel.offsets, interpolation)
        grid = np.linspace(start[0], stop[0], n_points)
        seen = np.flatnonzero(~np.isnan(values))
        if len(seen) == 0:
            signal = np.full(n_points, np.nan)
        elif interpolation == "linear":
            signal = np.interp(grid, times[seen], values[seen])
        else:
            signal = values[seen][np.minimum(np.searchsorted(times[seen], grid), len(seen) - 1)]
        order = int(transformer.order)
        features = transformer.transform(panel)[:, channel * order : (channel + 1) * order]
        back = reconstruct(
            features[:, None],
            MEASURES[transformer.measure],
            grid,
            np.array([0, n_points]),
            start,
            stop,
            timescale=transformer.timescale_,
        )[:, 0]
        return cls(times, values, grid, signal, back, name, datetimes).plot(ax, show_error=show_error)

    def plot(self, ax: Any = None, *, show_error: bool = False) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            With ``show_error``, an array of two.
        show_error : bool, default=False

        Returns
        -------
        ReconstructionDisplay
        """
        axes = _axes(ax, "ReconstructionDisplay.plot", 2 if show_error else 1)
        top = axes[0] if show_error else axes
        grid, times = (_dates(axis, top, self.datetimes) for axis in (self.grid, self.times))
        top.plot(grid, self.signal, color="0.7", linewidth=1, label="interpolated")
        top.plot(times, self.values, ".", color="0.3", markersize=5, label="observations")
        (self.line_,) = top.plot(grid, self.reconstruction, color="C0", label="reconstruction")
        top.set_ylabel(_text(self.name))
        top.legend(frameon=False)
        if show_error:
            axes[1].axhline(0, color="0.7", linewidth=1)
            axes[1].plot(
                _dates(self.grid, axes[1], self.datetimes), self.reconstruction - self.signal, color="C3", linewidth=1
            )
            axes[1].set_ylabel("error")
        (axes[1] if show_error else top).set_xlabel("time")
        self.ax_, self.figure_ = axes, top.figure
        return self


class MemoryDisplay:
    """The coefficients of one channel over time, as an image.

    Parameters
    ----------
    times : ndarray of shape (n_times,)
    coefficients : ndarray of shape (n_times, order)
        After the observation at each time.
    name : str
    datetimes : bool, default=False
        Whether times are seconds since 1970, and the axis shows dates.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib QuadMesh

    See Also
    --------
    HiPPOTransformer.transform_online : The numbers behind the picture.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_hippo import HiPPOTransformer
    >>> from sklearn_hippo.inspection import MemoryDisplay
    >>> X = [np.sin(np.arange(30) / 4)]
    >>> MemoryDisplay.from_estimator(HiPPOTransformer(order=6).fit(X), X).ax_.get_ylabel()
    'n'
    """

    def __init__(self, times: Array, coefficients: Array, name: str, datetimes: bool = False):
        self.times = times
        self.coefficients = coefficients
        self.name = name
        self.datetimes = datetimes

    @classmethod
    def from_estimator(
        cls,
        transformer: Any,
        X: Any,
        index: Any = 0,
        ax: Any = None,
        *,
        channel: int | str = 0,
        datetimes: bool = False,
    ) -> Self:
        """Compute the coefficients along a series and plot them.

        Parameters
        ----------
        transformer, X, index, channel, datetimes
            As in `ReconstructionDisplay.from_estimator`.
        ax : matplotlib Axes, optional

        Returns
        -------
        MemoryDisplay

        Raises
        ------
        TypeError, ValueError, IndexError
            As `ReconstructionDisplay.from_estimator` does.
        """
        transformer = _transformer_of(transformer)
        panel = _one_series(X, index)
        channel, name = _channel_of(panel, channel)
        order = int(transformer.order)
        times, states = transformer.transform_online(panel)[0]
        states = states[:, channel * order : (channel + 1) * order]
        return cls(times, states, f"{transformer.measure}, {name}", datetimes).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        MemoryDisplay
        """
        ax = _axes(ax, "MemoryDisplay.plot")
        # One outlier, as at the first jump, must not wash out all the rest.
        bound = float(np.nanquantile(np.abs(self.coefficients), 0.995)) or 1.0
        n = np.arange(self.coefficients.shape[1])
        self.image_ = ax.pcolormesh(
            _dates(self.times, ax, self.datetimes),
            n,
            self.coefficients.T,
            cmap="RdBu_r",
            vmin=-bound,
            vmax=bound,
            shading="nearest",
        )
        ax.figure.colorbar(self.image_, ax=ax, label="coefficient")
        ax.set(xlabel="time", ylabel="n", title=_text(self.name))
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.invert_yaxis()
        self.ax_, self.figure_ = ax, ax.figure
        return self


class MeasureDisplay:
    """What a measure remembers: the weight of the past against its age.

    Parameters
    ----------
    age : ndarray of shape (n_points,)
        In timescales; for the measures that scale, in durations of the series.
    weight : ndarray of shape (n_points,)
        Density of the measure.
    name : str

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D

    Examples
    --------
    >>> from sklearn_hippo import HiPPOTransformer
    >>> from sklearn_hippo.inspection import MeasureDisplay
    >>> MeasureDisplay.from_estimator(HiPPOTransformer("lagt")).name
    'lagt'
    """

    def __init__(self, age: Array, weight: Array, name: str):
        self.age = age
        self.weight = weight
        self.name = name

    @classmethod
    def from_estimator(cls, transformer: Any, ax: Any = None, *, n_points: int = 400) -> Self:
        """Plot the measure of a transformer, fitted or not.

        Parameters
        ----------
        transformer : HiPPOTransformer, or Pipeline or search whose best one begins with one
        ax : matplotlib Axes, optional
        n_points : int, default=400

        Returns
        -------
        MeasureDisplay
        """
        transformer = _transformer_of(transformer, fitted=False)
        n_points = check_scalar(n_points, "n_points", Integral, min_val=2)
        if transformer.measure not in with_projection():
            raise ValueError(f"measure={transformer.measure!r} is none of {sorted(with_projection())}.")
        measure = MEASURES[transformer.measure]
        age = np.linspace(0, 4 if measure.window == "decaying" else 1.2, n_points)
        return cls(age, measure.basis.density(age), transformer.measure).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        MeasureDisplay
        """
        ax = _axes(ax, "MeasureDisplay.plot")
        (self.line_,) = ax.plot(self.age, self.weight, label=_text(self.name))
        ax.set(xlabel="age (now is 0; in timescales or durations)", ylabel="weight", ylim=(0, 2))
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class LossCurveDisplay:
    """The losses of a training, epoch by epoch.

    Parameters
    ----------
    loss : ndarray of shape (n_epochs,)
        Of the training series.
    validation_loss : ndarray of shape (n_epochs,), optional
        Of the series that were set aside.

    Attributes
    ----------
    best_epoch : int
        The epoch whose weights were kept, from 1 on: the one of the lowest validation loss, or the last one.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The loss of the training series.

    Raises
    ------
    ValueError
        If there is no epoch, or not as many of them in both.

    Examples
    --------
    >>> from sklearn_hippo.inspection import LossCurveDisplay
    >>> display = LossCurveDisplay([0.7, 0.4, 0.3], [0.6, 0.45, 0.5]).plot()
    >>> display.best_epoch
    2
    """

    def __init__(self, loss: Any, validation_loss: Any = None):
        self.loss = np.asarray(loss, dtype=np.float64)
        self.validation_loss = None if validation_loss is None else np.asarray(validation_loss, dtype=np.float64)
        several = self.loss if self.validation_loss is None else self.validation_loss
        if self.loss.ndim != 1 or not self.loss.size or several.shape != self.loss.shape:
            raise ValueError(
                f"loss and validation_loss must have shape (n_epochs,), got {self.loss.shape} and {several.shape}."
            )
        kept = self.loss.size if self.validation_loss is None else np.argmin(self.validation_loss) + 1
        self.best_epoch = int(kept)

    @classmethod
    def from_estimator(cls, estimator: Any, ax: Any = None) -> Self:
        """Plot the losses of a fitted network.

        Parameters
        ----------
        estimator : HiPPORNNClassifier, HiPPORNNRegressor, or Pipeline that ends with one
        ax : matplotlib Axes, optional

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        TypeError
            If the estimator keeps no losses.
        NotFittedError
            If it has not been fitted.
        """
        found = getattr(estimator, "best_estimator_", estimator)
        found = found.steps[-1][1] if getattr(found, "steps", None) else found
        if not hasattr(found, "fit"):
            raise TypeError(f"A loss curve is that of an estimator, got {type(found).__name__}.")
        check_is_fitted(found)
        if not hasattr(found, "loss_curve_"):
            raise TypeError(
                f"A {type(found).__name__} keeps no losses, as HiPPORNNClassifier and HiPPORNNRegressor do."
            )
        return cls(found.loss_curve_, getattr(found, "validation_loss_curve_", None)).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        LossCurveDisplay
        """
        ax = _axes(ax, "LossCurveDisplay.plot")
        epochs = np.arange(1, len(self.loss) + 1)
        (self.line_,) = ax.plot(epochs, self.loss, color="C0", label="training")
        if self.validation_loss is not None:
            ax.plot(epochs, self.validation_loss, color="C1", label="validation")
            low = self.validation_loss[self.best_epoch - 1]
            ax.plot(self.best_epoch, low, "o", color="C1", label=f"best: epoch {self.best_epoch}")
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class WindowDisplay:
    """What decided for an output: the moments of one series, and which windows and channels count in general.

    An output of `HiPPOClassifier` or `HiPPORegressor` is a sum over features, each of which is a sum over the positions
    of a window. So it is a sum over moments of time, exactly, and the picture shows it behind the series.

    Parameters
    ----------
    times : ndarray of shape (n_observations,)
    values : ndarray of shape (n_observations, n_channels)
        The series, NaN where a channel was not observed.
    edges : ndarray of shape (n_bins + 1,)
        Between equal parts of its duration.
    moments : ndarray of shape (n_bins,)
        What windows contribute to the output that cover these parts.
    rest : float
        What is no matter of time. With the sum of the moments it is the output.
    spans : list of ndarray of shape (n_windows,)
        Durations of the windows of each view, in this series.
    shares : list of ndarray of shape (n_windows, n_channels)
        Of the variance of all outputs over the training series, as if features were independent; by view.
    views : list of str
        Names of the views.
    channel_names : list of str
    label : str
        Of the output.
    datetimes : bool, default=False
        Whether times are seconds since 1970, and the axis shows dates.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes
        Of the series, the windows, and, of several, the channels.
    figure_ : matplotlib Figure
    mesh_ : matplotlib QuadMesh
        The moments.

    See Also
    --------
    HiPPOClassifier : The model.

    Examples
    --------
    >>> from sklearn_hippo import HiPPOClassifier
    >>> from sklearn_hippo.inspection import WindowDisplay
    >>> X = [[0.0, 1.0, 2.0], [0.0, 1.0], [2.0, 1.0, 0.0, -1.0], ([0.0, 2.5], [1.0, 0.0])] * 5
    >>> y = ["up", "up", "down", "down"] * 5
    >>> display = WindowDisplay.from_estimator(HiPPOClassifier(random_state=0).fit(X, y), X)
    >>> display.label
    "for 'up'"
    """

    def __init__(
        self,
        times: Array,
        values: Array,
        edges: Array,
        moments: Array,
        rest: float,
        spans: list[Array],
        shares: list[Array],
        views: list[str],
        channel_names: list[str],
        label: str,
        datetimes: bool = False,
    ):
        self.times = times
        self.values = values
        self.edges = edges
        self.moments = moments
        self.rest = rest
        self.spans = spans
        self.shares = shares
        self.views = views
        self.channel_names = channel_names
        self.label = label
        self.datetimes = datetimes

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        index: Any = 0,
        ax: Any = None,
        *,
        target: Any = None,
        n_bins: int = 200,
        datetimes: bool = False,
    ) -> Self:
        """Take an output for one series apart, and plot it.

        Parameters
        ----------
        estimator : HiPPOClassifier, HiPPORegressor, or Pipeline or search whose best one ends with one
            Fitted.
        X : Panel, array, sequence or DataFrame
            As in `HiPPOClassifier.fit`.
        index : int or id, default=0
            Which series: its position or, of another type than integers, its id.
        ax : array of matplotlib Axes, optional
            Three of them, or two for a single channel.
        target : optional
            A class, by default the one that is predicted: what speaks for it, against the mean of the others, in
            logarithms of probabilities. Of a regressor with several targets the number of one, by default the first.
        n_bins : int, default=200
            Parts of the duration.
        datetimes : bool, default=False
            Whether the times of X are datetimes, or seconds since 1970, and the axis shows dates.

        Returns
        -------
        WindowDisplay

        Raises
        ------
        TypeError, ValueError, IndexError
            If there is no such series, class or target, the series has no observations, the estimator is not what it
            should be, or ``ax`` is not.
        """
        found = getattr(estimator, "best_estimator_", estimator)
        if getattr(found, "steps", None):
            X = found[:-1].transform(X) if len(found.steps) > 1 else X
            found = found.steps[-1][1]
        if not isinstance(found, (HiPPOClassifier, HiPPORegressor)):
            raise TypeError(f"A WindowDisplay shows a HiPPOClassifier or HiPPORegressor, got {type(found).__name__}.")
        check_is_fitted(found)
        n_bins = check_scalar(n_bins, "n_bins", Integral, min_val=1)
        panel = _one_series(X, index)
        direction, label = _direction(found, panel, target)
        moments, _, rest = contributions(found, panel, direction, n_bins)
        times, values = panel[0]
        duration = float(times[-1] - times[0])
        views = found.transformer_.views_
        return cls(
            times, values, np.linspace(times[0], times[-1], n_bins + 1), moments, rest,
            [view.grid.span(duration, view.lengths) for view in views], shares(found), [view.name for view in views],
            list(found.channel_names_ or [f"x{c}" for c in range(found.n_channels_)]), label, datetimes,
        ).plot(ax)  # fmt: skip

    def plot(self, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : array of matplotlib Axes, optional
            Three of them, or two for a single channel.

        Returns
        -------
        WindowDisplay
        """
        check_matplotlib_support("WindowDisplay.plot")
        import matplotlib.pyplot as plt

        several = self.values.shape[1] > 1
        names = "ABC" if several else "AB"
        if ax is None:
            figure = plt.figure(figsize=(8, 5), layout="constrained")
            places = figure.subplot_mosaic("AA;BC" if several else "AA;BB", height_ratios=[3, 2])
            ax = [places[name] for name in names]
        _check_several(ax, len(names), "WindowDisplay")
        top, left = ax[:2]
        channels = [_text(name) for name in self.channel_names]
        for c, name in enumerate(channels):
            seen = ~np.isnan(self.values[:, c])
            x = _dates(self.times[seen], top, self.datetimes)
            top.plot(x, self.values[seen, c], ".-", color=f"C{c}" if several else "0.2", ms=3, lw=1, label=name)
        most = float(np.abs(self.moments).max()) or 1.0
        low, high = top.get_ylim()
        edges = _dates(self.edges, top, self.datetimes)
        self.mesh_ = top.pcolormesh(
            edges, [low, high], self.moments[None], cmap="RdBu_r", vmin=-most, vmax=most, alpha=0.6, zorder=0
        )
        top.set(xlabel="time", ylim=(low, high))
        top.figure.colorbar(self.mesh_, ax=top, label=_text(self.label))
        if 1 < len(self.channel_names) < 7:
            top.legend(frameon=False, fontsize="small")
        for name, spans, share in zip(self.views, self.spans, self.shares, strict=True):
            some = share.sum(axis=1) > 0
            left.plot(spans[some], share.sum(axis=1)[some], ".-", label=name.replace("_", ", "))
        left.set(xlabel="duration of the window", ylabel="share", xscale="log" if self.spans[0][-1] > 0 else "linear")
        left.set_ylim(0, 1.5 * left.get_ylim()[1])
        left.legend(frameon=False, fontsize="x-small" if several else "small", ncols=2, loc="upper center")
        if several:
            total = np.sum([share.sum(axis=0) for share in self.shares], axis=0)
            ax[2].barh(range(len(channels)), total, color="0.6", tick_label=channels)
            ax[2].invert_yaxis()
            ax[2].tick_params(axis="y", labelsize="x-small")
            ax[2].set(xlabel="share of the channel")
        self.ax_, self.figure_ = np.array(ax, dtype=object), top.figure
        return self


def _direction(estimator: Any, panel: Panel, target: Any) -> tuple[Array, str]:
    """Which combination of outputs is shown for a target, and what it is called."""
    n = len(estimator.intercept_)
    if isinstance(estimator, HiPPORegressor):
        number = check_scalar(0 if target is None else target, "target", Integral, min_val=0, max_val=n - 1)
        return np.eye(n)[number], "for a large value" if n == 1 else f"for a large value of target {number}"
    target = estimator.predict(panel)[0] if target is None else target
    found = [] if np.ndim(target) else [i for i, one in enumerate(estimator.classes_) if one == target]
    if not found:
        raise ValueError(f"target={target!r} is none of the classes {estimator.classes_.tolist()}.")
    own, name = np.eye(n)[found[0]], estimator.classes_[found[0]]
    return own - (1 - own) / (n - 1), f"for {str(name)!r}" if isinstance(name, str) else f"for {name}"
