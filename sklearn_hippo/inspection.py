"""Pictures of what is remembered: the signal and its reconstruction, the memory over time, the measures.

Display classes in the manner of scikit-learn: ``from_estimator`` computes, ``plot`` draws, and both return the display.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ._measures import MEASURES
from ._panel import check_panel
from ._projection import reconstruct, series_span
from ._transformer import HiPPOTransformer

__all__ = ["MeasureDisplay", "MemoryDisplay", "ReconstructionDisplay"]

Array = NDArray[Any]


def _axes(ax: Any, caller: str, n: int = 1) -> Any:
    """The given axes, or ``n`` new ones below each other."""
    check_matplotlib_support(caller)
    import matplotlib.pyplot as plt

    if ax is not None:
        return ax
    if n == 1:
        return plt.subplots(layout="constrained")[1]
    return plt.subplots(n, 1, sharex=True, height_ratios=[3, 1], layout="constrained")[1]


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

    def __init__(self, times: Array, values: Array, grid: Array, signal: Array, reconstruction: Array, name: str):
        self.times = times
        self.values = values
        self.grid = grid
        self.signal = signal
        self.reconstruction = reconstruction
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        transformer: HiPPOTransformer,
        X: Any,
        index: int = 0,
        ax: Any = None,
        *,
        channel: int = 0,
        n_points: int = 500,
        show_error: bool = False,
    ) -> Self:
        """Project a series, reconstruct it and plot both.

        Parameters
        ----------
        transformer : HiPPOTransformer
            Fitted.
        X : Panel, array, sequence or DataFrame
            As in `HiPPOTransformer.fit`.
        index : int, default=0
            Which series.
        ax : matplotlib Axes, optional
            With ``show_error``, an array of two.
        channel : int, default=0
        n_points : int, default=500
            Of the curves.
        show_error : bool, default=False
            Plot the difference of both curves below.

        Returns
        -------
        ReconstructionDisplay
        """
        one = check_panel(X)[[index]]
        times, values = one[0]
        channel = range(one.n_channels)[channel]  # an IndexError if there is no such channel
        values = values[:, channel]
        interpolation = transformer._interpolation
        start, stop = series_span(times, one.offsets, interpolation)
        grid = np.linspace(start[0], stop[0], n_points)
        seen = np.flatnonzero(~np.isnan(values))
        if len(seen) == 0:
            signal = np.full(n_points, np.nan)
        elif interpolation == "linear":
            signal = np.interp(grid, times[seen], values[seen])
        else:
            signal = values[seen][np.minimum(np.searchsorted(times[seen], grid), len(seen) - 1)]
        order = int(transformer.order)
        features = transformer.transform(one)[:, channel * order : (channel + 1) * order]
        back = reconstruct(
            features[:, None],
            MEASURES[transformer.measure],
            grid,
            np.array([0, n_points]),
            start,
            stop,
            timescale=transformer.timescale_,
        )[:, 0]
        names = one.channel_names
        display = cls(times, values, grid, signal, back, f"channel {channel}" if names is None else names[channel])
        return display.plot(ax, show_error=show_error)

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
        top.plot(self.grid, self.signal, color="0.7", linewidth=1, label="interpolated")
        top.plot(self.times, self.values, ".", color="0.3", markersize=5, label="observations")
        (self.line_,) = top.plot(self.grid, self.reconstruction, color="C0", label="reconstruction")
        top.set_ylabel(self.name)
        top.legend(frameon=False)
        if show_error:
            axes[1].axhline(0, color="0.7", linewidth=1)
            axes[1].plot(self.grid, self.reconstruction - self.signal, color="C3", linewidth=1)
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

    def __init__(self, times: Array, coefficients: Array, name: str):
        self.times = times
        self.coefficients = coefficients
        self.name = name

    @classmethod
    def from_estimator(
        cls, transformer: HiPPOTransformer, X: Any, index: int = 0, ax: Any = None, *, channel: int = 0
    ) -> Self:
        """Compute the coefficients along a series and plot them.

        Parameters
        ----------
        transformer : HiPPOTransformer
            Fitted.
        X : Panel, array, sequence or DataFrame
            As in `HiPPOTransformer.fit`.
        index : int, default=0
            Which series.
        ax : matplotlib Axes, optional
        channel : int, default=0

        Returns
        -------
        MemoryDisplay
        """
        times, states = transformer.transform_online(check_panel(X)[[index]])[0]
        order = int(transformer.order)
        channel = range(transformer.n_channels_)[channel]  # an IndexError if there is no such channel
        name = f"{transformer.measure}, channel {channel}"
        return cls(times, states[:, channel * order : (channel + 1) * order], name).plot(ax)

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
            self.times, n, self.coefficients.T, cmap="RdBu_r", vmin=-bound, vmax=bound, shading="nearest"
        )
        ax.figure.colorbar(self.image_, ax=ax, label="coefficient")
        ax.set(xlabel="time", ylabel="n", title=self.name)
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
    def from_estimator(cls, transformer: HiPPOTransformer, ax: Any = None, *, n_points: int = 400) -> Self:
        """Plot the measure of a transformer, fitted or not.

        Parameters
        ----------
        transformer : HiPPOTransformer
        ax : matplotlib Axes, optional
        n_points : int, default=400

        Returns
        -------
        MeasureDisplay
        """
        measure = MEASURES[transformer.measure]
        age = np.linspace(0, 4 if measure.window == "decaying" else 1.2, n_points)
        return cls(age, measure.density(age), transformer.measure).plot(ax)

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
        (self.line_,) = ax.plot(self.age, self.weight, label=self.name)
        ax.set(xlabel="age (now is 0; in timescales or durations)", ylabel="weight", ylim=(0, 2))
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
