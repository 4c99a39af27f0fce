"""The documentation site: Sphinx reads the pages that also read well as plain Markdown.

`make docs` writes `build/site/`; everything in it is local, so that it works from a disk without a network.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

project = "wrapgen"
author = "the wrapgen authors"
html_title = "wrapgen"
extensions = ["myst_parser"]
exclude_patterns = ["images/*.md", "numbers/*.md"]
myst_heading_anchors = 4
html_theme = "furo"
html_copy_source = False
html_use_index = False  # pages of prose define no terms
html_show_search_summary = False  # the search would fetch pages for it, which a browser refuses on a disk
html_show_sphinx = False
html_show_copyright = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

CONTENTS = {
    "Start": ["start", "quickstart", "algorithms"],
    "Wrap": ["spec", "endpoints", "item-protocol", "datastores", "templates"],
    "Run": ["publishing", "running", "records", "scaling", "spark", "ray", "sqs"],
    "Host": ["platform", "web", "serving", "security"],
    "Look up": ["cli", "errors", "glossary", "architecture", "trust"],
}
"""The order of the pages in the margin; Sphinx warns of a page that is missing here."""


def add_contents(_: Sphinx, page: str, source: list[str]) -> None:
    """Gives the first page its table of contents, which as text in it would only disturb."""
    if page == "index":
        for caption, pages in CONTENTS.items():
            source[0] += "\n".join(
                ["\n\n```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""]
            )


def open_to_everybody(_: Sphinx, _page: str, _template: str, context: dict[str, Any], _tree: object) -> None:
    """Lets a keyboard scroll what is wider than a phone, and gives the margin's captions a level."""
    body = context.get("body", "").replace("<pre>", '<pre tabindex="0">')
    context["body"] = body.replace('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper')
    margin = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = margin.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_contents)
    app.connect("html-page-context", open_to_everybody, priority=900)  # after the theme's
