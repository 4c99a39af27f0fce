"""What tests of attacks share: algorithms made of a text, pushed and built by a sandboxed server."""

from __future__ import annotations

import json
import shutil
import subprocess
import time

TELL = "import os\n\n\ndef apply(input):\n    return dict(os.environ)\n"
"""An algorithm that tells its variables."""


def source(folder, name, text, **more):
    """A folder with an algorithm; further files are given by their path, `__` for a slash."""
    (folder / "src").mkdir(parents=True)
    (folder / "algorithmia.conf").write_text(json.dumps({"username": "local", "algoname": name}))
    (folder / "src" / "__init__.py").write_text("")
    (folder / "src" / f"{name}.py").write_text(text)
    for path, content in more.items():
        (folder / path).write_text(content)
    return folder


def push(server, name, folder):
    """Makes an algorithm, pushes its source, and waits until its build has ended: the log."""
    assert server.request("POST", "/v1/algorithms/local", json={"name": name}).status_code == 201
    work = server.home.parent / f"work-{name}"
    remote = server.address.replace("//", f"//local:{server.key}@") + f"/git/local/{name}.git"
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-C", str(work)]
    subprocess.run(["git", "clone", "-q", remote, str(work)], check=True)
    subprocess.run([*git, "rm", "-rq", "."], check=True)
    shutil.copytree(folder, work, dirs_exist_ok=True, symlinks=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "Replace the source"], check=True)
    subprocess.run([*git, "push", "-q", "origin", "HEAD:master"], check=True)
    (build,) = server.request("GET", f"/v1/algorithms/local/{name}/builds").json()["results"]
    place, deadline = f"/v1/algorithms/local/{name}/builds/{build['build_id']}/logs", time.monotonic() + 120
    while (log := server.request("GET", place)).status_code == 404:
        assert time.monotonic() < deadline
    return log.json()["logs"]
