"""`wrapgen platform`, against a real platform, as a user types it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commands
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(server: Any, tmp_path: Path) -> Run:
    """Runs `wrapgen platform WORDS` on the home of the test's platform."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA_")}

    def go(*words: str, home: Path = server.home) -> subprocess.CompletedProcess[str]:
        return commands.run("platform", *words, "--home", str(home), cwd=tmp_path, env=variables)

    return go


def test_a_users_life(run: Run, server: Any) -> None:
    """Added with a key that works, listed, removed; a name that is taken is one clear message."""
    name = f"cmd{uuid.uuid4().hex[:8]}"
    added = run("users", "add", name, "--email", f"{name}@example.org")
    assert added.returncode == 0, added.stderr
    shown, key = added.stdout.split()
    assert shown == name
    assert server.request("GET", "/v1/data/", key).json()["folders"] == [{"name": name}]
    assert name in run("users", "list").stdout
    again = run("users", "add", name, "--email", "other@example.org")
    assert (again.returncode, "is taken" in again.stderr, "Traceback" in again.stderr) == (5, True, False)
    assert run("users", "remove", name).stdout == f"removed {name}\n"
    assert server.request("GET", "/v1/data/", key).status_code == 401
    assert run("users", "remove", name).returncode == 5


def test_keys_are_made_with_their_restrictions(run: Run, server: Any) -> None:
    """What the options say is what the key may; a removed one is worthless."""
    name = f"cmd{uuid.uuid4().hex[:8]}"
    run("users", "add", name, "--email", f"{name}@example.org")
    made = run("keys", "add", name, "--algorithm", "algo://nlp/*", "--data", "read", "--no-manage", "--json")
    facts = json.loads(made.stdout)
    assert facts["permissions"]["algo_acl"] == ["algo://nlp/*"]
    key = facts["api_key"]
    assert server.request("POST", f"/v1/data/{name}", key, json={"name": "col"}).status_code == 403
    assert server.request("GET", f"/v1/data/{name}", key).status_code == 200
    listed = run("keys", "list", name)
    assert len(listed.stdout.splitlines()) == 2
    assert key not in listed.stdout
    assert run("keys", "remove", name, facts["id"]).returncode == 0
    assert server.request("GET", f"/v1/data/{name}", key).status_code == 401
    admin_key = run("keys", "add", name, "--admin").stdout.strip()
    assert server.request("GET", "/v1/users", admin_key).status_code == 200
    wrong = run("keys", "add", name, "--algorithm", "nlp/*")
    assert (wrong.returncode, "algo://" in wrong.stderr) == (5, True)


def test_keys_are_limited_to_programs_or_pages(run: Run, server: Any) -> None:
    """--from and --page say who may use a key; what makes no sense is refused before anything is sent."""
    name, _ = server.user()
    statuses = {}
    for words in ((), ("--from", "programs"), ("--from", "pages"), ("--from", "pages", "--page", "a.org")):
        key = run("keys", "add", name, *words).stdout.strip()
        origins: list[dict[str, str]] = [{}, {"Origin": "https://a.org"}, {"Origin": "https://b.org"}]
        asked = [server.request("GET", f"/v1/data/{name}", key, headers=origin) for origin in origins]
        statuses[words[-1] if words else ""] = [each.status_code for each in asked]
    assert statuses == {
        "": [200, 200, 200],
        "programs": [200, 403, 403],
        "pages": [403, 200, 200],
        "a.org": [403, 200, 403],
    }
    for words in (("--from", "programs", "--page", "a.org"), ("--page", "https://a.org/"), ("--page", "a b")):
        assert run("keys", "add", name, *words).returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--algorithm", "algo://nlp/*"),
        ("--data", "read"),
        ("--no-manage",),
        ("--from", "programs"),
        ("--page", "a.org", "--data", "none"),
    ],
)
def test_an_admin_key_is_not_restricted(run: Run, words: tuple[str, ...]) -> None:
    """One line says that restrictions would mean nothing, and no key is made."""
    before = run("keys", "list", "local").stdout
    refused = run("keys", "add", "local", "--admin", *words)
    assert (refused.returncode, refused.stderr.count("can't be restricted")) == (2, 1)
    assert run("keys", "list", "local").stdout == before


def test_organizations_have_keys(run: Run, server: Any) -> None:
    """Made, listed and removed like those of users; neither passes for the other."""
    name = f"org{uuid.uuid4().hex[:8]}"
    run("organizations", "add", name)
    made = json.loads(run("keys", "add", name, "--organization", "--label", "ci", "--json").stdout)
    assert server.request("GET", "/v1/data/", made["api_key"]).json()["folders"] == [{"name": name}]
    assert made["id"] in run("keys", "list", name, "--organization").stdout
    assert run("keys", "list", name).returncode == 5
    assert run("keys", "add", "local", "--organization").returncode == 5
    assert run("keys", "remove", name, made["id"], "--organization").returncode == 0
    assert server.request("GET", "/v1/data/", made["api_key"]).status_code == 401


def test_organizations_and_their_members(run: Run, server: Any) -> None:
    """Made once, joined, listed; a second owner takes the place of the first."""
    name = f"org{uuid.uuid4().hex[:8]}"
    assert run("organizations", "add", name).stdout == f"made {name}\n"
    assert run("organizations", "add", name).stdout == f"found {name}\n"
    assert run("organizations", "join", name, "local").returncode == 0
    assert run("organizations", "members", name).stdout.split() == ["local", "owner"]
    other = server.user()[0]
    last = run("organizations", "join", name, "local", "--role", "member")
    assert (last.returncode, "last owner" in last.stderr) == (5, True)
    assert run("organizations", "join", name, other, "--role", "owner").returncode == 0
    assert run("organizations", "join", name, "local", "--role", "member").returncode == 0
    assert sorted(run("organizations", "members", name).stdout.split()) == sorted(
        ["local", "member", other, "owner"]
    )
    assert any(each["org_name"] == name for each in json.loads(run("organizations", "list", "--json").stdout))


def test_algorithms_logs_and_errors(run: Run, server: Any, zoo: str) -> None:
    """What an account hosts, the newest build's log, and what failed."""
    assert zoo in run("algorithms").stdout
    assert "build succeeded" in run("logs", zoo).stdout
    newest = json.loads(run("logs", zoo, "--json").stdout)
    assert json.loads(run("logs", zoo, "--build", newest["build"], "--json").stdout) == newest
    server.request("POST", "/v1/algorithms/local", json={"name": "NeverBuilt"})
    never = run("logs", "local/NeverBuilt")
    assert (never.returncode, "never built" in never.stderr) == (5, True)
    assert run("errors", "local/NeverBuilt").stdout == ""
    assert run("algorithms", "nobody").returncode == 5


def test_a_home_without_a_platform(run: Run, tmp_path: Path) -> None:
    """The error says how to make one."""
    missing = run("users", "list", home=tmp_path / "none")
    assert (missing.returncode, "wrapgen serve" in missing.stderr) == (2, True)


@pytest.mark.parametrize("command", ["call", "run", "plan", "doctor"])
def test_references_complete(command: str, server: Any, zoo: str, tmp_path: Path) -> None:
    """A shell offers the found platform's algorithms, and their versions behind a second slash."""

    def offered(word: str, home: Path = server.home) -> list[str]:
        words = f"wrapgen {command} --home {home} {word}"
        asked = {"_WRAPGEN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "4"}
        done = subprocess.run(
            [sys.executable, "-m", "wrapgen"],
            cwd=tmp_path,
            env={**os.environ, **asked},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line.startswith("plain,")]

    assert zoo in offered(zoo[:-1])
    assert all(version.startswith(f"{zoo}/") for version in offered(f"{zoo}/"))
    assert offered(zoo[:-1], tmp_path / "none") == []


def test_failed_calls_are_listed_with_the_time_of_day(run: Run, server: Any, zoo: str) -> None:
    """`errors` shows moments as people write them; --json keeps milliseconds."""
    server.call(zoo, {"op": "refuse"})
    line = next(line for line in run("errors", zoo).stdout.splitlines() if line)
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d ", line), line
    assert isinstance(json.loads(run("errors", zoo, "--json").stdout)[0]["created_at"], int)
