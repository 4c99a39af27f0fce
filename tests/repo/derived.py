"""Everything committed that is made from something else: what it should be now, and what writes it.

Golden cases, committed wrappers, and the generated pages and tables of docs/. `python tests/repo/derived.py`
writes them all; `test_drift.py` compares.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from wrapgen import errors
from wrapgen.build import Placement, context, generate
from wrapgen.cli.main import COMMANDS, cli
from wrapgen.cli.verify import FAULTS
from wrapgen.run.report.facts import WORDS
from wrapgen.run.summary import EXIT_CODES
from wrapgen.spec import load
from wrapgen.spec.model import Spec
from wrapgen.spec.target import NESTED
from wrapgen.spec.validate import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*/spec.yaml"))
ITEM_ERRORS = (
    ("InputError", "no", "the item does not follow the protocol or `item_schema`; 400, 422 and the like"),
    ("TooLargeError", "no", "the request is over `limits.request_bytes`, or 413"),
    ("UnsupportedError", "no", "415"),
    ("EntityNotFoundError", "no", "404 of an endpoint for this item, while others succeed"),
    (
        "AuthenticationError",
        "yes",
        "401, or 403 for everyone: the call stops; of one item alone, 403 is final",
    ),
    ("PaymentRequiredError", "yes", "402, or a quota that is used up: the call stops"),
    ("TooManyRequests", "yes", "429, or the rate of the spec: waited out, no attempt"),
    ("ServerError", "yes", "5xx; 503 is no attempt, and final for an item that alone gets it in three sends"),
    ("TimeoutError", "yes", "no answer within `dispatch.item_timeout`; 408, 504"),
    ("ConnectionError", "yes", "no connection, or one that broke"),
    ("DeadlineExceeded", "yes", "the time of the call ran out"),
    (
        "ParsingError",
        "no",
        "the answer holds no result for the item; retryable where it can't be read at all",
    ),
    ("ResultError", "yes", "the result does not fit `result_schema`; it is asked for again"),
    ("LengthError", "no", "a chat's answer was cut off at its limit of tokens (`finish_reason: length`)"),
    ("ContentFilterError", "no", "a chat's answer was withheld (`finish_reason: content_filter`)"),
    ("BudgetExceeded", "yes", "the next request could cost more than this call may spend: the call stops"),
    ("VersionChanged", "yes", "the endpoint reports another version than at the beginning, with `run --pin`"),
    ("AlgorithmError", "no", "the target's own error without a type of its own"),
    ("DatastoreError", "yes", "the datastore was unavailable: the call fails, and is sent again whole"),
    ("RecordError", "no", "the datastore refuses this item's record"),
)
"""Of each type of an item's error: whether sending it again can help, and what happened."""

AGAIN = "<!-- made by `make derived`; edit {source} instead -->"


def placements() -> list[Placement]:
    """What it takes to make each committed wrapper what its example generates."""
    found = []
    for path in EXAMPLES:
        spec = load(path)
        found.append(Placement.of(generate(spec), ROOT / "generated" / spec.wrapper.algorithm_name))
    return found


def pages() -> dict[Path, str]:
    """The text of every derived page, and of every page with a derived table, by path."""
    docs = ROOT / "docs"
    spec_page, templates_page, trust = docs / "spec.md", docs / "templates.md", docs / "trust.md"
    return {
        docs / "cli.md": cli_page(),
        docs / "errors.md": errors_page(),
        spec_page: with_table(spec_page.read_text("utf-8"), "keys", keys_table()),
        templates_page: with_table(templates_page.read_text("utf-8"), "values", values_table()),
        trust: with_table(trust.read_text("utf-8"), "mutants", mutants_table()),
    }


def mutants_table() -> str:
    """The faults that are planted into the code, and within how many seeds each is noticed."""
    sys.path.insert(0, str(ROOT / "tests"))
    from simulation.mutants import MUTANTS

    rows = [f"| {name} | {mutant.seeds} |" for name, mutant in MUTANTS.items()]
    return "\n".join(["| planted fault | within seeds |", "| --- | ---: |", *rows])


def cli_page() -> str:
    """docs/cli.md: the help of every command, as it is printed."""
    parts = ["# Commands", AGAIN.format(source="the command's help"), _help(cli, "wrapgen")]
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, name
        parts += _helps(command, f"wrapgen {name}", "##")
    return "\n\n".join(parts) + "\n"


def _helps(command: click.Command, name: str, level: str) -> list[str]:
    """The help of a command and of all below it."""
    parts = [f"{level} {name}", _help(command, name)]
    if isinstance(command, click.Group):
        for below in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), below)
            assert inner is not None
            parts += _helps(inner, f"{name} {below}", f"{level}#")
    return parts


def _help(command: click.Command, name: str) -> str:
    widths = {"max_content_width": 100, "terminal_width": 100}
    context = click.Context(command, info_name=name, **widths, **cli.context_settings)
    return f"```text\n{command.get_help(context).rstrip()}\n```"


def errors_page() -> str:
    """docs/errors.md: each error with its exit code and whether trying again can help; the tree as drawn."""
    rows = ["| code | exit | retryable | what happened |", "| --- | --- | --- | --- |"]
    for error in all_errors():
        said = (
            inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        )
        rows.append(f"| `{error.code}` | {error.exit_code} | {'yes' if error.retryable else 'no'} | {said} |")
    parts = [
        "# Errors and exit codes",
        AGAIN.format(source="`wrapgen/errors.py`"),
        "A command that fails prints one message and a hint on standard error; with `--json`, it\n"
        'prints `{"error": {"code", "message", "hint", "retryable"}}` on standard output.',
        "## Exit codes",
        exits_table(),
        "## Errors",
        "*Retryable* means that the same command may well succeed a little later.",
        "\n".join(rows),
        "The tree, as in the source:",
        f"```text\n{drawn_tree()}\n```",
        "## Errors of items",
        "What `$error` and records say of an item; [the item protocol](item-protocol.md) says when. An\n"
        "algorithm's own types, and those that `target.errors` names, come beside these.",
        "\n".join(
            ["| type | retryable | what happened |", "| --- | --- | --- |"]
            + [f"| `{name}` | {again} | {said} |" for name, again, said in ITEM_ERRORS]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def exits_table() -> str:
    """Every exit code of every command, with what it says."""
    meanings = {0: "success", 1: "`wrapgen doctor` found a fault", 130: "stopped by Ctrl-C"}
    for error in all_errors():
        if error.exit_code != 1:
            codes = [one.code for one in all_errors() if one.exit_code == error.exit_code]
            meanings[error.exit_code] = ", ".join(f"`{code}`" for code in codes)
    for state, code in EXIT_CODES.items():
        if code:
            said = WORDS[state.value].partition(": ")
            meanings[code] = f"`wrapgen run` ended `{state.value}`: {said[2] or said[0]}"
    meanings[FAULTS] = "`wrapgen verify` found something missing, doubled or altered"
    rows = [f"| {code} | {meanings[code]} |" for code in sorted(meanings)]
    return "\n".join(["| exit code | says |", "| --- | --- |", *rows])


def all_errors() -> list[type[errors.WrapgenError]]:
    """Every class of the error tree, in the order of the file."""
    found = [error for error in vars(errors).values() if inspect.isclass(error)]
    return [error for error in found if issubclass(error, errors.WrapgenError)]


def drawn_tree() -> str:
    """The tree as the module's docstring draws it."""
    lines = (errors.__doc__ or "").splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines if line.startswith("    "))


def keys_table() -> str:
    """Every key of a spec with its values, its default and its meaning."""
    rows = ["| key | values or example | default | meaning |", "| --- | --- | --- | --- |"]
    schema = Spec.model_json_schema()
    for name, field in Spec.model_fields.items():
        if name not in SECTIONS:
            rows.append(_key_row(name, field, schema["properties"][name]))
            continue
        facts = schema["$defs"][SECTIONS[name].__name__]["properties"]
        for key, inner in SECTIONS[name].model_fields.items():
            rows.append(_key_row(f"{name}.{key}", inner, facts[key]))
            if name == "target" and key in NESTED:
                rows += _nested_rows(f"{name}.{key}", NESTED[key], schema)
    return "\n".join(rows)


def _nested_rows(name: str, section: type[BaseModel], schema: dict[str, Any]) -> list[str]:
    """The keys of a section inside `target`; `[]` stands for each element of a list."""
    name += "[]" if name.endswith(("errors", "inputs")) else ""
    facts = schema["$defs"][section.__name__]["properties"]
    rows: list[str] = []
    for key, inner in section.model_fields.items():
        rows.append(_key_row(f"{name}.{key}", inner, facts[key]))
        if key in NESTED:
            rows += _nested_rows(f"{name}.{key}", NESTED[key], schema)
    return rows


def _key_row(name: str, field: FieldInfo, facts: dict[str, object]) -> str:
    default = "required" if field.is_required() else _default(field.get_default())
    meaning = (field.description or "").replace("|", "\\|")
    return f"| `{name}` | {_values(facts)} | {default} | {meaning} |"


def _default(value: object) -> str:
    if value is None:
        return ""
    return "`[]`" if value == () else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(facts: dict[str, object]) -> str:
    """What a key may be, in a few words, from its schema."""
    for branch in facts.get("anyOf", []):  # type: ignore[attr-defined]
        if branch.get("type") != "null":
            return _values(branch)
    if "const" in facts:
        return f"`{facts['const']}`"
    if "enum" in facts:
        return ", ".join(f"`{value}`" for value in facts["enum"])  # type: ignore[attr-defined]
    if facts.get("type") == "integer":
        return f"{facts['minimum']:,} to {facts['maximum']:,}" if "minimum" in facts else "whole number"
    if facts.get("type") == "boolean":
        return "`true`, `false`"
    if facts.get("type") == "array":
        return f"list of {_values(facts['items'])}"  # type: ignore[arg-type]
    examples = facts.get("examples")
    return ", ".join(f"`{example}`" for example in examples) if examples else "any value"  # type: ignore[attr-defined]


def values_table() -> str:
    """Every value that a template gets, from the docstring of the context."""
    rows = ["| name | what it is |", "| --- | --- |"]
    for line in (context.__doc__ or "").splitlines():
        names, _, meaning = line.strip().partition("   ")
        if line.startswith("    ") and meaning:
            listed = ", ".join(f"`{name}`" for name in names.split(", "))
            escaped = meaning.strip().replace("|", "\\|")
            rows.append(f"| {listed} | {escaped} |")
    return "\n".join(rows)


def with_table(page: str, name: str, table: str) -> str:
    """A page with the table between its two markers replaced."""
    before, _, rest = page.partition(f"<!-- {name} -->\n")
    _, _, after = rest.partition(f"<!-- /{name} -->")
    return f"{before}<!-- {name} -->\n{table}\n<!-- /{name} -->{after}"


def _golden() -> None:
    path = ROOT / "tests" / "golden" / "golden.py"
    spec = importlib.util.spec_from_file_location("golden", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write()


def write() -> None:
    """Writes everything that is derived."""
    _golden()
    for placement in placements():
        placement.write(force=True)
        print(f"{placement.folder.relative_to(ROOT)}: {len(placement.changes)} files changed")
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(write())
