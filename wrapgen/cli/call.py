"""`wrapgen call`: one input, one result."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli import completion
from wrapgen.cli.hosting import hosting
from wrapgen.cli.options import FILE, PlatformChoice, json_option, number_option, platform_options
from wrapgen.cli.terminal import data, err
from wrapgen.errors import AlgorithmFailed, NotFound, UsageError
from wrapgen.references import is_path, is_service

if TYPE_CHECKING:
    from wrapgen.client import Client
    from wrapgen.protocol import Answer

CONTENT_TYPES = {"text": "text/plain", "json": "application/json", "binary": "application/octet-stream"}


@click.command()
@click.argument("reference", metavar="REF", shell_complete=completion.references_and_files)
@click.argument("value", metavar="[INPUT]", required=False)
@click.option("-f", "--file", type=FILE, help="Read the input from here.")
@click.option("-t", "--text", "kind", flag_value="text", default=True, help="Send it as text. [default]")
@click.option("-j", "--json-input", "kind", flag_value="json", help="Send it as the JSON that it is.")
@click.option("-b", "--binary", "kind", flag_value="binary", help="Send it as bytes.")
@click.option(
    "-d", "--data", "kind", flag_value="detect", help="Send it as JSON if it is JSON, else as text."
)
@number_option("--timeout", 300, 1, 3000, help="Seconds.")
@click.option("--stdout", "show_stdout", is_flag=True, help="Show on stderr what the algorithm prints.")
@click.option("-o", "--output", type=FILE, help="Write the result here.")
@json_option("Print result and metadata as one JSON object.")
@platform_options
def command(
    reference: str,
    value: str | None,
    file: Path | None,
    kind: str,
    timeout: int,
    show_stdout: bool,
    output: Path | None,
    as_json: bool,
    platform: PlatformChoice,
) -> None:
    """Call the algorithm REF (owner/name/1.2.3) with one INPUT, a --file or what comes on stdin.

    A spec in place of REF (spec.yaml, or a folder such as ./) is executed by a process of this machine; a URL
    is a served wrapper's.
    """
    body, content_type = _input(value, file, kind)
    if is_path(reference) or is_service(reference):
        with hosting(reference, platform) as hosted, TemporaryFile() as log:
            try:
                found = hosted.call(body, content_type, timeout, log)
            finally:
                if show_stdout:
                    log.seek(0)
                    data([log.read()], sys.stderr)
        _write(_whole(found) if as_json else found.result, output)
        return
    with platform.client() as client:
        options = {"timeout": timeout, "stdout": show_stdout, "content_type": content_type}
        try:
            answer = _call(client, reference, body, options)
        except AlgorithmFailed as error:
            if show_stdout and error.stacktrace and not as_json:
                err(error.stacktrace)
            raise
    if show_stdout and answer.metadata.get("stdout"):
        data([str(answer.metadata["stdout"]).encode("utf-8", "replace")], sys.stderr)
    result = _whole(answer) if as_json else answer.result
    _write(result, output)


def _call(client: Client, reference: str, body: bytes, options: dict[str, Any]) -> Answer:
    """The answer; without a version, the newest release answers, as in a run: private ones count too.

    Raises:
        NotFound: there is no such algorithm or version.
        UsageError: it has no release yet.
    """
    from wrapgen.client import Reference
    from wrapgen.run.hosts.lookup import resolve

    try:
        return client.call(reference, body, **options)
    except NotFound as error:
        parsed = Reference.parse(reference)
        error.hint = error.hint or f"list its versions with: wrapgen doctor {parsed.path}"
        if parsed.version is not None:
            raise
    exact = resolve(reference, client.released)
    return client.call(exact, body, **options)


def _input(value: str | None, file: Path | None, kind: str) -> tuple[bytes, str]:
    """The input's bytes and content type.

    Raises:
        UsageError: there is no input or more than one, or it is not what the option says.
    """
    if value is not None and file is not None:
        raise UsageError("give an input or a --file, not both")
    if file is not None:
        try:
            body = file.read_bytes()
        except OSError as error:
            raise UsageError(f"can't read {file}: {error.strerror}") from error
    elif value is not None and value != "-":
        body = value.encode("utf-8", "surrogateescape")
    elif value is None and sys.stdin.isatty():
        raise UsageError("no input", hint="give it as an argument, with --file, or on stdin")
    else:
        body = sys.stdin.buffer.read()
    return body, CONTENT_TYPES[_kind(body, kind)]


def _kind(body: bytes, kind: str) -> str:
    if kind == "binary":
        return kind
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError("the input is not UTF-8 text", hint="send bytes with --binary") from error
    if kind == "text":
        return kind
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        if kind == "detect":
            return "text"
        raise UsageError(
            f"the input is not JSON: {error}", hint="leave --json-input out to send text"
        ) from error
    return "json"


def _whole(answer: Answer) -> dict[str, Any]:
    result = answer.result
    if isinstance(result, bytes):
        result = base64.b64encode(result).decode("ascii")
    return {"result": result, "metadata": answer.metadata}


def _write(result: Any, output: Path | None) -> None:
    if isinstance(result, bytes):
        content = result
    else:
        text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
        content = text.encode("utf-8", "surrogatepass") + (b"" if output is not None else b"\n")
    if output is not None:
        try:
            output.write_bytes(content)
        except OSError as error:
            raise UsageError(f"can't write {output}: {error.strerror}") from error
    elif isinstance(result, bytes) and sys.stdout.isatty():
        raise UsageError("the result is binary", hint="write it to a file with --output")
    else:
        data([content])
