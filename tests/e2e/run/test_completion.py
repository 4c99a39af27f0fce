"""Completion in the shells themselves: the script is sourced, and asked."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

import click
import pytest

from wrapgen.cli import completion
from wrapgen.cli.completion import FORMATS
from wrapgen.cli.main import cli
from wrapgen.run.input import formats

HEAVY = {
    "pydantic",
    "jinja2",
    "yaml",
    "rich",
    "urllib3",
    "starlette",
    "Algorithmia",
    "zstandard",
    "wrapgen.client",
}


@pytest.fixture
def ask(tmp_path):
    """Gives a shell a program in a folder with a run and a file; what it prints, line by line."""
    run = tmp_path / "scores.jsonl.run"
    run.mkdir()
    (run / "ledger.jsonl").write_text('{"e":"run","format":1,"run":"night-7","reference":"acme/S/1.0.0"}\n')
    (run / "lock").touch()
    (tmp_path / "tweets.jsonl").touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "wrapgen"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m wrapgen "$@"\n')
    script.chmod(0o755)

    def run_in(shell, program):
        if shutil.which(shell[0]) is None:
            pytest.skip(f"no {shell[0]} here")
        done = subprocess.run(
            [*shell, "-c", program],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\n")[:-1]

    return run_in


def in_bash(ask, *words):
    """What bash would offer for the last word."""
    typed = " ".join(map(shlex.quote, words))
    return ask(
        ["bash", "--norc"],
        'eval "$(wrapgen completion bash)"; complete -p wrapgen >/dev/null || exit 1; '
        f"COMP_WORDS=(wrapgen {typed}); COMP_CWORD={len(words)}; _wrapgen_completion wrapgen; "
        "printf '%s\\n' \"${COMPREPLY[@]}\"",
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["sh"], ["show"]),
        (["show", "sc"], ["scores.jsonl"]),
        (["report", "night"], ["night-7"]),
        (["run", "acme/S", "in", "--format", "js"], ["jsonl", "json"]),
        (["run", "acme/S", "in", "--layout", "b"], ["bare"]),
        (["verify", "x", "--js"], ["--json"]),
        (["docs", "runn"], ["running"]),
    ],
)
def test_bash(ask, words, offered):
    """bash completes commands, runs by output and id, formats, choices and options."""
    assert in_bash(ask, *words) == offered


def test_zsh(ask):
    """zsh takes the script as the completion of wrapgen."""
    assert ask(
        ["zsh", "-f"],
        'autoload -U compinit; compinit -u -D; eval "$(wrapgen completion zsh)"; print $_comps[wrapgen]',
    ) == ["_wrapgen_completion"]


def test_fish(ask):
    """fish completes a command, a run and a file by the script."""
    source = "wrapgen completion fish | source; "
    assert [line.split("\t")[0] for line in ask(["fish"], f"{source}complete -C 'wrapgen sho'")] == ["show"]
    found = ask(["fish"], f"{source}complete -C 'wrapgen show night'")
    assert [line.split("\t")[0] for line in found] == ["night-7"]


def test_nothing_heavy_is_loaded(ask):
    """Completing a run loads neither the client, nor Rich, nor any other large library."""
    program = (
        "import atexit, sys; from wrapgen.cli.main import main;"
        "atexit.register(lambda: print(' '.join(sys.modules))); sys.exit(main([]))"
    )
    [offered, modules] = ask(
        ["sh"],
        'COMP_WORDS="wrapgen show n" COMP_CWORD=2 _WRAPGEN_COMPLETE=bash_complete '
        f"{shlex.quote(sys.executable)} -c {shlex.quote(program)}",
    )
    assert offered == "plain,night-7" and not HEAVY & set(modules.split())


def test_the_formats_are_those_of_the_input():
    """The copy of the formats that completion offers is true."""
    assert set(FORMATS) == set(formats.FORMATS)


def test_every_name_of_an_algorithm_is_completed():
    """No command takes `OWNER/NAME` or a reference without what a platform lists."""
    context = click.Context(cli)

    def arguments(command):
        yield from (one for one in command.params if isinstance(one, click.Argument))
        for name in command.list_commands(context) if isinstance(command, click.Group) else ():
            yield from arguments(command.get_command(context, name))

    named = [one for one in arguments(cli) if one.metavar == "OWNER/NAME" or one.name == "reference"]
    completers = {one._custom_shell_complete for one in named}
    assert len(named) >= 8 and completers <= {completion.references, completion.references_and_files}
