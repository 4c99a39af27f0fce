"""`wrapgen client`: what it prints runs against a real platform with the vendor's client, or curl."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_python_lines_call_the_wrapper(user, address, tmp_path: Path) -> None:
    """A dozen lines of the vendor's client send the examples and print each result, then the summary."""
    text = user.wrapgen("client", "--python")
    assert len(text.splitlines()) <= 18
    file = tmp_path / "call.py"
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, str(file)], env=address, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "hello -> {'shout': 'HELLO'}"
    assert lines[1] == "it's {{ so }} -> {'shout': \"IT'S {{ SO }}\"}"
    assert "'succeeded': 2" in lines[2]


def test_the_curl_line_calls_the_wrapper(user, address) -> None:
    """A hostile example survives the shell."""
    done = subprocess.run(
        ["bash", "-e"], input=user.wrapgen("client", "--curl"), env=address, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["$results"] == [{"shout": "HELLO"}, {"shout": "IT'S {{ SO }}"}]


def test_the_node_lines_call_the_wrapper(user, address, tmp_path: Path) -> None:
    """The vendor's client for Node, from npm, does the same."""
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("there is no node and npm on this machine")
    installed = subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "algorithmia@0.3.10"],
        cwd=tmp_path,
        env=address,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if installed.returncode:
        pytest.skip(f"npm can't install the vendor's client: {installed.stderr[-200:]}")
    (tmp_path / "call.js").write_text(user.wrapgen("client", "--node"))
    done = subprocess.run(["node", "call.js"], cwd=tmp_path, env=address, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == '"hello" -> {"shout":"HELLO"}'


def test_the_readme_of_a_wrapper_runs_as_it_is_printed(user, address, tmp_path: Path) -> None:
    """Its curl and Python lines call the wrapper, and its program reads what they recorded, each key once."""
    page = (user.folder / "generated" / "ShoutBatch" / "README.md").read_text()
    blocks = re.findall(r"```(sh|python)\n(.*?)\n```", page, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["sh", "python", "python"]
    said = []
    for number, (kind, text) in enumerate(blocks):
        (tmp_path / f"{number}.{kind}").write_text(text)
        command = ["bash", "-e"] if kind == "sh" else [sys.executable]
        command.append(str(tmp_path / f"{number}.{kind}"))
        done = subprocess.run(command, env=address, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert json.loads(said[0])["result"]["$results"][0] == {"shout": "HELLO"}
    assert "'succeeded': 2" in said[1]
    recorded = [line.partition(" ")[2] for line in said[2].splitlines()]
    assert recorded.count("{'shout': 'HELLO'}") >= 2 and len(recorded) % 2 == 0


def test_a_release_may_be_named(user) -> None:
    """Without --release the lines call the newest one; a wrong version is refused."""
    assert "acme/ShoutBatch/latestPrivate" in user.wrapgen("client")
    assert "acme/ShoutBatch/0.1.0" in user.wrapgen("client", "--release", "0.1.0")
    user.wrapgen("client", "--release", '1"; import os', code=2)
