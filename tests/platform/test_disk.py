"""The ceiling of disk space: an algorithm that fills its folder hurts only itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wrapgen.platform.workers.disk import held_by

FILLER = """\
import itertools
import os
import time


def apply(input):
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
    return sorted(os.listdir("."))
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
