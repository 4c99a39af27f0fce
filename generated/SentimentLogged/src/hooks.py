"""Yours: what happens to items, results and errors on their way through the wrapper.

This file was written once and is never touched again. A function that you don't need may stay as it is, or
go. An exception here fails the item, with the exception's ``error_type`` if it has one.
"""

from typing import Any  # noqa: F401 - for the type comments


def before(item):
    # type: (Any) -> Any
    """What the target gets, and the record holds, instead of the item."""
    return item


def after(item, result):
    # type: (Any, Any) -> Any
    """What the caller gets, and the record holds, instead of the result; ``item`` is from ``before``."""
    del item
    return result


def error(item, error_type, message, retryable):
    # type: (Any, str, str, bool) -> tuple
    """How a failure is reported: its type, its message, and whether sending the item again can help."""
    del item
    return error_type, message, retryable
