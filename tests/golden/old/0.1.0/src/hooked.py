"""The user's hooks, applied: to items on their way to the target, to results and errors on their way back."""

from typing import Any  # noqa: F401 - for the type comments

from . import hooks
from .items import Outcome
from .protocol import Failure, kind_and_words


def before(items, has_ended):
    # type: (Any, Any) -> Any
    """The items as the user's ``before`` makes them; one that it fails has its fault already.

    Once ``has_ended()``, items are no longer tried, only counted: a hook would cost time that is not there.
    """
    hook = getattr(hooks, "before", None)
    return items if hook is None else _before(hook, items, has_ended)


def _before(hook, items, has_ended):
    for item in items:
        if item.fault is None and not has_ended():
            try:
                item.value = hook(item.value)
            except (Exception, SystemExit) as error:
                item.fault = _failure(error)
        yield item


def after(outcomes):
    # type: (Any) -> Any
    """The pairs of item and outcome as the user's ``after`` or ``error`` makes the outcomes.

    What was not tried is nobody's outcome, so no hook sees it.
    """
    on_result, on_error = getattr(hooks, "after", None), getattr(hooks, "error", None)
    if on_result is None and on_error is None:
        return outcomes
    return ((item, _after(item, outcome, on_result, on_error)) for item, outcome in outcomes)


def _after(item, outcome, on_result, on_error):
    failure = outcome.failure
    hook = on_result if failure is None else on_error
    if hook is None or (failure is not None and failure.untried):
        return outcome
    try:
        if failure is None:
            value = hook(item.value, outcome.value)
            return Outcome.of_result(value, outcome.started_at, outcome.seconds, outcome.attempts)
        failure = Failure(*hook(item.value, failure.error_type, failure.message, failure.retryable))
        failure.attempts = outcome.attempts
        return Outcome.of_failure(failure, outcome.started_at, outcome.seconds)
    except (Exception, SystemExit) as error:
        failure = _failure(error)
    failure.attempts = outcome.attempts
    return Outcome.of_failure(failure, outcome.started_at, outcome.seconds)


def _failure(error):
    """What the user's own code raised, as a failure that sending again can't mend."""
    if isinstance(error, Failure):
        return error
    kind, words = kind_and_words(error)
    return Failure(kind, "in hooks.py: {}".format(words))
