"""`wrapgen init`: write a commented spec, from flags or by asking; or the folder of a new algorithm."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from wrapgen.cli.options import PlatformChoice, json_option, platform_options
from wrapgen.cli.terminal import answer, err
from wrapgen.errors import NoCredentials, PlatformError, SpecError, UsageError

if TYPE_CHECKING:
    from wrapgen.client import Client

MODES = ("batch", "log", "both")


@dataclass
class Learned:
    """What is known of a target: its reference or an endpoint's keys, examples, and lines for a comment."""

    reference: str | dict[str, Any]
    examples: list[Any] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@click.command("init")
@click.argument("path", metavar="[SPEC|FOLDER]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--algorithm", metavar="OWNER/NAME", help="Write an algorithm's folder, ready to publish, and no spec."
)
@click.option(
    "--target", metavar="REF", help="What to wrap: owner/name[/version], or a folder like ./my_algorithm."
)
@click.option("--endpoint", metavar="URL", help="Wrap a model behind HTTP: the server is asked what it is.")
@click.option("--bearer-env", metavar="NAME", help="With --endpoint: the variable with its bearer token.")
@click.option("--name", metavar="OWNER/NAME", help="The wrapper's name.")
@click.option("--mode", type=click.Choice(MODES), help="batch: nothing recorded; log: every call; both.")
@click.option("--datastore", metavar="URL", help="Where records go; not in mode batch.")
@click.option(
    "--look-up/--no-look-up", default=None, help="Ask the platform about the target. [if one is configured]"
)
@click.option("--force", is_flag=True, help="Write over a spec that is there.")
@json_option()
@platform_options
def command(
    path: Path | None,
    algorithm: str | None,
    target: str | None,
    endpoint: str | None,
    bearer_env: str | None,
    name: str | None,
    mode: str | None,
    datastore: str | None,
    look_up: bool | None,
    force: bool,
    as_json: bool,
    platform: PlatformChoice,
) -> None:
    """Write a commented spec to SPEC [spec.yaml]. On a terminal it asks for what is not given.

    With --endpoint, ask the server instead: for its models, their metadata, or an OpenAPI document.
    With --algorithm, write the files of a new algorithm to FOLDER [its name].
    """
    if algorithm is not None:
        if target or endpoint or name or mode or datastore:
            raise UsageError(
                "--algorithm writes no spec", hint="leave out --target, --name, --mode, --datastore"
            )
        _write_algorithm(algorithm, path, as_json)
        return
    spec = path or Path("spec.yaml")
    if spec.exists() and not force:
        raise UsageError(f"{spec} is there already", hint="give another name, or --force to write over it")
    if endpoint is not None:
        if target:
            raise UsageError("--endpoint and --target are two targets", hint="give one of them")
        learned = _ask_server(endpoint, bearer_env)
        name, mode = name or _named(learned.reference), mode or "both"
        datastore = datastore or (None if mode == "batch" else "./records")
        _finish(spec, learned, name, mode, datastore, as_json)
        return
    target = target or _ask("--target", "What to wrap (owner/name/version, or a folder like ./my_algorithm)")
    learned = _look_up(target, look_up, platform)
    name = name or _ask("--name", "The wrapper's name (owner/Name)")
    mode = mode or _ask("--mode", "Mode", type=click.Choice(MODES), default="both")
    if datastore is None and mode != "batch":
        owner = name.partition("/")[0]
        datastore = _ask("--datastore", "Where records go", default=f"data://{owner}/records")
    _finish(spec, learned, name, mode, datastore, as_json)


def _finish(spec: Path, learned: Learned, name: str, mode: str, datastore: str | None, as_json: bool) -> None:
    """Writes the spec, and says what is next."""
    _write(spec, learned, name, mode, datastore)
    facts = {"path": str(spec), "target": learned.reference, "learned": learned.lines}
    then = "build" if isinstance(learned.reference, str) else "doctor"
    said = [*([] if isinstance(learned.reference, str) else learned.lines)]
    answer(facts, as_json, *said, f"{spec}: written; next: wrapgen check {spec}, wrapgen {then} {spec}")


def _ask_server(url: str, bearer_env: str | None) -> Learned:
    """What the server of an endpoint says of itself.

    Raises:
        UsageError: it is no URL, or the variable is not set.
        Unreachable: no answer came.
    """
    from wrapgen.doctor.discovery import asking, discover
    from wrapgen.spec.names import Refused
    from wrapgen.spec.target import check_endpoint

    try:
        check_endpoint(url)
    except Refused as error:
        raise UsageError(error.message, hint=error.hint) from error
    token = os.environ.get(bearer_env, "") if bearer_env else ""
    if bearer_env and not token:
        raise UsageError(f"the variable {bearer_env} is not set", hint="put the token there")
    found = discover(url, asking(token))
    target = {**found.target, **({"auth": {"bearer_env": bearer_env}} if bearer_env else {})}
    return Learned(target, [found.example] if found.example is not None else [], found.lines)


def _named(target: str | dict[str, Any]) -> str:
    """A name for the wrapper of an endpoint: after its model, else after the last part of its path."""
    facts = target if isinstance(target, dict) else {}
    text = str(facts.get("model") or urlsplit(str(facts.get("endpoint"))).path.rpartition("/")[2])
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(word[:1].upper() + word[1:] for word in words)[:40]
    return f"local/{name if name[:1].isalpha() else 'Endpoint' + name}"


def _write_algorithm(algorithm: str, path: Path | None, as_json: bool) -> None:
    from wrapgen.build.new_spec import starting_algorithm

    made = starting_algorithm(algorithm)
    folder = path or Path(algorithm.rpartition("/")[2])
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                f"{folder} is there already", hint="name a folder that is empty or not there yet"
            )
        made.write(folder)
    except OSError as error:
        raise UsageError(f"{folder} can't be written: {error.strerror}") from error
    facts = {"path": str(folder), "files": list(made)}
    answer(facts, as_json, f"{folder}: written; next: wrapgen publish {folder}")


def _ask(flag: str, question: str, **options: Any) -> str:
    """The user's answer.

    Raises:
        UsageError: nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{flag} is missing, and there is no terminal to ask on", hint=f"give {flag}")
    answer: str = click.prompt(question, err=True, **options)
    return answer


def _write(spec: Path, learned: Learned, name: str, mode: str, datastore: str | None) -> None:
    from wrapgen.build.new_spec import starting_spec  # not at the top: --help must stay quick
    from wrapgen.spec import parse

    text = starting_spec(
        target=learned.reference,
        wrapper=name,
        mode=mode,
        datastore=datastore,
        examples=learned.examples,
        learned=learned.lines,
    )
    try:
        parse(text.encode("utf-8"), str(spec))
    except SpecError as error:
        said = "\n".join(f"  {problem.message}; {problem.hint}" for problem in error.problems)
        raise UsageError(f"not a valid spec:\n{said}") from error
    try:
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{spec} can't be written: {error.strerror}") from error


def _look_up(target: str, wanted: bool | None, platform: PlatformChoice) -> Learned:
    """What the platform knows of a target; just the reference where there is none and none was wanted."""
    if wanted is False or target.startswith("."):
        return Learned(target)
    try:
        with platform.client() as client:
            return _learn(client, target)
    except NoCredentials:
        if wanted:
            raise
        return Learned(target)
    except PlatformError as error:
        if wanted:
            raise
        err(f"the platform says nothing of {target}: {error.message}")
        return Learned(target)


def _learn(client: Client, target: str) -> Learned:
    """The newest release where the reference names none, the summary, and the sample input as an example."""
    from wrapgen.client import Reference

    reference = Reference.parse(target)
    content = client.algorithms.get(reference.path)
    released = client.released(reference.path)
    lines = [f"looked up at {client.connection.address}"]
    summary = (content.get("details") or {}).get("summary") or (content.get("details") or {}).get("tagline")
    if summary:
        lines.append(f"{reference.path}: {summary}"[:100])
    if released:
        lines.append(f"newest release: {released[0]}")
    named = str(reference) if reference.version or not released else f"{reference.path}/{released[0]}"
    sample = (content.get("version_info") or {}).get("sample_input")
    return Learned(named, [_read(sample)] if sample else [], lines)


def _read(sample: Any) -> Any:
    """A sample input as an item: the platform keeps it as text, mostly of JSON."""
    try:
        return json.loads(sample) if isinstance(sample, str) else sample
    except ValueError:
        return sample
