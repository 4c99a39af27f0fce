"""Ledgers whose values somebody altered by hand: one clear error that names the line."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import pytest

from wrapgen.cli import report, show, verify
from wrapgen.errors import RunError
from wrapgen.run.ledger.folder import Folder, folder_for
from wrapgen.run.report.tally import Tally
from wrapgen.run.status import load

DIGEST = re.compile(r',"d":"[0-9a-f]{32}"(?=})')

NO_PLATFORM = dict.fromkeys(("address", "api_key", "key_env", "profile", "home"))
NOWHERE = {**dict.fromkeys(("source", "output", "datastore")), **NO_PLATFORM}


def entries_of(folder):
    """The lines of a ledger without digests, as 0.1.0 wrote them: what is altered is read then."""
    return [DIGEST.sub("", line) for line in folder.ledger.read_text().splitlines()]


ODD = (None, "odd", -1, 10**18, [], {}, [None], 1.5, True)


def paths_of(value, path=()):
    """Every place in a JSON value that can be altered."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield (*path, key)
        yield from paths_of(inner, (*path, key))


def altered(entry, path, odd):
    """A copy of an entry with another value in one place."""
    copy = json.loads(json.dumps(entry))
    place = copy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = odd
    return json.dumps(copy)


def test_an_altered_value_is_an_error_of_the_run_or_none(bench, memory_wrapper):
    """Whatever single value of a ledger is another, it is read, or the run is said to be damaged."""
    bench.run(memory_wrapper(), [1, 2, 3])
    folder = Folder(folder_for(bench.output))
    lines = entries_of(folder)
    for number, line in enumerate(lines):
        entry = json.loads(line)
        for path in paths_of(entry):
            for odd in ODD:
                changed = [*lines[:number], altered(entry, path, odd), *lines[number + 1 :]]
                folder.ledger.write_text("\n".join(changed) + "\n")
                with suppress(RunError):
                    load(folder.path, Tally().note)


def test_the_line_is_named(bench, memory_wrapper):
    """The error says which line of the ledger was altered."""
    bench.run(memory_wrapper(), [1, 2, 3])
    folder = Folder(folder_for(bench.output))
    lines = entries_of(folder)
    number = next(at for at, line in enumerate(lines) if '"e":"send"' in line)
    lines[number] = altered(json.loads(lines[number]), ("n",), 10**18)
    folder.ledger.write_text("\n".join(lines) + "\n")
    with pytest.raises(RunError, match=f":{number + 1}: the ledger is damaged"):
        load(folder.path)


@pytest.mark.parametrize("odd", [None, "odd", 10**18, [None]])
def test_no_command_crashes_on_an_altered_value(bench, memory_wrapper, odd, capsys):
    """Every command that reads a run tells the damage in one line, or goes on without the value."""
    bench.run(memory_wrapper(faults={"1": ["InputError"]}), [1, 2, 3])
    folder = Folder(folder_for(bench.output))
    lines = entries_of(folder)
    for number, line in enumerate(lines):
        entry = json.loads(line)
        for path in paths_of(entry):
            changed = [*lines[:number], altered(entry, path, odd), *lines[number + 1 :]]
            folder.ledger.write_text("\n".join(changed) + "\n")
            for words, command in (
                ({"as_json": True}, show.command),
                ({"as_json": False}, show.command),
                ({"as_json": True, "output": bench.folder / "report.html"}, report.command),
                (
                    {"as_json": True, **dict.fromkeys(("source", "output", "datastore")), **NO_PLATFORM},
                    verify.command,
                ),
            ):
                with suppress(RunError):
                    command.callback(run=str(folder.path), **words)
    capsys.readouterr()
