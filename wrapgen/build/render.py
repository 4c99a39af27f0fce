"""Rendering one template. The only importer of jinja2.

Undefined names are errors, and so is any text that is not `Ready`: a template can't emit a value of the spec
without a filter of `literals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import jinja2

from wrapgen.build.literals import Ready, json_text, literal, prose, shell_word
from wrapgen.errors import BadTemplate

FILTERS = {"literal": literal, "json": json_text, "prose": prose, "shell": shell_word}
"""What a template may turn a value into."""


def render(path: str, template: bytes, context: Mapping[str, Any]) -> bytes:
    """The file that a template makes of a context.

    Args:
        path: the template's path, for messages.
        template: UTF-8.
        context: every name that the template may use.

    Raises:
        BadTemplate: it is not UTF-8 or not Jinja, uses an unknown name, or emits a value without a filter.
    """
    try:
        text = _compiled(template).render(context)
    except UnicodeDecodeError as error:
        raise BadTemplate(path=path, line=None, said=f"it is not UTF-8: {error.reason}") from None
    except jinja2.TemplateSyntaxError as error:
        raise BadTemplate(path=path, line=error.lineno, said=error.message or "syntax error") from None
    except Exception as error:  # a user's template can raise anything
        said = str(error) or type(error).__name__
        raise BadTemplate(path=path, line=_line(error), said=said, known=context) from None
    return text.encode("utf-8")


def render_tree(files: Mapping[str, bytes], context: Mapping[str, Any]) -> dict[str, bytes]:
    """A tree of templates by path: each `NAME.jinja` rendered as NAME, every other file as it is.

    Raises:
        BadTemplate: as `render`.
    """
    return {
        path.removesuffix(".jinja"): render(path, content, context) if path.endswith(".jinja") else content
        for path, content in files.items()
    }


@lru_cache(maxsize=64)
def _compiled(template: bytes) -> jinja2.Template:
    return _environment().from_string(template.decode("utf-8"))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        finalize=_finished,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  # this is not HTML; `finalize` is stricter than escaping
    )
    environment.filters.update(FILTERS)
    return environment


def _finished(value: Any) -> Any:
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises, naming what is undefined
    if isinstance(value, Ready) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TypeError(f"a {type(value).__name__} is emitted without a filter; use one of {', '.join(FILTERS)}")


def _line(error: Exception) -> int | None:
    """The template's line from a traceback that Jinja has rewritten to point there."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
