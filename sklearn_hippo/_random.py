"""RandomHiPPOTransformer: many random nonlinear summaries of a sliding memory."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from ._compat import Interval, StrOptions, set_parameters, with_ids
from ._machine import check_memory, threads_of
from ._panel import Panel, merge_stamps
from ._scales import REACH, mean_and_scale, standardized
from ._summaries import SUMMARIES, summarize
from ._validation import check_observed, check_unchanged, names_of_channels, validate_panel
from ._views import POOLINGS, Grid, View, durations_of, stamps_of, standardized_by_series

Array = NDArray[Any]

NUMBERS_AT_ONCE = 2**18  # values, or one series, of which there are copies
SERIES_AT_ONCE = 512
# Standard deviations, beyond which a value counts as if it were there.
FARTHEST = 1e4
BYTES_OF_A_FEATURE = 100  # and of a conjunction, while they are drawn


def parts_of(panel: Panel) -> list[slice]:
    """Series whose values take little memory together."""
    ends, begin = [], 0
    rows = NUMBERS_AT_ONCE // max(panel.n_channels, 1)
    while begin < len(panel):
        end = int(np.searchsorted(panel.offsets, panel.offsets[begin] + rows, side="right")) - 1
        ends.append(slice(begin, begin := min(max(end, begin + 1), begin + SERIES_AT_ONCE)))
    return ends


class RandomHiPPOTransformer(TransformerMixin, BaseEstimator):
    r"""Summarize series by many random nonlinear read-outs of a sliding HiPPO memory.

    A window slides over the series and remembers what it sees as the first coefficients of its Legendre projection,
    exactly, for windows of many lengths; one is made of two shorter ones, as memories merge (E10 of the maths page).
    Random sums and differences of these coefficients are compared with thresholds, and what is left of each is how
    often it was above (its share of the positions) and for how long at a stretch. So local shapes count, wherever they
    are, as in methods of random convolutions; but it is the function between the observations that is looked at: series
    may be of different lengths, sampled irregularly, and incomplete.

    Parameters
    ----------
    n_features : int, default=1000
        Thresholds of each view, about; views of series that are standardized by themselves have half as many.
    windows : {"both", "relative", "absolute"}, default="both"
        Whether windows last a share of their series, or a time. Relative ones do not see how fast a series is: they are
        the same under any change t -> a t + b of its times.
    order : int, default=6
        Coefficients of each window.
    poolings : tuple of {"ppv", "longest", "thirds", "spread"}, default=("ppv", "longest")
        The share of positions above a threshold; the longest stretch of them; their shares of the first, middle and
        last third of the series; and, of each read-out, its standard deviation, least and greatest value. The last two
        are not taken of series that are standardized by themselves.
    derivative : bool, default=True
        Whether the slope of the series is looked at as well.
    normalized : bool, default=False
        Whether there are also views of each series and channel less its mean, divided by its standard deviation.
    conjunctions : int, default=2000
        Pairs of thresholds of each view that is not normalized: how often both are exceeded, or not, at once or one
        some time after the other.
    summaries : bool or "auto", default="auto"
        Whether there are also eight numbers of every channel: mean, least, greatest, standard deviation, first and last
        of its observations, the logarithm of one more than how many they are, and how long ago the last one is, at the
        end. "auto": if most values of the training series are missing.
    random_state : int, RandomState instance or None, default=None
        Of what is drawn in `fit`.
    n_jobs : int, optional
        Threads over the series, as in `HiPPOTransformer`. The features do not depend on it.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_channels,)
        What is subtracted from the channels, and what they are divided by.
    views_ : list
        What was drawn.
    summaries_ : bool
        Whether there are numbers of every channel.
    n_channels_ : int
        Number of channels.
    channel_names_ : tuple of str or None
        Names of the channels, where X had them.
    n_features_in_ : int
        Length of the series if X was a table of numbers, otherwise the number of channels.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string columns.

    See Also
    --------
    HiPPOTransformer : The coefficients of the whole history: few features, and an inverse.

    Notes
    -----
    A channel that was not observed in a series is its mean over the training series. Observations of one stamp are one,
    of each channel the last that is not missing. Values of extreme size change no scale, and beyond 10,000 standard
    deviations they count as if they were there.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_hippo import RandomHiPPOTransformer
    >>> X = [([0.0, 1.0, 3.0], [1.0, 3.0, 4.0]), ([5.0, 6.0, 6.5, 9.0], [0.0, np.nan, 6.0, 8.0])]
    >>> transformer = RandomHiPPOTransformer(100, windows="relative", conjunctions=0, random_state=0).fit(X)
    >>> transformer.transform(X).shape
    (2, 200)
    """

    n_features: int
    windows: str
    order: int
    poolings: Any
    derivative: bool
    normalized: bool
    conjunctions: int
    summaries: Any
    random_state: Any
    n_jobs: int | None

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        "n_features": [Interval(Integral, 1, None, closed="left")],
        "windows": [StrOptions({"both", "relative", "absolute"})],
        "order": [Interval(Integral, 1, 15, closed="both")],
        "poolings": [tuple, list],
        "derivative": ["boolean"],
        "normalized": ["boolean"],
        "conjunctions": [Interval(Integral, 0, None, closed="left")],
        "summaries": ["boolean", StrOptions({"auto"})],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_features: int = 1000,
        *,
        windows: str = "both",
        order: int = 6,
        poolings: Any = ("ppv", "longest"),
        derivative: bool = True,
        normalized: bool = False,
        conjunctions: int = 2000,
        summaries: Any = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
    ):
        set_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Draw windows, read-outs and thresholds, with the training series for their measure.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            The series, in any of the forms that `HiPPOTransformer.fit` takes.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If X is not valid, as in `HiPPOTransformer.fit`.
        """
        self._check_poolings()
        n_drawn, n_views = self.n_features + self.conjunctions, (1 + (self.windows == "both")) * (1 + self.normalized)
        check_memory(BYTES_OF_A_FEATURE * float(n_drawn) * n_views, f"Drawing {n_drawn} features", "Take fewer.")
        panel = merge_stamps(validate_panel(self, X, reset=True))
        check_observed(panel)
        n_threads = threads_of(self.n_jobs)
        self.mean_, self.scale_ = np.zeros(panel.n_channels), np.ones(panel.n_channels)
        for c in range(panel.n_channels):
            seen = panel.values[:, c][~np.isnan(panel.values[:, c])].astype(np.float64)
            self.mean_[c], self.scale_[c] = mean_and_scale(seen, np.ones(len(seen)), REACH)
        missing = float(np.isnan(panel.values).mean())
        self.summaries_ = missing > 0.5 if self.summaries == "auto" else bool(self.summaries)
        self._fitted = self._what_is_drawn()
        rng = check_random_state(self.random_state)
        forms = self._standardized(panel)
        panel = forms[False]
        some = panel._observed
        durations, n_stamps = durations_of(panel)[some], stamps_of(panel)[some]
        target = int(self.n_features)
        self.views_ = []
        for mode in ("relative", "absolute") if self.windows == "both" else (self.windows,):
            grid = Grid.learn(mode == "relative", durations, n_stamps)
            for by_series in (False, True) if self.normalized else (False,):
                view = View(
                    f"{mode}_normalized" if by_series else mode, grid, by_series=by_series, order=int(self.order),
                    derivative=bool(self.derivative), n_channels=panel.n_channels,
                )  # fmt: skip
                n_pairs = 0 if by_series else int(self.conjunctions)
                wanted = max(target // 2, 1) if by_series else target
                self.views_.append(view.fit(forms[by_series], rng, wanted, max(target // 2, 1), n_pairs, n_threads))
        return self

    def transform(self, X: Any) -> Array:
        """Compute the features of series.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of float32 of shape (n_series, n_features_out)

        Raises
        ------
        ValueError, TypeError
            If X is not valid, or has other channels than in `fit`.
        """
        self._check_fitted()
        panel = merge_stamps(validate_panel(self, X, reset=False))
        poolings = tuple(self.poolings)
        n, whose = self._n_features_out, f" for {len(panel)} series"
        check_memory(4.0 * len(panel) * n, f"{n} features", "Transform fewer at a time.", whose=whose)
        out = np.empty((len(panel), n), np.float32)
        n_threads = max(1, min(threads_of(self.n_jobs), len(panel)))
        blocks = self.blocks_
        for some in parts_of(panel):
            forms, own = self._standardized(panel[some]), out[some]
            for view in self.views_:
                view.pool(forms[view.by_series], poolings, own[:, blocks[view.name]], n_threads)
            if self.summaries_:
                own[:, blocks["channels"]] = summarize(forms[False])
        return with_ids(out, panel, self)

    @property
    def blocks_(self) -> dict[str, slice]:
        """Which columns of the features are those of a view, by its name, or of the "channels"."""
        sizes = {view.name: view.columns(tuple(self.poolings))[1] for view in self.views_}
        if self.summaries_:
            sizes["channels"] = self.n_channels_ * len(SUMMARIES)
        ends = np.cumsum([0, *sizes.values()]).tolist()
        return {name: slice(*ends[i : i + 2]) for i, name in enumerate(sizes)}

    @property
    def _n_features_out(self) -> int:
        return max(columns.stop for columns in self.blocks_.values())

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the features: view, window, channels, coefficients, threshold and pooling.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the channels; by default those of X in `fit`, or x0, x1, ...

        Returns
        -------
        ndarray of str

        Raises
        ------
        ValueError
            If these are not the channels.
        """
        self._check_fitted()
        channels = names_of_channels(self, input_features)
        names = [name for view in self.views_ for name in view.names(tuple(self.poolings), channels)]
        if self.summaries_:
            names += [f"channels__{channel}__{what}" for channel in channels for what in SUMMARIES]
        return np.array(names, dtype=object)

    def _check_poolings(self) -> None:
        wrong = [one for one in self.poolings if one not in POOLINGS]
        if wrong or not len(self.poolings):
            raise ValueError(f"poolings={self.poolings!r} must be some of {', '.join(map(repr, POOLINGS))}.")

    def _what_is_drawn(self) -> dict[str, Any]:
        """Parameters on which the meaning of the features depends."""
        own = self.get_params()
        return {name: own[name] for name in own if name not in ("random_state", "n_jobs")} | {
            "poolings": tuple(self.poolings)
        }

    def _check_fitted(self) -> None:
        check_is_fitted(self)
        check_unchanged(self._what_is_drawn(), self._fitted)

    def _standardized(self, panel: Panel) -> dict[bool, Panel]:
        """The series standardized by channel, and, where views want it, by themselves as well."""

        def of(values: Array) -> Panel:
            return Panel._trusted(values, panel.times, panel.offsets, None, None, panel.ids, panel.id_names)

        values = standardized(panel.values, self.mean_, self.scale_, 1e100)  # whose squares are numbers
        own = of(np.clip(values, -FARTHEST, FARTHEST))
        return {False: own, True: standardized_by_series(of(values))} if self.normalized else {False: own}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        tags.non_deterministic = False
        return tags
