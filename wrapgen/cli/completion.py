"""`wrapgen completion`: the script that makes a shell complete commands, options, references, files and runs.

What completes an argument is here too; it loads nothing heavy, since a shell waits for it at each Tab.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from wrapgen.cli.terminal import out

VARIABLE = "_WRAPGEN_COMPLETE"
"""Where the script leaves word that the shell asks, as click names it."""

ASK_SECONDS = 2.0
"""How long a shell waits at most for a platform's answer."""

FORMATS = ("jsonl", "json", "document", "lines", "errors", "csv", "tsv", "parquet")
"""What `--format` takes; a copy, since the original loads the readers (a test compares)."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete wrapgen's commands, options, files and runs.

    \b
    bash:  echo 'eval "$(wrapgen completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(wrapgen completion zsh)"' >> ~/.zshrc
    fish:  wrapgen completion fish > ~/.config/fish/completions/wrapgen.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    out(kind(ctx.find_root().command, {}, "wrapgen", VARIABLE).source())


def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The runs at and below this folder: by output or folder, and by id."""
    from wrapgen.errors import RunError
    from wrapgen.run.ledger.folder import SUFFIX, Folder
    from wrapgen.run.status import find_runs

    found = []
    for path in find_runs(Path()):
        with suppress(RunError, OSError):
            header = Folder(path).header() or {}
            about = f"{header.get('run')}, {header.get('reference')}"
            found.append(CompletionItem(str(path).removesuffix(SUFFIX), help=about))
            found.append(CompletionItem(str(header.get("run")), help=str(path)))
    return [item for item in found if str(item.value).startswith(incomplete)]


def references(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The algorithms that the found platform shows to this key; their versions behind a second slash."""
    found: list[str] = []
    asking = threading.Thread(target=_ask, args=(ctx.params, incomplete, found), daemon=True)
    asking.start()
    asking.join(ASK_SECONDS)
    return [CompletionItem(each) for each in list(found) if each.startswith(incomplete)]


def _ask(known: dict[str, Any], incomplete: str, found: list[str]) -> None:
    """Adds what the platform lists for the beginning of a reference; nothing where it does not answer."""
    from wrapgen.client import connect
    from wrapgen.errors import WrapgenError

    owner, _, rest = incomplete.partition("/")
    name, versioned, _ = rest.partition("/")
    options = {option: known.get(option) for option in ("address", "home", "profile")}
    with suppress(WrapgenError), connect(**options, key=known.get("api_key"), pool=1) as client:
        if versioned:
            released = client.versions(f"{owner}/{name}")
            found += [f"{owner}/{name}/{each.version}" for each in released if each.version]
            return
        mine = [each for page in client.data.pages("data://") for each in page.folders]
        for account in [owner] if rest else mine:
            for entry in client.accounts.algorithms(account):
                found.append(f"{entry['username']}/{entry['algoname']}")


def references_and_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """References, and the names of files, where either may stand."""
    return references(ctx, param, incomplete) or files(ctx, param, incomplete)


def formats(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """The formats of an input."""
    return [CompletionItem(name) for name in FORMATS if name.startswith(incomplete)]


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """Lets the shell complete the name of a file, where something else may stand as well, such as a URL."""
    return [CompletionItem(incomplete, type="file")]
