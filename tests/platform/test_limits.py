"""The ceilings of a worker hold for all its processes together, by control groups and by measuring."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from attacks import push, source

from wrapgen.platform.workers.cgroups import Cgroups

GREEDY = """\
import mmap
import os
import subprocess
import sys
import threading
import time

MIB = 1 << 20
HOLD = "import sys, time; held = b'x' * (100 << 20); print('held', flush=True); time.sleep(120)"


def touched(memory, size):
    for place in range(0, size, 4096):
        memory[place] = 1


def shared():
    globals()["kept"] = mmap.mmap(-1, 400 * MIB)  # else it would be freed again before anyone looks
    touched(kept, 400 * MIB)


def file_in_memory():
    descriptor = os.memfd_create("x")
    for _ in range(400):
        os.write(descriptor, bytes(MIB))


def children():
    started = [subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE) for _ in range(4)]
    return sum(child.stdout.readline() == b"held\\n" for child in started)


def processes():
    started = 0
    try:
        for started in range(400):
            subprocess.Popen(["sleep", "120"])
    except OSError:
        return started
    return started


def threads():
    started = 0
    try:
        for started in range(400):
            threading.Thread(target=time.sleep, args=(120,), daemon=True).start()
    except RuntimeError:
        return started
    return started


def apply(input):
    done = globals()[input]() if input else None
    if input and done in (None, 4, 399):
        time.sleep(120)  # until it is ended
    return done
"""

WORDS = ("--worker-memory", "128", "--worker-processes", "64", "--workers", "1")
MEASURED = (
    "import sys; from wrapgen.cli.main import main; from wrapgen.platform.workers.cgroups import Cgroups; "
)
MEASURED += "Cgroups.find = classmethod(lambda cls: None); sys.exit(main())"


@pytest.fixture(params=["cgroups", "measured"])
def greedy(request, serve, publish, tmp_path):
    """Asks an algorithm that takes too much, on a server that limits it in one of the two ways."""
    measured = request.param == "measured"
    groups = Cgroups.find()
    if groups is not None:
        groups.close()
    elif not measured:
        pytest.skip("this server may make no control groups")
    program = ("-c", MEASURED) if measured else ("-m", "wrapgen")
    server = serve(tmp_path / "home", *WORDS, "--isolation", "auto", program=program)
    assert server.facts["limits"] == ("measured" if measured else f"cgroups v{groups.version}")
    reference = publish(server, "Greedy", source(tmp_path / "greedy", "Greedy", GREEDY))
    return lambda what: server.call(reference, what).json()


def test_the_ceilings_hold_for_all_that_a_worker_has(greedy):
    """400 MiB that are shared, or a file in memory, four children of 100 MiB, 400 processes or threads."""
    for way in ("shared", "file_in_memory"):
        error = greedy(way)["error"]
        assert error["error_type"] == "OutOfMemoryError"
        assert "over the ceiling of memory" in error["message"]
    answer = greedy("children")
    assert "error" in answer or answer["result"] < 4
    for way in ("processes", "threads"):
        answer = greedy(way)
        if "error" in answer:
            assert "over the ceiling of processes" in answer["error"]["message"]
        else:
            assert answer["result"] < 64
    assert greedy("")["result"] is None


BUILT = """\
import subprocess
held = [subprocess.Popen(["sleep", "2"]) for _ in range(400)]
raise SystemExit("unlimited")
"""


def test_the_ceilings_hold_for_builds_too(serve, tmp_path):
    """What a requirement runs while it is built can start no more processes than a worker."""
    server = serve(tmp_path / "home", "--worker-processes", "64", "--isolation", "auto")
    folder = source(tmp_path / "bomb", "Bomb", GREEDY, **{"requirements.txt": "./pkg\n"})
    (folder / "pkg").mkdir()
    (folder / "pkg" / "backend.py").write_text(BUILT)
    backend = 'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (folder / "pkg" / "pyproject.toml").write_text(f"[build-system]\n{backend}")
    log = push(server, "Bomb", folder)
    assert "build failed" in log
    assert "unlimited" not in log


FILLING = """\
import time
for number in range(40):
    with open(f"file{number}", "wb") as file:
        file.write(bytes(1 << 20))
time.sleep(120)
raise SystemExit("unlimited")
"""


def test_a_build_that_fills_the_disk_is_ended(serve, tmp_path):
    """`--limit build-bytes` holds for what a build writes; its log names the ceiling."""
    server = serve(tmp_path / "home", "--limit", "build-bytes=20000000", "--isolation", "auto")
    folder = source(tmp_path / "filling", "Filling", GREEDY, **{"requirements.txt": "./pkg\n"})
    (folder / "pkg").mkdir()
    (folder / "pkg" / "backend.py").write_text(FILLING)
    backend = 'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (folder / "pkg" / "pyproject.toml").write_text(f"[build-system]\n{backend}")
    log = push(server, "Filling", folder)
    assert "over the ceiling of disk space" in log and "unlimited" not in log, log


def test_groups_of_version_2(tmp_path):
    """Where the tree is version 2, a group has the limits of memory, swap and processes in one folder."""
    mount = tmp_path / "cgroup"
    own = mount / "user.slice"
    own.mkdir(parents=True)
    for folder in (mount, own):
        (folder / "cgroup.controllers").write_text("cpu memory pids\n")
    made = own / f"wrapgen-{os.getpid()}"
    made.mkdir()  # the kernel fills a new group with files of these names
    (made / "cgroup.controllers").write_text("memory pids\n")
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text("0::/user.slice\n")
    (proc / "mountinfo").write_text(f"30 23 0:26 / {mount} rw - cgroup2 cgroup2 rw\n")
    found = Cgroups.find(proc)
    assert found == Cgroups(2, (made,))
    assert (made / "cgroup.subtree_control").read_text() == "+memory +pids\n"
    (proc / "mountinfo").write_text("")
    assert Cgroups.find(proc) is None


@pytest.fixture(params=["with limits", "of version 2, without limits"])
def real_groups(request):
    """Groups of this machine: those that limit, and a tree of version 2 even where it has no controller."""
    if request.param == "with limits":
        yield Cgroups.find() or pytest.skip("this server may make no control groups")
        return
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    trees = [Path(words[4]) for words in mounts if words[words.index("-") + 1] == "cgroup2"]
    folder = (
        trees[0] / f"wrapgen-test-{os.getpid()}" if trees else pytest.skip("there is no tree of version 2")
    )
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this user may make no group in it")
    yield Cgroups(2, (folder,))


def test_what_is_left_in_a_group_is_ended(real_groups):
    """A process that left its session and its environment behind ends with its worker."""
    groups = real_groups
    group = groups.make("test", 64 << 20, 16)
    command = group.entering(["setsid", "env", "-i", "/bin/sleep", "60"])
    with subprocess.Popen(command) as process:
        while "sleep" not in Path(f"/proc/{process.pid}/comm").read_text():
            pass
        group.remove()
        assert process.wait(60) == -signal.SIGKILL
    assert not any(folder.exists() for folder in group.folders)
    groups.close()
