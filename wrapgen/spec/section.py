"""What the parts of a spec are made of: a frozen section, and texts with a check of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from wrapgen.spec import names

VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"
"""The name of an environment variable, for `sketch`."""


def checked(check: Callable[[Any], object]) -> AfterValidator:
    """A validator that turns `Refused` into a Pydantic error that carries the hint."""

    def validate(text: Any) -> Any:
        try:
            check(text)
        except names.Refused as refused:
            facts = {"said": refused.message, "hint": refused.hint}
            raise PydanticCustomError("refused", "{said}", facts) from None
        return text

    return AfterValidator(validate)


def sketch(pattern: str, *examples: str) -> Any:
    """What the schema tells an editor of a text: examples, and a pattern no stricter than the check."""
    return Field(examples=list(examples), json_schema_extra={"pattern": f"^{pattern}$"})


class Section(BaseModel):
    """What all parts of a spec share: no unknown keys, no conversions, no changes afterwards."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)
