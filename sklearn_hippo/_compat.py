"""What differs between the versions of scikit-learn, and its private names, in one place."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import _get_output_config

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """No callbacks in this version."""


__all__ = [
    "CallbackSupportMixin", "HasMethods", "Interval", "Linked", "Registered", "StrOptions", "fit_task", "output_of",
    "pandas_frame", "polars_frame", "set_parameters", "with_ids",
]  # fmt: skip


class Linked:
    """An estimator whose HTML representation links to its page in the documentation."""

    _doc_link_module = "sklearn_hippo"
    _doc_link_template = "https://sklearn-hippo.readthedocs.io/api.html#sklearn_hippo.{estimator_name}"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"estimator_name": type(self).__name__}


class Registered(StrOptions):
    """One of the names in a registry, which may have more entries by the time a parameter is checked."""

    def __init__(self, registry: Callable[[], Iterable[str]]):
        self._registry = registry
        super().__init__(set(registry()))

    @property
    def options(self) -> set[str]:
        return set(self._registry())

    @options.setter
    def options(self, known: set[str]) -> None:
        pass


@contextmanager
def _unchanged_by_failure(estimator: Any) -> Iterator[None]:
    """Take back every attribute that was set, if an error ends the block."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


@contextmanager
def fit_task(
    estimator: Any, X: Any, y: Any, max_subtasks: int | None = 0, fitted: Callable[[], dict[str, Any]] | None = dict,
    subtask: str = "epoch",
) -> Iterator[Any]:  # fmt: skip
    """Tell the callbacks of an estimator, if any, that a fit begins and ends.

    Yields a function to be called after every subtask, if there are any; it returns whether a callback wants to stop.
    ``fitted`` returns the attributes that make the estimator a fitted one; None if there are none before the end. A fit
    that fails leaves the estimator as it was.
    """
    if not hasattr(CallbackSupportMixin, "set_callbacks"):
        with _unchanged_by_failure(estimator):
            yield lambda: False
        return
    context = estimator._init_callback_context(max_subtasks=max_subtasks)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def ends() -> bool:
        task = context.subcontext(task_name=subtask)
        task.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
        return task.call_on_fit_task_end(estimator=estimator, X=X, y=y, reconstruction_attributes=fitted)

    with _unchanged_by_failure(estimator):
        yield ends
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y, reconstruction_attributes=fitted or dict)


def output_of(estimator: Any) -> str:
    """What ``set_output``, or scikit-learn's configuration, wants of transform: "default", "pandas" or "polars"."""
    return str(_get_output_config("transform", estimator)["dense"])


def with_ids(features: Any, panel: Any, estimator: Any) -> Any:
    """Features of the series of a panel; under the series' ids, where ``set_output`` makes a pandas frame of them."""
    if panel.ids is None or output_of(estimator) != "pandas":
        return features
    return pandas_frame(features, panel.ids, panel.id_names)


def pandas_frame(features: Any, ids: Any, id_names: Any, columns: Any = None) -> Any:
    """A frame of pandas with these ids, which are tuples if they have several names, as its index."""
    import pandas as pd

    if len(ids) and isinstance(ids[0], tuple):
        index = pd.MultiIndex.from_tuples(ids, names=id_names)
    else:
        index = pd.Index(ids, name=id_names and id_names[0])
    return pd.DataFrame(features, index, columns)


def polars_frame(columns: dict[str, Any]) -> Any:
    """A frame of polars."""
    import polars as pl

    return pl.DataFrame(columns)


def set_parameters(estimator: Any, given: dict[str, Any]) -> None:
    """Assign the parameters of an estimator, as they stand in the signature of its __init__."""
    for name in estimator._get_param_names():
        setattr(estimator, name, given[name])
