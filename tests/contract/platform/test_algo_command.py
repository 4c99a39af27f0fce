"""The vendor's `algo` command, unmodified, with a profile file of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Algo = Callable[..., str]


@pytest.fixture
def algo(platform: Any, tmp_path: Path) -> Algo:
    """Runs `algo WORDS` in an empty folder as a new user would; what it printed."""
    (tmp_path / ".algorithmia").mkdir()
    profile = f'[profiles.default]\napi_key = "{platform.key}"\napi_server = "{platform.address}"\n'
    (tmp_path / ".algorithmia" / "config").write_text(profile + 'ca_cert = ""\nbearer_token = ""\n')
    work = tmp_path / "work"
    work.mkdir()
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0"}
    command = [
        sys.executable,
        "-c",
        "import sys; sys.argv[0] = 'algo'; from Algorithmia.__main__ import main; main()",
    ]

    def run(*words: str, ok: bool = True) -> str:
        done = subprocess.run([*command, *words], cwd=work, env=variables, capture_output=True, text=True)
        assert (done.returncode == 0) is ok, done.stderr
        return done.stdout

    return run


def test_files_and_folders(algo: Algo, tmp_path: Path) -> None:
    """mkdir, cp both ways and across, ls in its forms, cat, rm, rmdir."""
    name = f"cli{uuid.uuid4().hex[:8]}"
    place = f"data://local/{name}"
    (tmp_path / "work" / "one.txt").write_text("one\n")
    algo("mkdir", place)
    assert f"local/{name}/\n" in algo("ls", "-l", "data://local/")
    algo("cp", "one.txt", f"{place}/one.txt")
    algo("cp", f"{place}/one.txt", f"{place}/two.txt")
    assert algo("cat", f"{place}/one.txt", f"{place}/two.txt").count("one") == 2
    assert algo("ls", f"{place}/").split() == [f"local/{name}/one.txt", f"local/{name}/two.txt"]
    assert f"local/{name}/one.txt" in algo("ls", "-l", f"{place}/one.txt")
    algo("cp", f"{place}/two.txt", "back.txt")
    assert (tmp_path / "work" / "back.txt").read_text() == "one\n"
    algo("rm", f"{place}/one.txt")
    assert "not empty" in algo("rmdir", place)
    algo("rmdir", "-f", place)
    assert name not in algo("ls")


def test_run_in_each_input_form(algo: Algo, hello: str, tmp_path: Path) -> None:
    """Text and JSON, from the command line and from files."""
    (tmp_path / "work" / "name.txt").write_text("Jane")
    (tmp_path / "work" / "name.json").write_text("Jane")
    assert algo("run", hello, "-d", "Jane") == "hello Jane\n"
    assert algo("run", hello, "-t", "Jane") == "hello Jane\n"
    assert algo("run", hello, "-j", '"Jane"') == "hello Jane\n"
    assert algo("run", hello, "-D", "name.txt") == "hello Jane\n"
    assert algo("run", hello, "-T", "name.txt") == "hello Jane\n"
    assert algo("run", hello, "-J", "name.json") == "hello Jane\n"
    algo("run", hello, "-d", "Jane", "-o", "answer.txt")
    assert (tmp_path / "work" / "answer.txt").read_text() == "hello Jane"


def test_languages_environments_builds_and_templates(algo: Algo, hello: str, tmp_path: Path) -> None:
    """What it shows of the platform."""
    assert "python3" in algo("languages")
    environments = json.loads(algo("environment", "python3"))
    assert environments[0]["machine_type"] == "CPU"
    builds = json.loads(algo("builds", "local", "Hello"))
    assert {build["status"] for build in builds} == {"succeeded"}
    algo("template", environments[0]["environment_specification_id"], str(tmp_path / "template"))
    assert (tmp_path / "template" / "requirements.txt").is_file()


def test_clone_asks_the_same_host(algo: Algo, hello: str, platform: Any, tmp_path: Path) -> None:
    """`algo clone` finds the repository under /git of the profile's server."""
    scheme, _, place = platform.address.partition("://")
    store = f"{scheme}://local:{platform.key}@{place}\n"
    (tmp_path / ".git-credentials").write_text(store)
    (tmp_path / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    algo("clone", "local/Hello")
    assert (tmp_path / "work" / "Hello" / "src" / "Hello.py").is_file()


def test_freeze_and_check_a_manifest(algo: Algo, platform: Any, tmp_path: Path) -> None:
    """`algo freeze` downloads what the manifest names and writes the checksums."""
    client, name = platform.client(), f"m{uuid.uuid4().hex[:8]}"
    client.dir(f"data://local/{name}").create()
    client.file(f"data://local/{name}/model.bin").put(b"model")
    entry = {
        "name": "m",
        "source_uri": f"data://local/{name}/model.bin",
        "fail_on_tamper": True,
        "metadata": {},
    }
    manifest = {"required_files": [entry], "optional_files": []}
    (tmp_path / "work" / "model_manifest.json").write_text(json.dumps(manifest))
    algo("freeze")
    frozen = json.loads((tmp_path / "work" / "model_manifest.json.freeze").read_text())
    assert frozen["required_files"][0]["md5_checksum"] == "20f35e630daf44dbfa4c3f68f5399d8c"
    assert frozen["lock_checksum"]
