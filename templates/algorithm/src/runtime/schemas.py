"""JSON Schemas of items and results, checked by jsonschema."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from . import patterns
from .item_notes import notes_of
from .items import Item
from .protocol import Failure, InputError
from .statuses import failure_of

SEARCHER = patterns.Searcher()
LONGEST = 500  # characters of what is said to be wrong


class Schema(NamedTuple):
    """What checks a value, and the patterns by which it names properties."""

    validator: Any
    names: list[str]


class Schemas:
    """An item that does not fit costs no call; a result that does not fit is asked for again."""

    def __init__(
        self,
        item: dict[str, Any] | None = None,
        result: dict[str, Any] | None = None,
        ask_again: Callable[[Any, str, str], Any] | None = None,
    ) -> None:
        """``ask_again`` makes the next request of the last one, its answer and what was wrong with that."""
        self._item = _read(item)
        self._result = _read(result)
        self._ask_again = ask_again

    def check_item(self, value: Any) -> None:
        """Raises ``InputError`` for an item that does not fit."""
        wrong = _wrong(self._item, value)
        if wrong:
            raise InputError(f"the item does not fit target.item_schema: {wrong}")

    def checked(self, item: Item, result: Any) -> Any:
        """The result, or a retryable ``Failure`` for one that does not fit."""
        wrong = _wrong(self._result, result)
        return self.refused(item, wrong) if wrong else result

    def refused(self, item: Item, wrong: str) -> Failure:
        """The failure of a result that does not fit, which the next request for the item may tell of."""
        notes = notes_of(item)
        notes.wrong = (*notes.wrong, wrong)
        failure = failure_of(
            "ResultError", f"the result does not fit target.result_schema: {wrong}", retryable=True
        )
        failure.retry_after = 0.0
        return failure

    def asked_again(self, item: Item, content: Any) -> Any:
        """A request's content, with what was wrong with the last result if there was one."""
        notes = notes_of(item)
        if not notes.wrong or self._ask_again is None:
            return content
        return self._ask_again(content, notes.said, notes.wrong[-1])


def _read(schema: dict[str, Any] | None) -> Schema | None:
    if schema is None:
        return None
    names = patterns.names_in(schema)
    try:
        from jsonschema import validators
    except ImportError:
        raise ValueError("jsonschema is not installed, which requirements.txt names") from None
    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    kind.check_schema(schema)
    kind = validators.extend(kind, {"pattern": _pattern})
    schema = {
        key: one for key, one in schema.items() if key != "$schema"
    }  # by which it would be of another kind
    try:
        from jsonschema_specifications import REGISTRY
    except ImportError:  # jsonschema before 4.18, which is all that Python 3.7 has
        return Schema(kind(schema, resolver=_local(schema)), names)
    return Schema(kind(schema, registry=REGISTRY), names)


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Any:
    """The keyword of that name."""
    if isinstance(value, str) and not SEARCHER.search(pattern, value):
        from jsonschema import ValidationError

        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _local(schema: dict[str, Any]) -> Any:
    """What finds the references inside of a schema, and fetches none."""
    from jsonschema import RefResolver

    class Local(RefResolver):  # type: ignore[misc]
        def resolve_remote(self, uri: str) -> Any:
            raise ValueError(f"{uri} is not fetched")

    return Local.from_schema(schema)


def _wrong(schema: Schema | None, value: Any) -> str:
    """What does not fit a schema, with its path; empty if all does."""
    if schema is None:
        return ""
    validator = schema.validator
    from jsonschema.exceptions import best_match

    try:
        for pattern in schema.names:
            for name in patterns.keys_of(value):
                SEARCHER.search(pattern, name)
        if validator.is_valid(value):
            return ""
        error = best_match(validator.iter_errors(value))
    except (
        Exception
    ) as broken:  # a reference that leads nowhere or round and round, a number that is too large
        return f"it can't be checked: {broken}"[:LONGEST]
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    return f"${steps}: {error.message}"[:LONGEST]
