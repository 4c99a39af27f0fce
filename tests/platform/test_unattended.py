"""`output=void`: acknowledged at once, followed by request id, and never lost."""

from __future__ import annotations

import asyncio
import signal
import threading
import time

import msgspec
from Algorithmia.algorithm import OutputType

from wrapgen.errors import NotFound
from wrapgen.platform.calls import void_calls
from wrapgen.platform.calls.void_calls import PersistedRequest, VoidCalls
from wrapgen.platform.domain.model import Caller


def outcome(server, request_id, key=None):
    """Waits until a call has ended; gives its reply."""
    deadline = time.monotonic() + 120
    while (answer := server.request("GET", f"/v1/requests/{request_id}", key)).status_code == 202:
        assert answer.json() == {"request_id": request_id, "status": "running"}
        assert time.monotonic() < deadline, "the call never ended"
        threading.Event().wait(0.05)
    return answer


def test_void_output_answers_at_once_and_can_be_followed(server, zoo, tmp_path):
    """The vendor's client gets the request id; asking for it gives the reply that a waiting caller gets."""
    gate = tmp_path / "gate"
    algorithm = server.client().algo(zoo).set_options(output=OutputType.void)
    answer = algorithm.pipe({"op": "wait", "path": str(gate)})
    assert answer.async_protocol == "void"
    assert server.request("GET", f"/v1/requests/{answer.request_id}").status_code == 202
    gate.touch()
    reply = outcome(server, answer.request_id).json()
    assert reply["request_id"] == answer.request_id
    assert reply["metadata"]["duration"] > 0


def test_a_call_that_ends_while_it_is_asked_for_is_found(tmp_path):
    """Between a look for the outcome and one for the request both change places; one look finds it."""
    request_id = "req-" + 36 * "0"
    caller = Caller("one", "k")
    head = msgspec.json.encode(PersistedRequest(caller, "one/a/1.0.0", "application/json", "", None, False))
    request, ended = tmp_path / f"{request_id}.request", tmp_path / f"{request_id}.outcome"

    class Ending(VoidCalls):
        def _path(self, asked, suffix):
            if suffix == ".request" and request.exists():
                ended.write_bytes(head + b'\n{"result": 1}')
                request.unlink()
            return super()._path(asked, suffix)

    request.write_bytes(head + b"\n{}")
    found = Ending(tmp_path, None, time.time).find(request_id, caller)
    assert found.reply == b'{"result": 1}'


def test_a_failed_void_call_keeps_its_error(server, zoo):
    """The outcome of a failure is the error, as a waiting caller would see it."""
    started = server.call(zoo, {"op": "refuse"}, output="void").json()
    assert set(started) == {"async", "request_id"}
    assert outcome(server, started["request_id"]).json()["error"]["error_type"] == "InputError"


def test_a_session_ends_with_its_last_call(server, zoo, tmp_path):
    """A void call that outlives the call that made it still has their `.session`; it ends with it."""
    late = {"op": "keep", "gate": str(tmp_path / "gate"), "file": "data://.session/late"}
    request_id = server.call(zoo, {"op": "leave", "algorithm": zoo, "value": late}).json()["result"]
    assert server.request("GET", f"/v1/requests/{request_id}").status_code == 202
    (tmp_path / "gate").touch()
    assert outcome(server, request_id).json()["result"] == "x"
    assert list((server.home / "data" / "sessions").iterdir()) == []


def test_wrong_void_calls_are_refused_at_once(server, zoo):
    """What can't run is never acknowledged."""
    assert server.call("local/Nothing", 1, output="void").status_code == 404
    assert server.call(zoo, 1, output="void", timeout="0").status_code == 400


def test_an_unknown_request_is_not_found(server):
    """Ids that never were, or are no ids, are 404 with the API's number."""
    for request_id in ("req-00000000-0000-4000-a000-000000000000", "req-1", "..%2F..%2Fcredentials"):
        answer = server.request("GET", f"/v1/requests/{request_id}")
        assert answer.status_code == 404
    assert answer.json()["error"]["message"]


def test_a_killed_server_runs_its_void_calls_again(serve, tmp_path, publish, zoo_folder):
    """What was acknowledged before a SIGKILL has an outcome after the next start."""
    server = serve(tmp_path / "home")
    reference = publish(server, "Zoo", zoo_folder)
    started = server.call(reference, {"op": "sleep", "seconds": 2}, output="void").json()
    server.stop(signal.SIGKILL)
    again = serve(tmp_path / "home")
    assert outcome(again, started["request_id"]).json()["metadata"]["content_type"] == "json"


def test_a_call_that_has_ended_does_not_run_again(tmp_path):
    """Where a power cut took only the removal of the request, its outcome stays what was answered."""
    request_id = "req-" + 36 * "1"
    caller = Caller("one", "k")
    head = msgspec.json.encode(PersistedRequest(caller, "one/a/1.0.0", "application/json", "", None, False))
    calls = VoidCalls(tmp_path, None, time.time)
    (tmp_path / f"{request_id}.request").write_bytes(head + b"\n{}")
    (tmp_path / f"{request_id}.outcome").write_bytes(head + b'\n{"result": 1}')
    asyncio.run(calls.resume())
    assert [path.name for path in tmp_path.iterdir()] == [f"{request_id}.outcome"]
    assert calls.find(request_id, caller).reply == b'{"result": 1}'


def test_an_outcome_waits_for_a_disk_that_is_full(tmp_path, monkeypatch):
    """A call whose outcome can't be written at first has ended as soon as it can be."""
    monkeypatch.setattr(void_calls, "AGAIN_SECONDS", 0.0)
    request_id = "req-" + 36 * "2"
    caller = Caller("one", "k")
    head = msgspec.json.encode(PersistedRequest(caller, "one/a/1.0.0", "application/json", "", None, False))
    tries = []

    class Full(VoidCalls):
        def _write(self, path, parts):
            tries.append(path)
            if len(tries) < 3:
                raise OSError(28, "No space left on device")
            super()._write(path, parts)

    class Gone:
        def begin(self, *_, **__):
            raise NotFound("no such algorithm")

    calls = Full(tmp_path, Gone(), time.time)
    (tmp_path / f"{request_id}.request").write_bytes(head + b"\n{}")
    asyncio.run(calls.resume())
    assert len(tries) == 3 and b"no such algorithm" in calls.find(request_id, caller).reply
