"""Requests that schemathesis makes up from the published document: none may end in a fault of the server."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

NOBODY = "00000000-0000-4000-8000-000000000000"


def known(server: Any, algorithm: str) -> dict[str, list[str]]:
    """Values of path parameters that name something, so that requests get past the first look."""
    owner, name = algorithm.split("/")
    found = server.request("GET", f"/v1/algorithms/{algorithm}").json()
    (build,) = server.request("GET", f"/v1/algorithms/{algorithm}/builds").json()["results"][:1]
    return {
        "owner": [owner],
        "name": [name],
        "id": [found["id"], NOBODY],
        "version": ["0.1.0", "latest", "0.*"],
        "git_hash": [found["version_info"]["git_hash"]],
        "build_id": [build["build_id"]],
        "user": ["local", "jane"],
        "org": ["acme"],
        "scm": ["internal"],
        "language": ["python3"],
        "connector": ["data", "s3"],
        "path": [".my", ".my/kept", ".my/kept/file", "local/kept", ".algo/temp/x", ".session/x", "s3://b/c"],
    }


def attack(server: Any, values: dict[str, list[str]], examples: int) -> list[str]:
    """Sends so many requests to each operation, by turns with each key; those answered with a 5xx.

    Calls of algorithms get twenty at least, so that some of each kind reach the algorithm. No operation may
    be left out.
    """
    import schemathesis  # takes a second, which other files' tests need not pay

    document = server.request("GET", "/v1/openapi.json", "").json()
    schema = schemathesis.openapi.from_dict(document)
    operations = [each.ok() for each in schema.get_all_operations()]
    # What they make up for faults, and for connectors to storage that isn't there, is meant to make the
    # server answer 5xx: it comes last. And what deletes comes after all that needs what is there.
    operations.sort(key=lambda each: (_breaks(each.path), each.method.upper() == "DELETE", each.label))
    failed: list[str] = []
    statuses: dict[str, set[int]] = {each.label: set() for each in operations}
    for operation in operations:
        names = {each.name for each in operation.path_parameters}
        places = {name: st.sampled_from(values[name]) for name in sorted(names & values.keys())}
        strategy = operation.as_strategy()
        send = settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=max(examples, 20) if "/algo/" in operation.path else examples,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )(given(strategy, st.fixed_dictionaries(places), st.integers(0, 5))(one(server, failed, statuses)))
        with contextlib.suppress(schemathesis.errors.InvalidSchema):
            send()
    assert [label for label, seen in statuses.items() if not seen] == []
    calls = {label: seen for label, seen in statuses.items() if "/algo/" in label}
    assert len(calls) == 3
    assert [label for label, seen in calls.items() if 200 not in seen] == []
    return failed


def _breaks(path: str) -> bool:
    return path == "/v1/admin/faults" or (path.startswith("/v1/admin/") and "/connectors/" in path)


def one(
    server: Any, failed: list[str], statuses: dict[str, set[int]]
) -> Callable[[Any, dict[str, str], int], None]:
    """What sends one request and notes how it ended."""

    def send(case: Any, places: dict[str, str], turn: int) -> None:
        if turn % 3:  # two thirds name things that exist
            case.path_parameters = {**(case.path_parameters or {}), **places}
        key = server.admin_key if turn % 2 else server.key
        answer = case.call(server.address, headers={"Authorization": key}, timeout=60)
        statuses[case.operation.label].add(answer.status_code)
        if answer.status_code >= 500:
            failed.append(f"{answer.status_code} {case.method} {answer.request.url}: {answer.text[:200]}")

    return send


@pytest.fixture
def prepared(serve: Any, tmp_path: Path, publish: Any) -> tuple[Any, dict[str, list[str]]]:
    """A server with one of everything that requests may name."""
    server = serve(tmp_path / "home", "--workers", "2")
    source = tmp_path / "plain"
    (source / "src").mkdir(parents=True)
    (source / "algorithmia.conf").write_text('{"algoname": "Plain"}')
    (source / "src" / "__init__.py").write_text("")
    (source / "src" / "Plain.py").write_text("def apply(input):\n    return input\n")
    algorithm = publish(server, "Plain", source)
    admin, jane = server.admin_key, {"username": "jane", "email": "jane@example.org"}
    assert server.request("POST", "/v1/users", admin, json=jane).status_code == 200
    assert server.request("POST", "/v1/organizations", admin, json={"org_name": "acme"}).status_code == 200
    server.request("POST", "/v1/data/.my", json={"name": "kept"})
    server.request("PUT", "/v1/data/.my/kept/file", data=b"x")
    return server, known(server, algorithm)


def test_no_request_made_from_the_document_ends_in_a_fault(prepared: Any) -> None:
    """A few requests to every operation, the same in each run: no status of 500 or more."""
    assert attack(*prepared, examples=2) == []


@pytest.mark.soak
def test_thousands_of_requests_made_from_the_document_end_in_no_fault(prepared: Any) -> None:
    """As the short test, for much longer."""
    random.seed(0)
    assert attack(*prepared, examples=200) == []
