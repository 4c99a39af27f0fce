"""`wrapgen docs`: the pages of the documentation that belong to this version."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from wrapgen.cli.options import json_option
from wrapgen.cli.terminal import out, styled
from wrapgen.errors import UsageError


def find_docs() -> Path:
    """The folder of pages: inside the installed package if it is there, else the checkout's.

    Raises:
        UsageError: neither exists, so this is a broken installation.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_docs", package.parent / "docs"):
        if (folder / "index.md").is_file():
            return folder
    raise UsageError("wrapgen's documentation is missing", hint="install wrapgen again")


def _pages(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    names = sorted(path.stem for path in find_docs().glob("*.md"))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command()
@click.argument("page", required=False, shell_complete=_pages)
@json_option()
def command(page: str | None, as_json: bool) -> None:
    """Print a PAGE of the documentation of this version, such as `running`; without one, list them.

    The pages are Markdown files and come with the package: nothing is fetched.
    """
    folder = find_docs()
    pages = {path.stem: path for path in sorted(folder.glob("*.md"))}
    if page is None:
        titles = {
            name: path.read_text("utf-8").split("\n", 1)[0].lstrip("# ") for name, path in pages.items()
        }
        if as_json:
            out(json.dumps({"folder": str(folder), "pages": titles}))
            return
        width = max(map(len, pages))
        out("\n".join(f"{name:<{width}}  {title}" for name, title in titles.items()))
        styled(f"\nwrapgen docs PAGE prints one; the files are in {folder}")
        return
    path = pages.get(page.removeprefix("docs/").removesuffix(".md"))
    if path is None:
        raise UsageError(f"there is no page {page!r}", hint=f"there are {', '.join(pages)}")
    text = path.read_text("utf-8")
    if as_json:
        out(json.dumps({"page": path.stem, "path": str(path), "text": text}))
    elif sys.stdout.isatty():
        click.echo_via_pager(text)
    else:
        out(text.rstrip("\n"))
