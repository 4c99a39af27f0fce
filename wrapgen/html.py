"""HTML from Jinja templates, always escaped: for the platform's web page and a run's report.

Wrappers are text of other kinds, with stricter rules: `build.render` makes them.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

__all__ = ["Environment", "Template", "environment"]


def environment(folder: Path) -> Environment:
    """What renders the templates of a folder.

    Every value is escaped unless it is Markup, whatever a template is called; an undefined name is an error.
    Escaping covers text and quoted attributes, so templates hold no inline event handlers and put no value
    into a script.

    Args:
        folder: holds the templates, and those they extend.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
