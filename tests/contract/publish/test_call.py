"""`wrapgen call` and `wrapgen records` against a real platform, as a user types them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from wrapgen.cli.main import main
from wrapgen.client import Client


@pytest.fixture
def wrapgen(home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs a command inside this process: nothing here depends on a process of its own."""

    def run(*words: str, given: str = "", env: dict[str, str] | None = None) -> CompletedProcess[str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        code = main([*words, "--home", str(home)])
        return CompletedProcess(words, code, *capfd.readouterr())

    return run


@pytest.fixture
def echo(make, publisher) -> str:
    """An algorithm that tells what kind of input it got."""
    return publisher(make("[type(input).__name__, str(input)]", name="Echo")).reference


@pytest.mark.parametrize(
    ("words", "given", "answer"),
    [
        (["I like it"], None, ["str", "I like it"]),
        (["5"], None, ["str", "5"]),
        (["-j", "5"], None, ["int", "5"]),
        (["5", "--json-input"], None, ["int", "5"]),
        (["-d", "5"], None, ["int", "5"]),
        (["-d", "five"], None, ["str", "five"]),
        (["-t", '{"a": 1}'], None, ["str", '{"a": 1}']),
        ([], b"from stdin\n", ["str", "from stdin\n"]),
        (["-"], b"from stdin", ["str", "from stdin"]),
        (["-j"], b"[1]", ["list", "[1]"]),
        (["-j", "null"], None, ["NoneType", "None"]),
    ],
)
def test_an_input_is_sent_as_its_option_says(wrapgen, echo: str, words, given, answer) -> None:
    """Text by default, JSON or detected on request, from the argument or from stdin."""
    done = wrapgen("call", echo, *words, given=(given or b"").decode())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == answer


def test_bytes_go_in_and_out_by_files(wrapgen, make, publisher, tmp_path: Path) -> None:
    """--file, --binary and --output carry bytes unchanged."""
    reference = publisher(make("bytes(reversed(input))", name="Reversed")).reference
    (tmp_path / "in").write_bytes(bytes(range(256)))
    done = wrapgen("call", reference, "-b", "-f", str(tmp_path / "in"), "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == bytes(reversed(range(256)))


def test_metadata_and_printed_output_can_be_asked_for(wrapgen, make, publisher) -> None:
    """--json shows the metadata; --stdout shows what the algorithm printed."""
    reference = publisher(make("print('printed') or 1", name="Prints")).reference
    done = wrapgen("call", reference, "x", "--stdout", "--json")
    assert json.loads(done.stdout)["result"] == 1
    assert json.loads(done.stdout)["metadata"]["content_type"] == "json"
    assert "printed" in done.stderr


def test_an_algorithms_failure_has_its_own_exit_code(wrapgen, make, publisher) -> None:
    """The algorithm's type and message on stderr, exit code 6."""
    reference = publisher(make("1 / 0", name="Fails")).reference
    done = wrapgen("call", reference, "x")
    assert done.returncode == 6
    assert "division by zero" in done.stderr
    assert json.loads(wrapgen("call", reference, "x", "--json").stdout)["error"]["code"] == "algorithm-failed"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nobody/Nothing/1.0.0", "x"], 5),
        (["not a reference", "x"], 2),
        (["acme/Echo", "-j", "{"], 2),
        (["acme/Echo", "x", "-f", "y"], 2),
        (["acme/Echo", "-f", "/nowhere"], 2),
        (["acme/Echo", "x", "--timeout", "0"], 2),
    ],
)
def test_a_mistake_is_one_line_and_a_code(wrapgen, words: list[str], code: int) -> None:
    """Bad words never end in a traceback."""
    done = wrapgen("call", *words)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_a_private_release_answers_without_its_version(wrapgen, echo: str) -> None:
    """Without a version the newest release is called, as in a run; a name that is none says where to look."""
    name = echo.rpartition("/")[0]
    done = wrapgen("call", name, "x")
    assert done.returncode == 0, done.stderr
    assert done.stdout == wrapgen("call", echo, "x").stdout
    missing = wrapgen("call", f"{name}Missing", "x")
    assert (missing.returncode, "404" in missing.stderr) == (5, True), missing.stderr


def record(key: str, **rest: object) -> bytes:
    line = {"run": "r", "id": key, "index": int(key), "try": 1, **(rest or {"result": key})}
    return json.dumps(line).encode() + b"\n"


@pytest.fixture(scope="session")
def recorded(home: Path) -> str:
    """A collection with two objects of a run."""
    from wrapgen.client import connect

    url = "data://local/recorded"
    with connect(home=home) as client:
        client.data.create(url)
        name = f"{url}/r-{0:012d}-{'a' * 12}-t{{}}-p0.jsonl"
        error = {"type": "T", "message": "m", "retryable": True}
        client.data.put(name.format(1), record("0") + record("1", error=error))
        client.data.put(name.format(2), record("1", result="late"))
    return url


def test_records_come_back_each_key_once(wrapgen, recorded: str, tmp_path: Path) -> None:
    """JSON Lines by default, an array with --json, a file with -o, a number with --count."""
    lines = [json.loads(line) for line in wrapgen("records", recorded).stdout.splitlines()]
    assert [(each["id"], each["result"]) for each in lines] == [("0", "0"), ("1", "late")]
    assert json.loads(wrapgen("records", recorded, "--json").stdout) == lines
    assert wrapgen("records", recorded, "--count").stdout == "2\n"
    facts = json.loads(wrapgen("records", recorded, "--run", "r", "--count", "--json").stdout)
    assert (facts["count"], facts["results"], facts["lines"]) == (2, 2, 3)
    done = wrapgen("records", recorded, "-o", str(tmp_path / "out.jsonl"))
    assert done.returncode == 0
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == lines
    assert wrapgen("records", recorded, "--run", "other", "--json").stdout == "[]\n"


def test_a_spec_stands_for_its_datastore(wrapgen, recorded: str, tmp_path: Path) -> None:
    """`wrapgen records spec.yaml` reads the spec's URL, or the one in its variable."""
    text = "version: 1\ntarget: {algorithm: a/B/1.0.0}\nwrapper: {name: c/D, mode: log}\ndatastore: {%s}\n"
    spec = tmp_path / "spec.yaml"
    spec.write_text(text % f"url: {recorded}")
    assert wrapgen("records", str(spec), "--count").stdout == "2\n"
    spec.write_text(text % "url_env: RECORDS_URL")
    done = wrapgen("records", str(spec))
    assert done.returncode == 2
    assert "RECORDS_URL" in done.stderr
    database = {"RECORDS_URL": f"sqlite:///{tmp_path}/none.db"}
    assert "none.db" in wrapgen("records", str(spec), env=database).stderr


def test_a_run_is_settled_by_the_command(wrapgen, client: Client) -> None:
    """--settle merges a run's objects and says what it did; the records stay."""
    url = "data://local/settled"
    client.data.create(url)
    for run in ("r", "s"):
        for n in range(5):
            line = record(str(n)).replace(b'"run": "r"', f'"run": "{run}"'.encode())
            client.data.put(f"{url}/{run}-{n:012d}-{'a' * 12}-t1-p0.jsonl", line)
    before = wrapgen("records", url).stdout
    done = wrapgen("records", url, "--run", "r", "--settle")
    assert done.stdout == "r: 5 records in 1 objects, 5 removed\n", done.stderr
    assert wrapgen("records", url).stdout == before
    facts = json.loads(wrapgen("records", url, "--settle", "--json").stdout)
    assert [(each["run"], each["removed"]) for each in facts["runs"]] == [("r", 0), ("s", 5)]
    assert wrapgen("records", url).stdout == before
    assert wrapgen("records", url, "--run", "nobody", "--settle").returncode == 5
    assert wrapgen("records", "sqlite:///x.db", "--settle").returncode == 2
    assert wrapgen("records", url, "--settle", "--count").returncode == 2


def test_a_missing_collection_is_not_an_empty_one(wrapgen) -> None:
    """A mistyped URL is told."""
    done = wrapgen("records", "data://local/mistyped")
    assert done.returncode == 5
    assert "mistyped" in done.stderr


@pytest.mark.soak
def test_many_objects_are_listed_over_pages(home: Path, client: Client, wrapgen) -> None:
    """More objects than one page of a listing are all read."""
    url = "data://local/manyobjects"
    client.data.create(url)
    for n in range(1100):
        client.data.put(f"{url}/r-{n:012d}-{'a' * 12}-t1-p0.jsonl", record(str(n)))
    assert wrapgen("records", url, "--count").stdout == "1100\n"
