"""HiPPOTransformer: series in, coefficients out, and back."""

from datetime import timedelta
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import Tags, check_scalar
from sklearn.utils.validation import check_array, check_is_fitted

from ._columns import as_times, as_values, in_seconds
from ._compat import CallbackSupportMixin, Interval, Linked, Registered, StrOptions, fit_task, with_ids
from ._machine import check_memory, threads_of
from ._measures import MEASURES, Measure, feature_names, with_projection
from ._panel import Panel, own_times
from ._projection import INTERPOLATIONS, PASTS, project, reconstruct, series_span
from ._recurrence import DISCRETIZATIONS, interpolation_of, prefixes, recur
from ._validation import (
    check_observed,
    check_panel,
    check_unchanged,
    ids_of_features,
    learned_timescale,
    names_of_channels,
    validate_panel,
)

Array = NDArray[Any]


class HiPPOTransformer(Linked, CallbackSupportMixin, TransformerMixin, BaseEstimator):
    r"""Compress each series into the coefficients of its optimal polynomial projection.

    A series, interpolated between its observations, is a function f on :math:`[t_0, T]`. Its coefficients

    .. math:: c_n = \langle f, p_n \rangle_{\mu^{(T)}}, \qquad n = 0, \dots, N - 1,

    are the projection of equation (1) of the paper [1]_ on the first N functions that are orthonormal under the measure
    :math:`\mu^{(T)}`: the best approximation of the history that N numbers can be. They are computed exactly, to
    rounding, for any timestamps and with values missing, so a series needs no resampling, padding or imputation.

    Parameters
    ----------
    measure : {"legs", "legt", "lagt", "legs_lti", "fous", "fout", "chebs", "chebt"}, default="legs"
        How much each moment of the past counts, and the basis.

        - ``"legs"``, ``"fous"``, ``"chebs"``: all of it, in Legendre polynomials, sines and cosines, or Chebyshev
          polynomials. They scale with the series: stretching or shifting its time axis changes nothing.
        - ``"legt"``, ``"fout"``, ``"chebt"``: a window of length ``timescale`` that slides along, in the same bases.
        - ``"lagt"``, ``"legs_lti"``: exponentially fading with the time constant ``timescale``, in Laguerre polynomials
          or in Legendre polynomials of the warped time.
    order : int, default=16
        Number N of basis functions, and of coefficients for each channel.
    timescale : float or timedelta, optional
        Length of the window or time constant, in units of the timestamps: seconds, where these are datetimes; a
        duration of Python, NumPy or pandas is one in seconds. By default the median duration of the training series.
        The measures that scale with the series have none.
    interpolation : {"linear", "hold"}, default="linear"
        What a series does between its observations: straight lines between a channel's own observations, constant
        beyond the first and the last; or the value at a time fills the interval before it, the first interval being as
        long as the second.
    past : {"constant", "zero"}, default="constant"
        What a series was before its first time, where a window with a timescale reaches back so far: each channel's
        first own value, for ever, or nothing. The measures that scale with the series do not look there.
    method : {"projection", "recurrence"}, default="projection"
        The projection of the whole series at once, or the online dynamics c' = A c + B f of ``"legs"``, ``"legs_lti"``,
        ``"lagt"``, ``"legt"`` and ``"fout"``, one observation after the other.
    discretization : {"zoh", "linear", "bilinear", "backward", "forward"}, default="zoh"
        Of one step of the recurrence. ``"zoh"`` and ``"linear"`` are exact, for values that are held over the interval
        before them and for straight lines; under the first three measures they end in the projection itself. The others
        are the classical one-step methods, with the step of log-time under ``"legs"``, and hold values as well. So with
        ``method="recurrence"`` it is the discretization, and not ``interpolation``, that says what a series is.
    add_duration : bool, default=False
        Append the duration :math:`T - t_0` as a last feature; the scaled measures do not know it.
    n_jobs : int, optional
        Number of threads, as in joblib: None is 1 outside of a ``joblib.parallel_config`` context, -1 all cores.
        Always one in a process that was forked from one that had imported this package.

    Attributes
    ----------
    n_channels_ : int
        Number of channels.
    channel_names_ : tuple of str or None
        Names of the channels, where X had them.
    timescale_ : float or None
        The timescale in use; None for a measure that has none.
    duration_, length_ : float, int
        Median duration and number of observations of the training series, the default of `inverse_transform`.
    n_features_in_ : int
        Length of the series if X was a table of numbers, otherwise the number of channels.
    feature_names_in_ : ndarray of str
        Only if X was a DataFrame with string columns.

    See Also
    --------
    Panel : The container for series of different lengths.

    Notes
    -----
    A channel without any observation has NaN coefficients, which an imputer can fill, and so has a series in which
    nothing was observed at all, whose duration is 0. A series of one observation or of zero duration is the limit of
    shorter and shorter ones. To a measure that scales it is a constant function, with the coefficients (x, 0, 0, ...)
    of its last value x; in a window there is nothing but its past, which is (x, 0, 0, ...) of its first value, or 0.

    References
    ----------
    .. [1] Gu, Dao, Ermon, Rudra, Ré, "HiPPO: Recurrent Memory with Optimal Polynomial Projections", NeurIPS 2020,
       arXiv:2008.07669.

    Examples
    --------
    Series of different lengths with times of their own, one of them with a value missing:

    >>> import numpy as np
    >>> from sklearn_hippo import HiPPOTransformer
    >>> X = [([0.0, 1.0, 3.0], [1.0, 3.0, 4.0]), ([5.0, 6.0, 6.5, 9.0], [0.0, np.nan, 6.0, 8.0])]
    >>> transformer = HiPPOTransformer(order=3).fit(X)
    >>> transformer.transform(X).round(3)
    array([[ 3.   ,  0.77 , -0.248],
           [ 5.5  ,  2.093, -0.786]])
    >>> transformer.get_feature_names_out()
    array(['x0__legs_c0', 'x0__legs_c1', 'x0__legs_c2'], dtype=object)
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012  scikit-learn's convention
        "measure": [Registered(with_projection)],
        "order": [Interval(Integral, 1, None, closed="left")],
        "timescale": [timedelta, np.timedelta64, Interval(Real, 0, None, closed="neither"), None],
        "interpolation": [StrOptions(set(INTERPOLATIONS))],
        "past": [StrOptions(set(PASTS))],
        "method": [StrOptions({"projection", "recurrence"})],
        "discretization": [StrOptions(set(DISCRETIZATIONS))],
        "add_duration": ["boolean"],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        measure: str = "legs",
        order: int = 16,
        *,
        timescale: float | timedelta | np.timedelta64 | None = None,
        interpolation: str = "linear",
        past: str = "constant",
        method: str = "projection",
        discretization: str = "zoh",
        add_duration: bool = False,
        n_jobs: int | None = None,
    ):
        self.measure = measure
        self.order = order
        self.timescale = timescale
        self.interpolation = interpolation
        self.past = past
        self.method = method
        self.discretization = discretization
        self.add_duration = add_duration
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the number of channels and, if it is not given, the timescale.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            The series, in one of these forms:

            - a `Panel`;
            - a numeric array or DataFrame of shape (n_series, length): each row a regular series of one channel, at
              times 0, 1, 2, ..., which ends before the NaN at its end;
            - an array of shape (n_series, length, n_channels), where rows of NaN at the end of a series are padding;
            - a list, tuple, object array or pandas Series of series: arrays of shape (length,) or (length, n_channels),
              tuples ``(times, values)``, or pandas objects, whose index is their times unless it is 0, 1, 2, ...;
            - a DataFrame whose cells are series, each column a channel.

            NaN is a missing value. A long table, with a row for every observation, is not one of them (if it holds
            nothing but numbers, its rows are taken for series): read it with `Panel.from_long`.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If X is not of these forms or not valid as a `Panel`; the message names the series, channel and position. If
            a channel was observed in no series. The transformer stays as it was.
        """
        with fit_task(self, X, y):
            panel = validate_panel(self, X, reset=True)
            check_observed(panel)
            self._check_size(panel)
            effective_n_jobs(self.n_jobs)  # raises for 0
            if self.method == "recurrence" and self._measure.dynamics is None:
                raise ValueError(f"measure={self.measure!r} has no usable recurrence; use method='projection'.")
            observed = panel._observed
            self.duration_ = float(np.median(self._durations(panel)[observed]))
            self.length_ = int(np.median(panel.lengths[observed]))
            self.timescale_ = None
            if self._measure.has_timescale:
                self.timescale_ = learned_timescale(self.measure, in_seconds(self.timescale), self.duration_)
            self._fitted = self._shape_parameters()
        return self

    def transform(self, X: Any) -> Array:
        """Project every series.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.

        Returns
        -------
        ndarray of shape (n_series, n_channels * order [+ 1])
            The coefficients, channel by channel, in the dtype of the values; then the duration, if asked for.

        Raises
        ------
        ValueError, TypeError
            As `fit` does, and if the channels are not those of `fit`.
        """
        panel = self._check_fitted(X)
        width = self.n_channels_ * int(self.order)
        features = np.empty((len(panel), width + self.add_duration), panel.values.dtype)
        coefficients = features[:, :width].reshape(len(panel), self.n_channels_, -1)  # a view
        if self.method == "recurrence":
            coefficients[:] = self._recur(panel, visit=False)
        else:
            self._project(panel, out=coefficients)
        if self.add_duration:
            features[:, -1] = self._durations(panel)
        return with_ids(features, panel, self)

    def transform_online(self, X: Any, *, every: int = 1) -> Panel:
        """Coefficients along the series: what `transform` would return after each of its observations.

        For predictions from the beginning of a series, and for pictures of memory.

        Parameters
        ----------
        X : Panel, array, sequence or DataFrame
            As in `fit`, with the same channels.
        every : int, default=1
            Return one state in so many only, the last one of a series among them.

        Returns
        -------
        Panel
            Of the lengths of the series (if ``every`` is 1) and with the features of `transform` as channels, at the
            times of the observations. No state depends on later observations. The cost is the square of the length,
            since the beginnings are projected one by one; it is linear with ``method="recurrence"`` where values are
            not missing and the state is not the projection itself.

        Raises
        ------
        ValueError, TypeError
            As `transform` does.

        Examples
        --------
        >>> from sklearn_hippo import HiPPOTransformer
        >>> transformer = HiPPOTransformer(order=2).fit([[1.0, 2.0, 3.0]])
        >>> transformer.transform_online([[1.0, 2.0, 3.0]]).values.round(3)
        array([[1.   , 0.   ],
               [1.5  , 0.289],
               [2.   , 0.577]])
        """
        every = check_scalar(every, "every", Integral, min_val=1)
        panel = self._check_fitted(X)
        begins, ends = prefixes(panel)
        kept = (np.repeat(panel.offsets[1:], panel.lengths) - ends) % every == 0
        begins, ends = begins[kept], ends[kept]
        if self.method == "recurrence":
            states = self._recur(panel, visit=True)[kept]
        else:
            states = self._project(panel, rows=(begins, ends))
        states = states.reshape(len(ends), -1)
        times = (ends - 1 - begins).astype(np.float64) if panel.times is None else panel.times[ends - 1]
        series = np.repeat(np.arange(len(panel)), panel.lengths)[kept]
        if self.add_duration:
            start = series_span(panel.times, panel.offsets, self._interpolation)[0][series]
            first = 0.0 if panel.times is None else panel.times[begins]
            states = np.column_stack([states, np.where(times > first, times - start, 0)]).astype(states.dtype)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(series, minlength=len(panel)))])
        return panel.replace(values=states, times=times, offsets=offsets, channel_names=self.get_feature_names_out())

    def inverse_transform(self, X: ArrayLike, times: Any = None) -> Panel:
        """Turn coefficients back into series.

        Parameters
        ----------
        X : array-like of shape (n_series, n_channels * order [+ 1])
            As `transform` returns them.
        times : array-like of shape (length,), sequence of such arrays, or Panel, optional
            Where to evaluate each series, or the same for all; each series lasts from the first to the last of its
            times. By default ``length_`` regular times from 0 to the duration: the appended one if ``add_duration``,
            otherwise ``duration_``.

        Returns
        -------
        Panel
            Values are NaN where a sliding window does not reach. The ids are those of ``times``, if it is a panel, or
            of the index of X, if it is a pandas frame.

        Raises
        ------
        ValueError
            If X does not have the features that `transform` returns, or in another order, or times do not match.
        """
        self._check_parameters()
        C: Array = check_array(as_values(X, "X"), ensure_all_finite="allow-nan", input_name="X")
        n_features = self.n_channels_ * int(self.order) + self.add_duration
        if C.shape[1] != n_features:
            raise ValueError(f"X has {C.shape[1]} features, but {type(self).__name__} makes {n_features}.")
        source = times if isinstance(times, Panel) else None
        ids = ids_of_features(X, len(C), self.get_feature_names_out(), getattr(source, "ids", None))
        times, offsets = self._evaluation_times(C, times)
        values = reconstruct(
            C[:, : self.n_channels_ * int(self.order)].reshape(len(C), self.n_channels_, int(self.order)),
            self._measure,
            times,
            offsets,
            *series_span(times, offsets, self._interpolation),
            timescale=self.timescale_,
        )
        names = getattr(source, "id_names", None)
        return Panel(values, times, offsets, channel_names=self.channel_names_, ids=ids, id_names=names)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the features: ``<channel>__<measure>_c<n>``, and ``duration``.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names of the channels; by default those of X, or x0, x1, ...

        Returns
        -------
        ndarray of str
        """
        self._check_parameters()
        channels = names_of_channels(self, input_features)
        return feature_names(channels, self.measure, self.order, self.add_duration)

    def _shape_parameters(self) -> dict[str, Any]:
        """Parameters on which the meaning of the features depends."""
        names = "measure", "order", "interpolation", "past", "method", "discretization", "add_duration"
        return {name: getattr(self, name) for name in names}

    def _check_parameters(self) -> None:
        if not hasattr(self, "n_channels_"):
            check_is_fitted(self)
        check_unchanged(self._shape_parameters(), self._fitted)

    def _check_fitted(self, X: Any) -> Panel:
        self._check_parameters()
        panel = validate_panel(self, X, reset=False)
        self._check_size(panel)
        return panel

    def _project(self, panel: Panel, **kwargs: Any) -> Array:
        return project(
            panel,
            self._measure,
            int(self.order),
            timescale=self.timescale_,
            interpolation=self.interpolation,
            past=self.past,
            n_threads=self._n_threads,
            **kwargs,
        )

    def _recur(self, panel: Panel, visit: bool) -> Array:
        return recur(
            panel,
            self._measure,
            int(self.order),
            timescale=self.timescale_,
            discretization=self.discretization,
            past=self.past,
            visit=visit,
            n_threads=self._n_threads,
        )

    @property
    def _n_threads(self) -> int:
        return threads_of(self.n_jobs)

    @property
    def _measure(self) -> Measure:
        return MEASURES[self.measure]

    @property
    def _interpolation(self) -> str:
        """What a series does between its observations: a recurrence knows it from its discretization."""
        return self.interpolation if self.method == "projection" else interpolation_of(self.discretization)

    def _durations(self, panel: Panel) -> NDArray[np.float64]:
        start, stop = series_span(panel.times, panel.offsets, self._interpolation)
        return np.where(panel._observed, stop - start, 0.0)

    def _check_size(self, panel: Panel) -> None:
        """Refuse what cannot fit into memory, before the machine starts to swap."""
        # The features, and the sums of one thread.
        n_bytes = panel.n_channels * int(self.order) * (len(panel) * panel.values.itemsize + 200)
        whose = f" for {len(panel)} series of {panel.n_channels} channels"
        check_memory(n_bytes, f"order={self.order}", "Choose a smaller order.", whose=whose)

    def _evaluation_times(self, C: Array, times: Any) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Times of all series end to end, and the offsets of the series."""
        if times is None:
            durations = C[:, -1] if self.add_duration else np.full(len(C), self.duration_)
            # Held values fill the cells before their times, so the first time is one cell after the start.
            steps = np.arange(self.length_) if self._interpolation == "linear" else np.arange(1, self.length_ + 1)
            grid = steps / max(steps[-1], 1)
            points = np.outer(durations.astype(np.float64), grid).ravel()
            return points, len(grid) * np.arange(len(C) + 1)
        if not isinstance(times, Panel):
            several = list(times) if isinstance(times, (list, tuple)) else []
            pairs = any(isinstance(own, tuple) and any(map(np.iterable, own)) for own in several)
            series = several if pairs or any(np.ndim(own) for own in several) else [times] * len(C)
            stamps = [as_times(own, f"times of series {i}")[0] for i, own in enumerate(series) if not pairs]
            if pairs or any(own.ndim != 1 for own in stamps):
                raise ValueError(
                    "times must be 1-D, a list of such, or a panel, as Panel.from_list makes it of (times, values)."
                )
            times = check_panel([(own, np.zeros(len(own))) for own in stamps])
        if len(times) != len(C):
            raise ValueError(f"times are given for {len(times)} series, X has {len(C)}.")
        return own_times(times), times.offsets

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
