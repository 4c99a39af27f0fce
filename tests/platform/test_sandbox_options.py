"""What the sandbox breaks can be allowed; a server that is root has one, or says that it goes without."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import pytest
from attacks import source

KEEPER = """\
import six


def apply(input):
    with open(input["path"], input["mode"]) as file:
        return file.write("x") if input["mode"] == "w" else file.read()
"""


@pytest.fixture
def keeper(serve, publish, sandboxed, tmp_path):
    """An algorithm that reads and writes files of the machine, on a server that shows it two folders."""
    (tmp_path / "shown").mkdir(mode=0o755)
    (tmp_path / "shown" / "model").write_text("weights")
    words = ("--readable", str(tmp_path / "shown"), "--writable", str(tmp_path / "made" / "store"))
    closed = ("-c", "import os, sys; os.umask(0o077); from wrapgen.cli.main import main; sys.exit(main())")
    server = serve(tmp_path / "other", "--isolation", "bubblewrap", *words, program=closed)
    folder = source(tmp_path / "keeper", "Keeper", KEEPER, **{"requirements.txt": "six\n"})
    reference = publish(server, "Keeper", folder)
    return lambda path, mode="r": server.call(reference, {"path": str(path), "mode": mode}).json()


def test_what_the_sandbox_hides_has_an_option_that_the_error_names(keeper, tmp_path):
    """A writable folder is made, a readable one is read-only, and errors about others name the options."""
    answer = keeper(tmp_path / "made" / "store" / "file", "w")
    assert answer.get("result") == 1, answer
    assert (tmp_path / "made" / "store" / "file").read_text() == "x"
    assert keeper(tmp_path / "shown" / "model")["result"] == "weights"
    for path, mode in (("shown/model", "w"), ("hidden/model", "r"), ("made/else", "w")):
        message = keeper(tmp_path / path, mode)["error"]["message"]
        assert "wrapgen serve --writable DIR or --readable DIR" in message
    assert "wrapgen" not in keeper("relative", "r")["error"]["message"]


def start(home, *options, path=None):
    """What `wrapgen serve` says that can't start."""
    command = [sys.executable, "-m", "wrapgen", "serve", "--home", str(home), "--port", "0", *options]
    variables = {**os.environ, **({"PATH": path} if path else {})}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=variables)
    assert done.returncode == 2, done.stdout
    return done.stderr


def test_the_home_is_never_shown(sandboxed, tmp_path):
    """Nor is a folder taken that the workers' user could not write to."""
    home = tmp_path / "kept"
    (home / "data").mkdir(parents=True)
    for option in ("--readable", "--writable"):
        assert "part of the platform's home" in start(home, option, str(home / "data"))
    if os.geteuid() == 0:
        (tmp_path / "closed").mkdir(mode=0o700)
        said = start(home, "--writable", str(tmp_path / "closed"))
        assert "can't be written to" in said
        assert "chown" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's workers would be root")
def test_root_needs_a_sandbox_or_says_that_it_goes_without(tmp_path):
    """Without bubblewrap, and with --isolation none, the error names the option."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "git").symlink_to(shutil.which("git"))
    said = start(tmp_path / "home", path=str(tools))
    assert "bubblewrap is not installed" in said
    assert "--allow-root-workers" in said
    assert "--allow-root-workers" in start(tmp_path / "home", "--isolation", "none")


HERMIT = """\
import socket
import Algorithmia


def reach(address):
    try:
        socket.create_connection(address, 2).close()
        return True
    except OSError:
        return False


def abstract(name):
    with socket.socket(socket.AF_UNIX) as stream:
        try:
            stream.connect(name)
            return True
        except OSError:
            return False


def apply(input):
    client = Algorithmia.client()
    nested = client.algo(input["algorithm"]).pipe("you").result if "algorithm" in input else None
    return [reach(input["address"]), abstract(chr(0) + input["name"]), client.username(), nested]
"""


def test_an_isolated_algorithm_reaches_the_platform_and_nothing_else(sandboxed, publish, tmp_path):
    """`network_access: isolated` is a network of its own; with `full` abstract sockets are reached too."""
    folder = source(tmp_path / "hermit", "Hermit", HERMIT, **{"requirements.txt": "algorithmia>=2.0.5\n"})
    reference = publish(sandboxed, "Hermit", folder)
    greeter = publish(sandboxed, "Greeter", source(tmp_path / "greeter", "Greeter", GREETER))
    asked = {"name": f"wrapgen-{tmp_path.name}", "algorithm": greeter}
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as bus:
        asked["address"] = listener.getsockname()
        bus.bind("\0" + asked["name"])
        bus.listen()
        assert sandboxed.call(reference, asked).json()["result"] == [True, True, "local", "hello you"]
        for access, reached in (("isolated", False), ("full", True), ("isolated", False)):
            body = {"settings": {"network_access": access}}
            changed = sandboxed.request("PUT", f"/v1/algorithms/{reference}", json=body)
            assert changed.status_code == 200, changed.text
            answer = sandboxed.call(reference, asked).json()
            assert answer.get("result") == [reached, reached, "local", "hello you"], answer


IMPOSTOR = """\
import array, os, socket
if os.path.exists("algorithmia.conf") and os.path.basename(os.getcwd()) == "work":
    stream = socket.socket(fileno=os.dup(0))
    one = socket.socket() if os.path.exists("socket") else open("algorithmia.conf")
    stream.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [one.fileno()]))])
"""


def test_what_is_handed_over_is_looked_at(sandboxed, publish, tmp_path):
    """A file, or a socket that does not listen, in place of an isolated worker's listener is an error."""
    for name, more in (("File", {}), ("Socket", {"socket": ""})):
        folder = source(tmp_path / name, name, GREETER, **more, **{"requirements.txt": "./pkg\n"})
        (folder / "pkg").mkdir()
        (folder / "pkg" / "backend.py").write_text(BACKEND.format(code=IMPOSTOR))
        backend = 'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        (folder / "pkg" / "pyproject.toml").write_text(f"[build-system]\n{backend}")
        reference = publish(sandboxed, name, folder)
        body = {"settings": {"network_access": "isolated"}}
        assert sandboxed.request("PUT", f"/v1/algorithms/{reference}", json=body).status_code == 200
        error = sandboxed.call(reference, "you").json()["error"]
        assert "handed over what is no listener" in error["message"]
    assert sandboxed.request("GET", "/health").status_code == 200


BACKEND = """\
import zipfile


def build_wheel(folder, settings=None, metadata=None):
    with zipfile.ZipFile(folder + "/impostor-1.0-py3-none-any.whl", "w") as made:
        about = "impostor-1.0.dist-info/"
        made.writestr("impostor.py", {code!r})
        made.writestr("impostor.pth", "import impostor\\n")
        made.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: impostor\\nVersion: 1.0\\n")
        made.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        made.writestr(about + "RECORD", "")
    return "impostor-1.0-py3-none-any.whl"
"""


def test_releasing_says_that_isolation_is_not_enforced(server):
    """Where there is no sandbox the algorithm's object has a warning, and the sandbox's has none."""
    settings = {"network_access": "isolated"}
    made = server.request("POST", "/v1/algorithms/local", json={"name": "Lone", "settings": settings}).json()
    assert "no sandbox" in made["warnings"][0]
    server.request("POST", "/v1/algorithms/local/Lone/compile", json={})
    released = server.request("POST", "/v1/algorithms/local/Lone/versions", json={}).json()
    assert "no sandbox" in released["warnings"][0]


GREETER = 'def apply(input):\n    return "hello " + input\n'
