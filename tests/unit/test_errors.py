"""The tree of errors: every one of them says what to do."""

from __future__ import annotations

from collections.abc import Iterator

from wrapgen import errors
from wrapgen.errors import WrapgenError


def tree(root: type[WrapgenError] = WrapgenError) -> Iterator[type[WrapgenError]]:
    """Every class of wrapgen.errors."""
    yield root
    for kind in root.__subclasses__():
        yield from tree(kind)


MADE: dict[type[WrapgenError], WrapgenError] = {
    errors.InternalError: errors.InternalError(ValueError("x")),
    errors.MissingExtra: errors.MissingExtra(extra="sqs", needed_for="a queue"),
    errors.BadTemplate: errors.BadTemplate(path="a", line=1, said="x"),
    errors.SpecError: errors.SpecError(path="spec.yaml", problems=[]),
    errors.BuildFailed: errors.BuildFailed(reference="a/b", log=""),
    errors.CaseFailed: errors.CaseFailed(name="a", expected="1", got="2"),
    errors.RecordsUnreadable: errors.RecordsUnreadable(where="x", reason="y"),
    errors.TakenOver: errors.TakenOver(name="x", who="y"),
}
"""The errors that write their own message."""


def test_every_error_says_what_to_do() -> None:
    """Raised without a hint, each error of the tree has advice of its own kind."""
    for kind in tree():
        if kind.__module__ != errors.__name__:
            continue
        error = MADE[kind] if kind in MADE else kind("it happened")
        said = str(error.as_json()["hint"])
        assert len(said) > 15 and not said.endswith("."), kind
        own = "advice" in vars(kind) or error.hint
        assert own, f"{kind.__name__} has no advice of its own"


def test_a_hint_of_the_place_comes_first() -> None:
    """Where the raiser knows more, its hint stands in the place of the advice."""
    assert errors.NotFound("gone", hint="look there").as_json()["hint"] == "look there"
