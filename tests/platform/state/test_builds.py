"""Builds: what makes a commit runnable, what its log says, and what a restart does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wrapgen.platform.building import builds
from wrapgen.platform.building.installers import Installers
from wrapgen.platform.building.requirements import Requirements
from wrapgen.platform.building.virtualenvs import Virtualenvs
from wrapgen.platform.domain.model import Algorithm, Caller
from wrapgen.platform.state import State, open_platform_state

Commit = Callable[..., str]
Plain = Callable[[str], dict[str, str]]


@pytest.fixture
def hello(state: State, local: Caller) -> Algorithm:
    return state.algorithms.create(local, "local", {"name": "Hello"})


def test_the_template_builds_and_runs_unchanged(state: State, local: Caller, hello: Algorithm) -> None:
    """A new algorithm answers a greeting through the vendor's ADK, in an environment of its own."""
    build = state.builds.wait(state.algorithms.build_head(hello), 120)
    log = state.builds.log(build)
    assert build.status == "succeeded", log
    assert "algorithmia-adk" in log
    said = subprocess.run(
        [build.interpreter, "-c", "from src import Hello; print(Hello.apply('Jane'))"],
        cwd=state.builds.source(build),
        capture_output=True,
        text=True,
        check=True,
        env={"ALGORITHMIA_API_KEY": "x"},
    )
    assert said.stdout.splitlines()[-1] == "hello Jane"


def test_equal_requirements_share_an_environment(
    state: State, local: Caller, hello: Algorithm, commit: Commit, plain: Plain
) -> None:
    """Comments and blank lines don't matter; another requirement does."""
    interpreters = []
    for text in ("six\n", "# why\nsix   \n\n", "six\ntoml\n"):
        commit(hello, {**plain("Hello"), "requirements.txt": text})
        build = state.algorithms.compile(local, hello)
        assert build.status == "succeeded", state.builds.log(build)
        interpreters.append(build.interpreter)
    assert interpreters[0] == interpreters[1] != interpreters[2]
    assert "already installed" not in state.builds.log(build)


def test_another_interpreter_is_another_environment(
    state: State, local: Caller, hello: Algorithm, commit: Commit, plain: Plain
) -> None:
    """Equal requirements share nothing where the interpreters differ."""
    offered = state.environments.offered()
    if len(offered) == 1:
        pytest.skip("this machine has one Python")
    interpreters = set()
    for environment in offered[:2]:
        hello = state.algorithms.update(local, hello, {"settings": {"algorithm_environment": environment.id}})
        commit(hello, plain("Hello"))
        build = state.algorithms.compile(local, hello)
        assert build.status == "succeeded", state.builds.log(build)
        interpreters.add(build.interpreter)
    assert len(interpreters) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algorithmia.conf": None}, "there is no algorithmia.conf"),
        ({"algorithmia.conf": "{"}, 'must be a JSON object with an "algoname"'),
        ({"algorithmia.conf": "[]"}, 'must be a JSON object with an "algoname"'),
        ({"algorithmia.conf": '{"algoname": "Other"}'}, "there is no src/Other.py"),
        ({"src/Hello.py": "def apply(input:\n    pass\n"}, "Hello.py is not valid Python"),
        ({"requirements.txt": "no such requirement!!\n"}, "requirements.txt could not be installed"),
    ],
)
def test_a_failed_build_says_why(
    state: State,
    local: Caller,
    hello: Algorithm,
    commit: Commit,
    plain: Plain,
    changes: dict[str, str | None],
    words: str,
) -> None:
    """The log's end names the cause; what the tools said is in it."""
    files = {name: text for name, text in {**plain("Hello"), **changes}.items() if text is not None}
    commit(hello, files)
    build = state.algorithms.compile(local, hello)
    assert build.status == "failed"
    assert build.finished_at is not None
    assert words in state.builds.log(build).splitlines()[-1]


def test_a_build_blames_no_source_for_what_the_machine_refused(
    state: State, local: Caller, hello: Algorithm, commit: Commit, plain: Plain, monkeypatch: Any
) -> None:
    """Where Python can't start or read, as without free descriptors, the log says so, and what to do."""
    refused = "import os, resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
    monkeypatch.setattr(builds, "_CHECK", refused + builds._CHECK)
    commit(hello, plain("Hello"))
    build = state.algorithms.compile(local, hello)
    *_, why, said = state.builds.log(build).splitlines()
    assert "Too many open files" in why and "Traceback" not in state.builds.log(build)
    assert said.endswith("could not be compiled: the lines above say why; build it again")


def test_the_main_module_may_be_a_package(
    state: State, local: Caller, hello: Algorithm, commit: Commit, plain: Plain
) -> None:
    """algorithmia.conf decides which module it is, whatever the algorithm is called here."""
    files = {
        "algorithmia.conf": '{"algoname": "inner"}',
        "src/inner/__init__.py": "def apply(input): return 1\n",
    }
    commit(hello, files)
    assert state.algorithms.compile(local, hello).status == "succeeded"


def test_an_interpreter_that_is_gone_fails_the_build(state: State, local: Caller, hello: Algorithm) -> None:
    """The log lists what is offered instead."""
    build = state.builds.wait(state.builds.start(hello.id, hello.first_commit, "python99"), 60)
    assert build.status == "failed"
    assert "offered: python3" in state.builds.log(build)


def test_many_wait_for_one_environment(
    state: State, local: Caller, hello: Algorithm, commit: Commit, plain: Plain
) -> None:
    """Builds of equal requirements at the same time install once."""
    commit(hello, plain("Hello"))
    builds = [state.algorithms.build_head(hello) for _ in range(4)]
    done = [state.builds.wait(build, 60) for build in builds]
    assert {build.status for build in done} == {"succeeded"}
    assert len({build.interpreter for build in done}) == 1
    fresh = [build for build in done if "already installed" not in state.builds.log(build)]
    assert len(fresh) == 1


def test_a_build_in_progress_starts_again_after_a_restart(
    open_home: Callable[..., State],
    local: Caller,
    hello: Algorithm,
    state: State,
    plain: Plain,
    commit: Commit,
) -> None:
    """Closing ends a running pip; the next opening finishes the build under its old id."""
    # A requirement on a folder whose setup.py waits until it is killed.
    waiting = {"requirements.txt": "./slow\n", "slow/setup.py": "import time; time.sleep(600)\n"}
    commit(hello, {**plain("Hello"), **waiting})
    build = state.algorithms.build_head(hello)
    started = threading.Event()

    def watch() -> None:
        while "$" not in state.builds.log(build):
            if started.wait(0.01):
                return
        started.set()

    threading.Thread(target=watch, daemon=True).start()
    assert started.wait(30)
    state.close()
    again = open_home()
    text = again.builds.log(again.builds.get(hello.id, build.id))
    assert "starting again" in text
    assert again.builds.get(hello.id, build.id).status == "in-progress"


def test_a_push_that_got_no_build_gets_it_at_the_next_opening(
    open_home: Callable[..., State], state: State, hello: Algorithm, commit: Commit, plain: Plain
) -> None:
    """A server killed between git's push and the build's row loses neither."""
    pushed = commit(hello, plain("Hello"))
    state.close()
    again = open_home()
    (found,) = again.builds.page(hello.id, None, 2) or ()
    assert found.git_hash == pushed
    assert again.builds.wait(found, 60).status == "succeeded"


class Tried:
    """Commands that are noted and not run; `say` is what a failed one said."""

    sandboxed = False

    def __init__(self, say: Callable[[list[str]], str | None]) -> None:
        self.programs: list[str] = []
        self.say = say

    def install(self, words: list[str], cwd: Path, own: Path, *, trusted: bool) -> str | None:
        self.programs.append(Path(words[0]).name)
        return self.say(words)


def test_uv_is_left_out_where_pip_has_an_index_of_its_own(tmp_path: Path) -> None:
    """Requirements are never looked up at an index the user did not choose."""

    def tools(variables: dict[str, str]) -> set[str]:
        tried = Tried(lambda words: "")
        installers = Installers({"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **variables})
        made = Virtualenvs(tmp_path / "venvs", installers)
        wanted = Requirements.read("six\n")
        assert made.find_or_make(Path("/bin/sh"), wanted, tmp_path, "", tried) == (None, False)
        return set(tried.programs)

    assert "uv" in tools({})
    assert "uv" not in tools({"PIP_INDEX_URL": "https://index.example.org/simple"})
    assert "uv" in tools({"PIP_INDEX_URL": "x", "UV_DEFAULT_INDEX": "https://index.example.org/simple"})
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex_url = https://index.example.org\n"
    )
    assert "uv" not in tools({})


def test_pip_is_not_asked_what_nobody_can_install(tmp_path: Path) -> None:
    """Where uv finds no solution pip is tried only if it knows places, or settings, that uv doesn't."""

    def asked(said: str, variables: dict[str, str]) -> list[str]:
        tried = Tried(lambda words: said if words[1] == "pip" else None)
        made = Virtualenvs(tmp_path / "venvs", Installers({"HOME": str(tmp_path), **variables}))
        made.find_or_make(Path(sys.executable), Requirements.read("nothing\n"), tmp_path, "", tried)
        return tried.programs

    no_such = "error: No solution found when resolving dependencies\n  cause: Because nothing was not found"
    for said, variables, pip in (
        (no_such, {}, False),
        ("error: Couldn't parse requirement in `requirements.txt` at position 0", {}, False),
        (no_such + "\n\nhint: Pre-releases are available for nothing", {}, True),
        (no_such, {"PIP_EXTRA_INDEX_URL": "https://index.example.org/simple"}, True),
        (no_such, {"PIP_FIND_LINKS": "/wheels"}, True),
        ("error: Couldn't parse requirement", {"PIP_FIND_LINKS": "/wheels"}, False),
        ("error: Failed to build `x`\n  cause: The build backend returned an error", {}, False),
        ("error: Unexpected '-'", {}, True),
        ("error: Request failed after 3 retries", {}, True),
    ):
        assert ("python" in asked(said, variables)) == pip, (said, variables)
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip" / "pip.conf").write_text("[global]\nextra-index-url = https://index.example.org\n")
    assert "python" in asked(no_such, {})


def test_a_home_that_moved_without_its_environments(
    state: State, local: Caller, hello: Algorithm, commit: Commit, plain: Plain, tmp_path: Path
) -> None:
    """At another place, with venvs/ left out, a released version gets a working interpreter again."""
    commit(hello, plain("Hello"))
    assert state.algorithms.compile(local, hello).status == "succeeded"
    state.algorithms.publish(local, hello, {})
    before = state.algorithms.resolve("local", "Hello", "0.1.0", local)
    state.close()
    shutil.copytree(state.home, tmp_path / "moved", ignore=shutil.ignore_patterns("venvs"))
    shutil.rmtree(state.home)
    moved = open_platform_state(tmp_path / "moved")
    try:
        moved.builds.wait(moved.builds.get(hello.id, before.build_id), 60)
        after = moved.algorithms.resolve("local", "Hello", "0.1.0", local)
        assert after.key == before.key
        assert after.interpreter.is_relative_to(moved.home)
        subprocess.run([after.interpreter, "-c", "import src.Hello"], cwd=after.directory, check=True)
    finally:
        moved.close()


def test_a_build_sees_what_installers_need_and_nothing_else(tmp_path: Path) -> None:
    """The server's own secrets are not in the environment in which requirements are installed."""
    needed = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "PIP_INDEX_URL": "https://index.example.org",
        "UV_CACHE_DIR": "/cache",
        "https_proxy": "http://proxy",
        "NO_PROXY": "*",
        "SSL_CERT_FILE": "/ca.pem",
        "CFLAGS": "-O2",
    }
    others = {
        "AWS_SECRET_ACCESS_KEY": "x",
        "ALGORITHMIA_API_KEY": "x",
        "DATABASE_URL": "x",
        "PYTHONPATH": "x",
        "VIRTUAL_ENV": "x",
        "MY_PIP_": "x",
        "GIT_TOKEN": "x",
        "UV_PUBLISH_TOKEN": "x",
        "PIP_PASSWORD": "x",
        "LD_LIBRARY_PATH": "x",
    }
    installers = Installers({**needed, **others})
    own = {"UV_SYSTEM_CERTS": "true", "PIP_CONFIG_FILE": os.devnull}
    known = {name: value for name, value in installers.variables.items() if name in {*needed, *own, *others}}
    assert known == {**own, **needed}
    key = tmp_path / "client.pem"
    key.write_text("a private key")
    certified = Installers({**needed, "PIP_CLIENT_CERT": str(key)})
    assert key in certified.visible(trusted=True)
    assert key not in certified.visible(trusted=False)
    assert "PIP_CLIENT_CERT" not in certified.sandboxed(trusted=False)
    sandboxed = installers.sandboxed(trusted=False)
    assert not {*others, "UV_CACHE_DIR"} & set(sandboxed)
    assert sandboxed["HOME"] == "/tmp"


def test_the_log_warns_of_what_is_not_in_the_repository(
    state: State, local: Caller, hello: Algorithm, commit: Commit, plain: Plain
) -> None:
    """A pointer of Git LFS and submodules are named, since their absence shows only later."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    commit(hello, {**plain("Hello"), "models/a.bin": pointer, ".gitmodules": "[submodule 'x']\n"})
    build = state.algorithms.compile(local, hello)
    log = state.builds.log(build)
    assert build.status == "succeeded", log
    assert "warning: models/a.bin is a pointer of Git LFS" in log
    assert "warning: submodules are not fetched" in log
    commit(hello, {**plain("Hello"), "README": "version"})
    assert "warning" not in state.builds.log(state.algorithms.compile(local, hello))
