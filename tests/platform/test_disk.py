"""The ceiling of disk space: an algorithm that fills its folder hurts only itself."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from attacks import source as algorithm

from wrapgen.platform.workers.disk import held_by, remove

FILLER = """\
import itertools
import os
import threading
import time


def apply(input):
    if input == "later":
        threading.Thread(target=deleted).start()
        return os.getpid()
    if input == "fill":
        for number in itertools.count():
            os.makedirs("deep/%d" % number)
            with open("deep/%d/file" % number, "wb") as file:
                file.write(os.urandom(1 << 20))
            time.sleep(0.01)
    if input == "large":
        with open("large", "wb") as file:
            for _ in range(100):
                file.write(os.urandom(1 << 20))
    if input in HIDING:
        HIDING[input]()
        time.sleep(120)
    return sorted(os.listdir("."))


def written(name):
    with open(name, "wb") as file:
        for _ in range(4):
            file.write(os.urandom(1 << 20))


def deleted():
    held = []
    for number in range(5):
        written("held")
        held.append(open("held"))
        os.remove("held")
    globals()["kept"] = held


def mapped():
    import mmap
    held = []
    for number in range(5):
        written("held")
        with open("held") as file:
            held.append(mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ))
        os.remove("held")
    globals()["kept"] = held


def nested():
    os.mkdir("nested")
    os.chdir("nested")
    for _ in range(3000):
        os.mkdir("d" * 20)
        os.chdir("d" * 20)
    for number in range(5):
        written(str(number))


def empty():
    for number in range(4000):
        open("empty%d" % number, "w").close()


def closed():
    os.mkdir("closed")
    for number in range(5):
        written("closed/%d" % number)
    os.chmod("closed", 0)


HIDING = {each.__name__: each for each in (deleted, mapped, nested, empty, closed)}
"""


def test_who_fills_its_folder_is_ended(serve: Any, publish: Any, tmp_path: Path) -> None:
    """Many files together are as much as one: the call's error says why, the next call has a new folder."""
    source = tmp_path / "source"
    (source / "src").mkdir(parents=True)
    (source / "algorithmia.conf").write_text('{"algoname": "Filler"}')
    (source / "src" / "__init__.py").write_text("")
    (source / "src" / "Filler.py").write_text(FILLER)
    server = serve(tmp_path / "home", "--worker-disk", "8")
    reference = publish(server, "Filler", source)
    error = server.call(reference, "fill").json()["error"]
    assert error["error_type"] == "SystemExit"
    assert "over the ceiling of disk space" in error["message"]
    assert "deep" not in server.call(reference, "look").json()["result"]
    error = server.call(reference, "large").json()["error"]
    assert "too large" in error["message"] or "over the ceiling" in error["message"]
    assert server.call(reference, "look").status_code == 200


def test_who_fills_it_between_calls_is_ended(serve: Any, publish: Any, tmp_path: Path) -> None:
    """A worker without a request is looked at too, less often."""
    server = serve(tmp_path / "home", "--worker-disk", "8")
    reference = publish(server, "Filler", algorithm(tmp_path / "source", "Filler", FILLER))
    worker = Path("/proc") / str(server.call(reference, "later").json()["result"])
    deadline = time.monotonic() + 120
    while worker.exists():
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)
    assert server.call(reference, "look").status_code == 200


def test_who_hides_what_it_keeps_is_ended(serve: Any, publish: Any, tmp_path: Path) -> None:
    """Files that have no name any more, lie deeper than names go or in closed folders, are empty but many."""
    server = serve(tmp_path / "home", "--worker-disk", "8", "--isolation", "auto", "--workers", "1")
    reference = publish(server, "Filler", algorithm(tmp_path / "source", "Filler", FILLER))
    for way in ("deleted", "mapped", "nested", "empty", "closed"):
        error = server.call(reference, way).json()["error"]
        assert "over the ceiling of disk space" in error["message"], (way, error)
    assert "nested" not in server.call(reference, "look").json()["result"]
    assert server.stop() == 0
    assert not (server.home / "workers").exists()


def test_what_was_nested_or_closed_is_removed(tmp_path: Path) -> None:
    """A folder goes, however deep it is and whatever its permissions are; what links in it name stays."""
    kept = tmp_path / "kept"
    kept.write_text("x")
    kept.chmod(0o400)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(kept)
    subprocess.run([sys.executable, "-c", DEEP], cwd=folder, check=True)
    remove(folder)
    assert not folder.exists()
    assert kept.stat().st_mode & 0o777 == 0o400
    remove(folder)


DEEP = """
import os
for _ in range(1200):
    os.mkdir("d" * 10)
    os.chdir("d" * 10)
os.symlink("/etc", "x")
os.chmod(".", 0)
"""


def test_what_a_folder_holds(tmp_path: Path) -> None:
    """Files at any depth count with the blocks they take; links count for nothing but themselves."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    before = held_by(tmp_path, 1 << 40)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 1_000_000)
    held = held_by(tmp_path, 1 << 40)
    assert 1_000_000 <= held - before < 1_100_000
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b" / "file")
    assert held_by(tmp_path, 1 << 40) - held < 10_000
    assert held_by(tmp_path / "missing", 1) == 0
