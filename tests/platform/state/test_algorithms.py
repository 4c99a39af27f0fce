"""Algorithms: creating, publishing, resolving, and who may do which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from wrapgen.errors import BadRequest, Conflict, NotAuthorized, NotFound
from wrapgen.platform.domain.model import Algorithm, Caller, Permissions, Released
from wrapgen.platform.state import State

Commit = Callable[..., str]
Plain = Callable[[str], dict[str, str]]


@pytest.fixture
def hello(state: State, local: Caller, commit: Commit, plain: Plain) -> Algorithm:
    """An algorithm that needs nothing installed."""
    made = state.algorithms.create(local, "local", {"name": "Hello"})
    commit(made, plain("Hello"))
    return made


def release(
    state: State, caller: Caller, algorithm: Algorithm, kind: str = "minor", **settings: str
) -> Released:
    assert state.algorithms.compile(caller, algorithm).status == "succeeded"
    fields = {"version_info": {"version_type": kind}, "settings": settings}
    return state.algorithms.publish(caller, state.algorithms.get_id(caller, algorithm.id), fields)


def test_a_new_algorithm_has_a_repository_and_no_build(state: State, local: Caller) -> None:
    """Creating makes the template's commit; nothing is built that nobody asked for."""
    made = state.algorithms.create(local, "LOCAL", {"name": "Hello", "details": {"label": "Hello!"}})
    assert (made.owner, made.name, made.details["label"]) == ("local", "Hello", "Hello!")
    assert made.settings["algorithm_callability"] == "private"
    assert [commit.message for commit in state.repositories.history(made.id)] == ["Initial commit"]
    assert state.builds.page(made.id, None, 2) == []
    assert state.algorithms.get(local, "Local", "hello") == made
    assert state.algorithms.get_id(local, made.id) == made


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "can't be the name"),
        ({"name": "a-b"}, "can't be the name"),
        ({"name": "x" * 201}, "can't be the name"),
        ({"name": "A", "settings": {"algorithm_environment": "python99"}}, "offered: python3"),
        ({"name": "A", "settings": {"language": "rust"}}, "offered: python3"),
        ({"name": "A", "settings": {"network_access": "some"}}, "possible: full, isolated"),
        ({"name": "A", "settings": {"license": "mit", "source_visibility": "closed"}}, "closed source"),
    ],
)
def test_what_can_not_be_created(state: State, local: Caller, fields: dict[str, object], words: str) -> None:
    """A wrong field is an error that says what would do, and leaves no repository."""
    with pytest.raises(BadRequest, match=words):
        state.algorithms.create(local, "local", fields)
    assert not list((state.home / "repositories").iterdir())


def test_names_are_taken_in_any_letter_case(state: State, local: Caller) -> None:
    """Two algorithms never differ by letter case only."""
    state.algorithms.create(local, "local", {"name": "Hello"})
    with pytest.raises(Conflict, match="exists already"):
        state.algorithms.create(local, "local", {"name": "hello"})


def test_each_environment_has_its_names(state: State, local: Caller) -> None:
    """An environment is named by id, by name, or in the older ways; the id is what is kept."""
    offered = state.environments.offered()[-1]
    ways = [{"algorithm_environment": offered.id}, {"package_set": offered.name}, {"language": offered.name}]
    for number, settings in enumerate(ways):
        made = state.algorithms.create(local, "local", {"name": f"A{number}", "settings": settings})
        assert made.settings["algorithm_environment"] == offered.id
    made = state.algorithms.create(
        local, "local", {"name": "B", "settings": {"language": "python3-langpack"}}
    )
    assert made.settings["algorithm_environment"] == state.environments.default().id


def test_publishing_needs_a_new_build_each_time(state: State, local: Caller, hello: Algorithm) -> None:
    """Numbers rise by type; without a new build the contract's 1007 comes, and nothing changes."""
    with pytest.raises(Conflict, match="no successful build") as caught:
        state.algorithms.publish(local, hello, {})
    assert caught.value.reason == "nothing-to-publish"
    numbers = [
        release(state, local, hello, kind).version for kind in ("major", "revision", "revision", "minor")
    ]
    assert [version.semantic for version in numbers if version] == ["1.0.0", "1.0.1", "1.0.2", "1.1.0"]
    with pytest.raises(Conflict, match="already published"):
        state.algorithms.publish(local, hello, {})
    assert len(state.builds.page(hello.id, None, 9) or ()) == 4


def test_a_page_of_builds_is_what_was_asked_for(state: State, local: Caller, hello: Algorithm) -> None:
    """Builds come newest first, after a marker, by what became of them; no others are read."""
    for visibility in ("public", "private", "public"):
        release(state, local, hello, "major", algorithm_callability=visibility)
    state.algorithms.compile(local, hello)

    def numbers(caller: Caller, last: str | None, count: int, **only: object) -> list[str]:
        found = state.algorithms.page(caller, hello, last, count, **only)
        assert found is not None
        return [each.version.semantic if each.version else "-" for each in found]

    stranger = replace(local, account="stranger")
    assert numbers(local, None, 9) == ["-", "3.0.0", "2.0.0", "1.0.0"]
    assert numbers(local, None, 2) == ["-", "3.0.0"]
    second = (state.algorithms.page(local, hello, None, 2) or [])[1].build.id
    assert numbers(local, second, 1) == ["2.0.0"]
    assert numbers(local, None, 9, published=False) == ["-"]
    assert numbers(local, None, 9, published=True, callability="private") == ["2.0.0"]
    assert numbers(stranger, None, 9) == ["3.0.0", "1.0.0"]
    assert numbers(stranger, None, 9, callability="private") == []
    unreleased = (state.algorithms.page(local, hello, None, 1) or [])[0].build.id
    assert state.algorithms.page(stranger, hello, unreleased, 9) is None
    assert state.algorithms.page(local, hello, "no-such-build", 9) is None
    read = len(state.database.rows("SELECT 1 FROM builds WHERE algorithm_id = ?", hello.id))
    given: list[int] = []
    rows = state.database.rows

    def counted(sql: str, *values: object) -> list[Any]:
        given.append(len(found := rows(sql, *values)))
        return found

    state.database.rows = counted  # type: ignore[method-assign]
    assert numbers(local, None, 1) == ["-"] and sum(given) < read


def test_a_version_never_changes(
    state: State, local: Caller, hello: Algorithm, commit: Commit, plain: Plain
) -> None:
    """A release keeps running its own build after later pushes and builds."""
    release(state, local, hello)
    first = state.algorithms.resolve("local", "Hello", "0.1.0", local)
    commit(hello, {**plain("Hello"), "README.md": "changed"})
    assert state.algorithms.compile(local, hello).git_hash != first.git_hash
    assert state.algorithms.resolve("local", "Hello", "0.1.0", local) == first
    assert not (first.directory / "README.md").exists()
    assert (first.directory / "src" / "Hello.py").is_file()


def test_nothing_resolves_to_a_failed_build(
    state: State, local: Caller, hello: Algorithm, commit: Commit, plain: Plain
) -> None:
    """A failed build is neither callable by its hash nor published."""
    good = release(state, local, hello)
    bad = commit(hello, {**plain("Hello"), "src/Hello.py": "def apply(input:\n"})
    assert state.algorithms.compile(local, hello).status == "failed"
    with pytest.raises(NotFound, match="no successful build"):
        state.algorithms.resolve("local", "Hello", bad, local)
    with pytest.raises(Conflict, match="already published"):
        state.algorithms.publish(local, hello, {})
    assert state.algorithms.resolve("local", "hello", good.build.git_hash, local).build_id == good.build.id


def test_who_may_call_what(state: State, local: Caller, other: Caller, hello: Algorithm) -> None:
    """Private versions and hashes are for owners, public ones for everyone whose key allows it."""
    release(state, local, hello)
    git_hash = release(state, local, hello, "major", algorithm_callability="public").build.git_hash
    resolve = state.algorithms.resolve
    assert resolve("LOCAL", "HELLO", None, other).version == "1.0.0"
    assert resolve("local", "Hello", "latest", local).version == "1.0.0"
    assert resolve("local", "Hello", "latestPrivate", local).version == "0.1.0"
    assert (
        resolve("local", "Hello", "0.1.0", replace(other, organizations=frozenset({"local"}))).version
        == "0.1.0"
    )
    for version in ("latestPrivate", "0.1.0", git_hash):
        with pytest.raises(NotFound, match="not found: no") as caught:
            resolve("local", "Hello", version, other)
        assert caught.value.reason == "no-such-algorithm"
    narrow = replace(local, permissions=Permissions(algorithms=("algo://local/Other/*",)))
    with pytest.raises(NotAuthorized, match="may not call"):
        resolve("local", "Hello", "1.0.0", narrow)
    with pytest.raises(NotFound, match="algo://local/None not found"):
        resolve("local", "None", None, local)
    with pytest.raises(NotFound, match="no published version"):
        resolve("local", "Hello", "2.*", local)


def test_latest_moves_with_a_release(state: State, local: Caller, hello: Algorithm) -> None:
    """What was resolved is forgotten when it changes."""
    release(state, local, hello, algorithm_callability="public")
    assert state.algorithms.resolve("local", "Hello", None, local).version == "0.1.0"
    release(state, local, hello)
    assert state.algorithms.resolve("local", "Hello", None, local).version == "0.2.0"


def test_listeners_hear_of_changes(state: State, local: Caller, hello: Algorithm) -> None:
    """Whoever keeps workers learns that an algorithm changed."""
    heard: list[str] = []
    state.algorithms.on_change(heard.append)
    release(state, local, hello)
    assert set(heard) == {hello.id}


def test_secrets_reach_the_runnable_under_a_new_key(state: State, local: Caller, hello: Algorithm) -> None:
    """A changed secret is seen by the next call: workers with the old one are never matched again."""
    release(state, local, hello)
    before = state.algorithms.resolve("local", "Hello", "0.1.0", local)
    made = state.secrets.create(hello.id, "TOKEN", "one", "t")
    first = state.algorithms.resolve("local", "Hello", "0.1.0", local)
    assert (first.variables, before.variables) == ({"TOKEN": "one"}, {})
    assert not hasattr(made, "value")
    state.secrets.update(hello.id, made.id, "two")
    second = state.algorithms.resolve("local", "Hello", "0.1.0", local)
    assert second.variables == {"TOKEN": "two"}
    state.secrets.delete(hello.id, made.id)
    last = state.algorithms.resolve("local", "Hello", "0.1.0", local)
    assert last.variables == {}
    assert len({before.key, first.key, second.key, last.key}) == 4


@pytest.mark.parametrize("variable", ["", "1A", "A-B", "ALGORITHMIA_API_KEY", None, "A=B"])
def test_secret_variables_that_can_not_be(
    state: State, local: Caller, hello: Algorithm, variable: str | None
) -> None:
    """A secret is an environment variable, and none of the platform's own."""
    with pytest.raises(BadRequest, match="secret_key"):
        state.secrets.create(hello.id, variable, "x")


def test_managing_is_for_owners(state: State, local: Caller, other: Caller, hello: Algorithm) -> None:
    """Strangers and keys without that right change nothing; members of the organization may."""
    limited = replace(local, permissions=Permissions(manage=False))
    for caller in (other, limited):
        for action in (
            lambda caller=caller: state.algorithms.create(caller, "local", {"name": "New"}),
            lambda caller=caller: state.algorithms.update(caller, hello, {}),
            lambda caller=caller: state.algorithms.compile(caller, hello),
            lambda caller=caller: state.algorithms.publish(caller, hello, {}),
            lambda caller=caller: state.algorithms.delete(caller, hello),
        ):
            with pytest.raises(NotAuthorized):
                action()
    with pytest.raises(NotFound, match="No such algorithm"):
        state.algorithms.get(other, "local", "Hello")
    member = replace(other, organizations=frozenset({"local"}))
    assert state.algorithms.update(member, hello, {"details": {"summary": "s"}}).details["summary"] == "s"


def test_deleting_takes_everything_along(state: State, local: Caller, hello: Algorithm) -> None:
    """Rows, repository and builds are gone, and the name is free again."""
    released = release(state, local, hello)
    state.algorithms.delete(local, hello)
    with pytest.raises(NotFound):
        state.algorithms.resolve("local", "Hello", "0.1.0", local)
    assert not state.repositories.path(hello.id).exists()
    assert not (state.home / "builds" / released.build.id).exists()
    assert state.algorithms.create(local, "local", {"name": "Hello"}).id != hello.id


def test_what_a_deletion_overtakes_is_not_found(state: State, local: Caller, hello: Algorithm) -> None:
    """A build or a secret of an algorithm that was deleted since it was looked up is a NotFound, no fault."""
    state.algorithms.delete(local, hello)
    with pytest.raises(NotFound, match="deleted meanwhile"):
        state.builds.start(hello.id, hello.first_commit, hello.settings["algorithm_environment"])
    with pytest.raises(NotFound, match="deleted meanwhile"):
        state.secrets.create(hello.id, "NAME", "value")
