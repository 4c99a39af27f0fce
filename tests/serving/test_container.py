"""The Dockerfile of a served wrapper, read as a linter would, and its steps executed without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from served_wrapper import TOKEN, built

DRIVER = """\
import json, subprocess, sys, urllib.request
command, health = json.loads(sys.argv[1]), json.loads(sys.argv[2])
server = subprocess.Popen(command)
while subprocess.run(health, stderr=subprocess.DEVNULL).returncode:
    assert server.poll() is None, "the server has ended"
headers = {"Authorization": "Bearer " + sys.argv[3], "Content-Type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8080/", b'["one", "two"]', headers)
while True:
    try:
        print(urllib.request.urlopen(request, timeout=60).read().decode())
        break
    except urllib.error.HTTPError as error:
        assert error.code == 503, error  # it is loading
server.terminate()
sys.exit(server.wait() not in (0, -15))
"""
"""What Docker does with a container: the command, the health check, a call, SIGTERM."""


def instructions(folder: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile and their arguments, in order."""
    text = (folder / "Dockerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def copied(folder: Path, image: Path) -> None:
    """Does what the COPY instructions do."""
    for name, rest in instructions(folder):
        if name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                if (folder / source).is_dir():
                    ignored = shutil.ignore_patterns(
                        (folder / ".dockerignore").read_text().strip().rpartition("/")[2]
                    )
                    shutil.copytree(folder / source, image / target, ignore=ignored)
                else:
                    shutil.copy(folder / source, image / target)


def test_the_image_is_small_unprivileged_and_holds_no_secret(echo_folder):
    """A slim base of one version; fixed ids without rights; nothing is fetched but packages; no secrets."""
    found = instructions(echo_folder)
    named = dict(found)
    assert re.fullmatch(r"python:\$\{PYTHON\}-slim", named["FROM"])
    assert re.fullmatch(r"PYTHON=3\.\d+", named["ARG"])
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", named["USER"])
    last_root = max(place for place, (name, _) in enumerate(found) if name in ("RUN", "COPY"))
    assert [name for name, _ in found].index("USER") > last_root
    assert {name for name, _ in found} <= {
        *("ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"),
        "CMD",
    }
    assert json.loads(named["CMD"])[:4] == ["python", "-m", "uvicorn", "serve:app"]
    assert not re.search(r"token|secret|password|key", " ".join(f"{a} {b}" for a, b in found), re.IGNORECASE)
    assert named["ENV"].count("PIP_NO_CACHE_DIR=1") == 1


def test_only_the_wrapper_gets_into_the_image(echo_folder, tmp_path):
    """Neither the spec, nor tests, nor a file that lies beside them."""
    folder, image = tmp_path / "wrapper", tmp_path / "image"
    shutil.copytree(echo_folder, folder)
    (folder / ".env").write_text("SECRET=1")
    image.mkdir()
    copied(folder, image)
    assert {path.name for path in image.iterdir()} == {
        *("requirements.txt", "requirements-serve.txt", "serve.py", "serving", "src", "inline")
    }


@pytest.mark.parametrize(("environment", "python"), [("", "3.12"), ("  environment: python38\n", "3.8")])
def test_the_python_of_the_image_is_that_of_the_spec(tmp_path, environment, python):
    """A spec that names an environment gets its version."""
    spec = "version: 1\ntarget: {source: ./echo}\nwrapper:\n  name: acme/Echo\n  mode: batch\n" + environment
    assert dict(instructions(built(tmp_path, spec)))["ARG"] == f"PYTHON={python}"


def _commands(folder: Path) -> list[list[str]]:
    named = dict(instructions(folder))
    return [json.loads(named[name].rpartition("CMD")[2] or named[name]) for name in ("CMD", "HEALTHCHECK")]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap, which stands in for the container")
def test_the_command_works_without_rights_on_a_file_system_that_can_t_be_written(echo_folder, tmp_path):
    """As in the container: another user, everything read-only but /tmp, and the ports as they are printed."""
    image = tmp_path / "image"
    image.mkdir()
    copied(echo_folder, image)
    prefix, inside = str(Path(sys.prefix)), ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    inside += ["--tmpfs", "/tmp", "--ro-bind", prefix, prefix, "--ro-bind", str(image), "/srv"]
    inside += ["--unshare-user", "--uid", "65532", "--gid", "65532", "--unshare-net", "--die-with-parent"]
    arguments = [*map(json.dumps, _commands(echo_folder)), TOKEN]
    done = subprocess.run(
        ["bwrap", *inside, "--chdir", "/srv", "python", "-c", DRIVER, *arguments],
        env={**os.environ, "PATH": f"{prefix}/bin:{os.environ['PATH']}", "WRAPPER_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["one", "two"]
    assert not list(image.rglob("*.pyc")) and not list(image.rglob("__pycache__"))


@pytest.mark.soak
def test_the_requirements_are_all_it_takes(echo_folder, tmp_path):
    """Every step of the Dockerfile in a fresh environment: install, compile, serve, answer."""
    image, fresh = tmp_path / "image", tmp_path / "fresh"
    image.mkdir()
    copied(echo_folder, image)
    venv.create(fresh, with_pip=True)
    environment = {**os.environ, "PATH": f"{fresh}/bin:{os.environ['PATH']}", "WRAPPER_TOKEN": TOKEN}
    environment.pop("PYTHONPATH", None)
    for name, rest in instructions(echo_folder):
        if name == "RUN":
            subprocess.run(["sh", "-c", rest], cwd=image, env=environment, check=True, timeout=600)
    assert (image / "src" / "__pycache__").is_dir()
    command, health = ([word.replace("8080", "18080") for word in words] for words in _commands(echo_folder))
    driver = DRIVER.replace("8080", "18080")
    done = subprocess.run(
        ["python", "-c", driver, json.dumps(command), json.dumps(health), TOKEN],
        cwd=image,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0 and json.loads(done.stdout) == ["one", "two"], done.stderr
