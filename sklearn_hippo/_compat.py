"""What differs between the versions of scikit-learn, in one place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """No callbacks in this version."""


@contextmanager
def fit_task(
    estimator: Any, X: Any, y: Any, max_subtasks: int | None = 0, fitted: Callable[[], dict[str, Any]] = dict
) -> Iterator[Any]:
    """Tell the callbacks of an estimator, if any, that a fit begins and ends.

    Yields a function to be called after every epoch, if there are any; it returns whether a callback wants to stop.
    ``fitted`` returns the attributes that make the estimator a fitted one.
    """
    if not hasattr(CallbackSupportMixin, "set_callbacks"):
        yield lambda: False
        return
    context = estimator._init_callback_context(max_subtasks=max_subtasks)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def epoch_ends() -> bool:
        epoch = context.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
        return epoch.call_on_fit_task_end(estimator=estimator, X=X, y=y, reconstruction_attributes=fitted)

    yield epoch_ends
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y, reconstruction_attributes=fitted)
