"""`wrapgen doctor` on a real platform: each fault is one line that says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wrapgen.client import Client, Connection
from wrapgen.doctor import Level, examine
from wrapgen.doctor.algorithm import concurrency, times
from wrapgen.publish import Project
from wrapgen.spec import load

TARGET = "acme/DoctorTarget"


def answer(**facts: object) -> str:
    """The source of an `apply` that describes itself as a wrapper does."""
    told = {
        "protocol": 1,
        "mode": "both",
        "spec": "sha256:" + "0" * 64,
        "target": f"{TARGET}/0.1.0",
        "limits": {"timeout": 300, "request_bytes": 10_000_000, "parallel": 8, "attempts": 3},
        "datastore": {"url": "data://acme/doctor"},
        **facts,
    }
    return repr({"$results": [], "$summary": {"items": 0, "stopped": None, "wrapper": told}})


@pytest.fixture
def target(make, publisher, client: Client) -> str:
    """A target that is released, and the collection for the records."""
    if not client.data.exists("data://acme/doctor"):
        publisher(make("1", name="DoctorTarget"))
        client.data.create("data://acme/doctor")
    return f"{TARGET}/0.1.0"


@pytest.fixture
def found(client: Client):
    """Examines a reference or a spec; gives faults and unchecked things by what they are about."""

    def look(subject: object, environ: dict[str, str] | None = None, by: Client = client) -> dict[str, str]:
        if isinstance(subject, Path):
            findings = list(examine.spec(by, load(subject), environ or {}))
        else:
            findings = list(examine.reference(by, str(subject), environ or {}))
        assert all(f.hint for f in findings if f.level is Level.FAULT)
        assert all("\n" not in f.message + f.hint for f in findings)
        return {f.what: f.level.value for f in findings if f.level is not Level.OK}

    return look


def test_a_wrapper_that_works_has_no_faults(make, publisher, found, target) -> None:
    """Key, versions, pipeline, target and collection are all looked at and right."""
    assert found(publisher(make(answer())).reference) == {}


def test_nothing_is_left_in_the_collection(make, publisher, found, target, client: Client) -> None:
    """The file that proves the right to write is removed again."""
    found(publisher(make(answer())).reference)
    assert [f.name for f in client.data.files("data://acme/doctor") if "doctor-" in f.name] == []


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({"target": "acme/Nowhere/1.0.0"}, "target"),
        ({"target": f"{TARGET}/9.9.9"}, "target"),
        ({"datastore": {"url": "data://acme/nowhere"}}, "collection"),
        ({"datastore": {"url": "data://nobody/nowhere"}}, "collection"),
        ({"protocol": 99}, "wrapper"),
        ({"limits": {"parallel": 80}}, "concurrency"),
        ({"limits": {"timeout": 60, "item_timeout": 61}}, "limits"),
    ],
)
def test_each_fault_of_a_wrapper_is_found(make, publisher, found, target, facts, fault: str) -> None:
    """What would fail in a run is named before it."""
    assert found(publisher(make(answer(**facts))).reference) == {fault: "fault"}


def test_an_algorithm_that_is_no_wrapper_is_told(make, publisher, found) -> None:
    """What does not describe itself can't be run."""
    assert found(publisher(make("input")).reference) == {"wrapper": "fault"}


def test_missing_algorithms_and_versions_are_told(make, publisher, found) -> None:
    """The first thing that is not there ends the examination."""
    assert found("acme/NoSuchThing") == {"algorithm": "fault"}
    reference = publisher(make(answer())).reference
    assert found(reference.replace("0.1.0", "7.7.7")) == {"version": "fault"}


def test_an_algorithm_that_may_not_call_others_is_told(make, publisher, found, client, target) -> None:
    """Without the pipeline setting every item would fail."""
    reference = publisher(make(answer())).reference
    client.algorithms.update(reference.rpartition("/")[0], settings={"pipeline_enabled": False})
    assert found(reference) == {"pipeline": "fault"}


def test_a_wrong_key_ends_the_examination(client: Client, found) -> None:
    """With a key that nobody knows, nothing else can be said."""
    wrong = Client(Connection(client.connection.address, "sim" + "y" * 25, "a test"))
    assert found("acme/Any", by=wrong) == {"key": "fault"}


def test_a_spec_is_examined_before_it_is_published(make, found, write_spec, target) -> None:
    """A spec whose wrapper is not there yet says what is missing and what is right."""
    spec = write_spec(make("1"), "data://acme/doctor", target=target)
    assert found(spec) == {"algorithm": "fault"}
    spec = write_spec(make("1"), "data://acme/doctor", target=f"{TARGET}/3.0.0")
    assert found(spec) == {"algorithm": "fault", "target": "fault"}


def test_a_wrapper_from_another_spec_is_told(make, publisher, found, write_spec, target) -> None:
    """The published wrapper and the spec at hand are compared by digest."""
    folder = make(answer())
    spec = write_spec(folder, "data://acme/doctor", target=target)
    publisher(folder)
    assert found(spec) == {"spec": "fault"}


def test_the_writers_key_is_looked_at(make, publisher, found, write_spec, client, target) -> None:
    """With key_env, the platform's secret and the key itself are looked at, as far as they can be seen."""
    folder = make("1")
    spec = write_spec(folder, "data://acme/doctor", datastore="  key_env: DOCTOR_KEY\n", target=target)
    digest = load(spec).digest
    source = next(p for p in (folder / "src").iterdir() if p.name != "__init__.py")
    source.write_text(f"def apply(input):\n    return {answer(spec=digest)}\n")
    publisher(folder, try_cases=False)
    assert found(spec) == {"key_env": "fault", "collection": "not checked"}
    name = str(Project.read(folder).reference)
    client.algorithms.set_secret(name, "DOCTOR_KEY", client.connection.key)
    assert found(spec) == {"collection": "not checked"}
    assert found(spec, {"DOCTOR_KEY": client.connection.key}) == {}
    assert found(spec, {"DOCTOR_KEY": "sim" + "z" * 25}) == {"collection": "fault"}


def test_a_file_of_credentials_is_looked_at(make, found, write_spec, client: Client, target) -> None:
    """The private file must be there, hold the variables, be its owner's only; another's can't be seen."""
    url = "data://acme/doctorprivate/credentials.json"
    datastore = f"  key_env: FILE_KEY\n  credentials: {url}\n"
    spec = write_spec(make("1"), "data://acme/doctor", datastore=datastore, target=target)
    rest = {"algorithm": "fault", "collection": "not checked"}
    assert found(spec) == {**rest, "credentials": "fault", "key_env": "fault"}
    client.data.create("data://acme/doctorprivate")
    client.data.put(url, b'{"FILE_KEY": "sim"}')
    assert found(spec) == rest
    client.data.put(url, b"[]")
    assert found(spec) == {**rest, "credentials": "fault", "key_env": "fault"}
    client.data.create("data://acme/doctorpublic", read=["user://*"])
    client.data.put("data://acme/doctorpublic/credentials.json", b'{"FILE_KEY": "sim"}')
    spec.write_text(spec.read_text().replace("doctorprivate", "doctorpublic"))
    assert found(spec) == {**rest, "credentials": "fault"}
    spec.write_text(spec.read_text().replace("acme/doctorpublic", "somebody/private"))
    assert found(spec) == {**rest, "credentials": "not checked", "key_env": "not checked"}


def test_the_command_says_it_line_by_line(wrapgen, make, publisher, target) -> None:
    """Exit code 1 with faults, 0 without; --json for scripts."""
    good = publisher(make(answer(), name="DoctorGood")).reference
    done = wrapgen("doctor", good)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no faults" in done.stdout
    bad = wrapgen("doctor", "acme/NoSuchThing", "--json")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["faults"] == 1


def test_limits_that_can_not_hold_are_told() -> None:
    """An item that may outlast its call, and calls that exceed the account's."""
    assert times(60, 60).level is Level.OK
    assert times(60, 61).level is Level.FAULT
    assert concurrency(8).level is Level.OK
    assert concurrency(90).level is Level.FAULT
