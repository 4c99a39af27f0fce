"""What the server does in the background goes on after one round of it has failed."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import msgspec

from wrapgen.platform.calls.void_calls import PersistedRequest, VoidCalls
from wrapgen.platform.domain.model import Caller
from wrapgen.platform.observe import server_log
from wrapgen.platform.observe.server_log import ServerLog

FULL = Path("/dev/full")


def test_the_log_is_written_again_after_a_full_disk(tmp_path, monkeypatch, capsys):
    """A full disk costs lines, neither those that come later nor a good end of the server."""
    monkeypatch.setattr(server_log, "FLUSH_SECONDS", 0.0)
    log = ServerLog(tmp_path)
    log.path.symlink_to(FULL)

    async def life():
        task, said = asyncio.create_task(log.tend()), ""
        log.note("lost")
        while "log lines are lost" not in said:
            await asyncio.sleep(0)
            said += capsys.readouterr().err
        log.path.unlink()
        log.note("kept")
        while not log.path.exists():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert asyncio.run(asyncio.wait_for(life(), 60))
    assert [json.loads(line)["event"] for line in log.path.read_text().splitlines()] == ["kept"]


def test_a_void_call_that_cannot_be_read_keeps_none_from_running_again(tmp_path):
    """After a start those of which the disk has kept nothing useful are left out, and told in the log."""
    ran = []

    class Calls(VoidCalls):
        async def _again(self, request_id, persisted, body):
            ran.append(body)

    caller = Caller("one", "k")
    head = msgspec.json.encode(PersistedRequest(caller, "one/a/1.0.0", "application/json", "", None, False))
    (tmp_path / f"req-{36 * '1'}.request").write_bytes(b"{")
    (tmp_path / f"req-{36 * '2'}.request").write_bytes(head + b"\n{}")
    asyncio.run(Calls(tmp_path, None, time.time).resume())
    assert ran == [b"{}"]
