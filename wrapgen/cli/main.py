"""The `wrapgen` command: finds the subcommand, and holds the only top-level `except`.

Subcommands are imported when they are used, so that `--help` and `build` stay quick. Each lives in a file of
its own in this package, as a click command named `command`.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import traceback
from typing import TYPE_CHECKING

import click

from wrapgen import __version__
from wrapgen.cli.terminal import err, marked, out
from wrapgen.errors import InternalError, OutOfResource, SystemRefused, WrapgenError
from wrapgen.resources import refusal_of, resource_of

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "demo": "Show what a run survives, in seconds and without a platform.",
    "init": "Write a commented spec.",
    "check": "List every mistake in a spec.",
    "build": "Generate the wrapper that a spec describes.",
    "outdated": "List wrappers with an older runtime.",
    "upgrade": "Rebuild wrappers with the newest runtime, and show one diff.",
    "schema": "Print the JSON Schema of a spec.",
    "client": "Print a program that calls a wrapper.",
    "diff": "Show where spec, files, release and target differ.",
    "serve": "Host algorithms and data on this machine.",
    "platform": "Administer a platform: users, keys, algorithms, logs.",
    "publish": "Push an algorithm to a platform and release it.",
    "call": "Call an algorithm with one input.",
    "plan": "Estimate a run before it starts: calls, time, cost.",
    "run": "Push a whole input set through a wrapper.",
    "merge": "Make one run of its shards.",
    "runs": "List the runs at and below a folder.",
    "show": "Show the status of a run.",
    "report": "Write the report of a run again.",
    "verify": "Check a run's input, outcomes, output and records.",
    "worker": "Feed a wrapper from a queue until stopped.",
    "records": "Read recorded items, each key once.",
    "doctor": "Examine a wrapper before a run; one line per problem.",
    "docs": "Print a page of the documentation.",
    "completion": "Print the script that makes a shell complete wrapgen.",
}
"""Every subcommand and its one-line help; `wrapgen/cli/<name>.py` holds it."""


class LazyGroup(click.Group):
    """A group whose commands are imported only when one of them is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, in the order in which a user meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Imports `wrapgen.cli.<name>`; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"wrapgen.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the command that was meant in the error: click can't list what isn't imported."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            options = [f"--{args[0]}"] if args[0] in ("help", "version") else []
            close = options or difflib.get_close_matches(args[0], COMMANDS, n=1)
            if close:
                raise click.UsageError(f"no command {args[0]!r}; did you mean {close[0]!r}?", ctx) from None
            raise error

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that a shell offers, without importing any of them, and the options."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items()]
        return [item for item in names if item.value.startswith(incomplete)] + click.Command.shell_complete(
            self, ctx, incomplete
        )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table of commands for --help, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wrapgen")
def cli() -> None:
    """Turn a ten-line YAML spec into a deployable wrapper algorithm, publish it, and run a million items."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code; an error is one clear message on standard error.

    Args:
        arguments: the words after `wrapgen`; None takes them from the process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        _open_streams()
        result = cli.main(args=words, prog_name="wrapgen", standalone_mode=False, obj=tuple(words))
        return result if isinstance(result, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        err("stopped")
        return 130
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        err(said.getvalue().rstrip("\n"))
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except Exception as error:
        own = error if isinstance(error, WrapgenError) else InternalError(error)
        told = fault_of_system(error) or own
        _report(told, as_json="--json" in words)
        return told.exit_code


def fault_of_system(error: BaseException) -> OutOfResource | SystemRefused | None:
    """The error to report in place of one that the machine caused; None for one that it did not.

    An error of ours about a full disk stays: it names the place, and another one may have space.
    """
    resource = resource_of(error)
    if resource is None or isinstance(error, OutOfResource):
        if reason := refusal_of(error):
            places = [getattr(error, name, None) for name in ("filename", "filename2")]
            return SystemRefused(reason, *(str(place) for place in places if place is not None))
        return error if isinstance(error, OutOfResource) else None
    message = getattr(error, "message", None)
    if message is None:  # no error of ours
        return OutOfResource(resource)
    return None if "the disk" in resource else OutOfResource(resource, message)


def _open_streams() -> None:
    """Puts nothing where a standard stream was closed by the parent process; Python has None there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - as long as the process


def _report(error: WrapgenError, *, as_json: bool) -> None:
    if os.environ.get("WRAPGEN_DEBUG"):
        err(traceback.format_exc().rstrip())
    if as_json:
        try:
            out(json.dumps({"error": error.as_json()}))
        except (
            OSError
        ):  # who asked may have gone; the exit code still tells, so nothing is tried again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    else:
        marked("error", error.message, "31;1")
        marked("hint", error.hint or error.advice, "36;1")
