"""Worker processes: deadlines, crashes, children, ceilings, identity, and what they may see."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest


def eventually(condition, seconds=10.0):
    """Waits for a condition with a deadline; gives its last value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return found


def alive(process):
    """Whether a process exists and is not just waiting to be reaped."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_call_over_its_time_ends_with_everything_it_started(server, zoo, tmp_path):
    """At the deadline the caller gets a TimeoutError; the worker and a child in another session are gone."""
    note = tmp_path / "note"
    for seconds in ("1", "10", "100"):  # it may take a while until the algorithm has begun
        answer = server.call(zoo, {"op": "hang", "note": str(note)}, timeout=seconds)
        if note.exists() and len(note.read_text().split()) == 2:
            break
    assert answer.status_code == 200
    assert answer.json()["error"]["error_type"] == "TimeoutError"
    processes = [int(word) for word in note.read_text().split()]
    assert len(processes) == 2
    assert eventually(lambda: not any(map(alive, processes)), 60)
    assert server.call(zoo, "you").json()["result"] == "hello you"


def test_a_worker_that_exits_is_reported_and_replaced(server, zoo):
    """The error says the exit code and, to the owner, the last output; the next call works."""
    error = server.call(zoo, {"op": "exit", "code": 3}).json()["error"]
    assert (error["error_type"], error["message"]) == ("SystemExit", "exited with code 3")
    assert "last words" in error["stacktrace"]
    assert server.call(zoo, "you").json()["result"] == "hello you"


def test_half_a_response_is_not_an_answer(server, zoo):
    """A worker that writes half a line and ends is a crash like any other."""
    assert server.call(zoo, {"op": "half"}).json()["error"]["error_type"] in ("SystemExit", "ParsingError")
    assert server.call(zoo, "you").json()["result"] == "hello you"


def test_half_a_response_that_stalls_ends_at_the_deadline(server, zoo):
    """The rest of it is waited for no longer than the call may take, and nothing of it gets into another."""
    assert server.call(zoo, {"op": "stall"}, timeout="2").json()["error"]["error_type"] == "TimeoutError"
    assert [server.call(zoo, "you").json()["result"] for _ in range(3)] == ["hello you"] * 3


def test_too_much_memory_hurts_only_its_call(serve, publish, zoo_folder, tmp_path):
    """Over `--worker-memory` a call is an OutOfMemoryError; others are answered meanwhile and after."""
    own = serve(tmp_path / "home", "--workers", "3", "--worker-memory", "512")
    reference = publish(own, "Zoo", zoo_folder)
    with ThreadPoolExecutor(4) as threads:
        greedy = threads.submit(own.call, reference, {"op": "memory", "bytes": 4 << 30})
        others = [threads.submit(own.call, reference, "you") for _ in range(12)]
        assert all(call.result().json()["result"] == "hello you" for call in others)
    assert greedy.result().json()["error"]["error_type"] == "OutOfMemoryError"
    assert own.call(reference, {"op": "memory", "bytes": 1 << 20}).json()["result"] == 1 << 20


def test_a_forked_child_cannot_answer(server, zoo):
    """Only the process that was asked speaks; its copies end quietly."""
    assert [server.call(zoo, {"op": "fork"}).json()["result"] for _ in range(5)] == ["parent"] * 5


def test_a_flood_of_output_hurts_only_its_author(server, zoo):
    """20 MB of output come through slowly, its end is kept, and other calls are answered meanwhile."""
    with ThreadPoolExecutor(1) as threads:
        flood = threads.submit(server.call, zoo, {"op": "flood", "kilobytes": 20_000}, stdout="true")
        took = []
        while not flood.done():
            began = time.monotonic()
            assert server.request("GET", "/health").status_code == 200
            took.append(time.monotonic() - began)
    assert flood.result().json()["result"] == "done"
    assert len(flood.result().json()["metadata"]["stdout"]) <= 256 * 1024
    assert sorted(took)[len(took) // 2] < 0.2


def test_workers_see_only_what_the_algorithm_owns(server, zoo, monkeypatch):
    """The environment holds no variable of the server's; folder and temporary folder are the worker's own."""
    variables = server.call(zoo, {"op": "variables"}).json()["result"]
    assert set(variables) <= {
        "ALGORITHMIA_API",
        "ALGORITHMIA_API_KEY",
        "HOME",
        "LANG",
        "LC_CTYPE",
        "PATH",
        "TMPDIR",
        "VIRTUAL_ENV",
        "WRAPGEN_TEMPORARY",
        "WRAPGEN_WRITABLE",
    }
    assert variables["ALGORITHMIA_API_KEY"] != server.key
    work, temporary = server.call(zoo, {"op": "where"}).json()["result"]
    assert Path(work).parent == Path(temporary).parent
    assert str(server.home / "workers") in work


def test_what_a_worker_writes_stays_with_it(server, zoo):
    """Writing beside the source never changes the source of the build, nor what other workers see."""
    written = Path(server.call(zoo, {"op": "write", "path": "src/Zoo.py"}).json()["result"])
    assert written.read_text() == "x"
    assert not any(source.read_text() == "x" for source in server.home.glob("builds/**/Zoo.py"))
    server.call(zoo, {"op": "exit", "code": 0})
    assert eventually(lambda: not written.exists())
    assert server.call(zoo, "you").json()["result"] == "hello you"


def test_nested_calls_act_for_the_caller(server, zoo):
    """An algorithm's own client needs no key, calls other algorithms and is whoever called it."""
    assert server.call(zoo, {"op": "pipe", "algorithm": zoo, "value": "you"}).json()["result"] == "hello you"
    assert server.call(zoo, {"op": "whoami"}).json()["result"] == server.facts["account"]


def test_a_workers_key_is_worth_nothing_outside_a_call(server, zoo):
    """The key that an algorithm sees is refused once its call is over."""
    key = server.call(zoo, {"op": "variables"}).json()["result"]["ALGORITHMIA_API_KEY"]
    assert server.call(zoo, "you", key=key).status_code == 401
    assert server.request("GET", "/v1/data/.my", key).status_code == 401


def test_a_nested_call_does_not_begin_after_the_call_above_it(server, zoo, tmp_path):
    """One whose head came in time and whose body comes when the call above has ended is refused."""
    key, gate = tmp_path / "key", tmp_path / "gate"
    with ThreadPoolExecutor(1) as threads:
        above = threads.submit(server.call, zoo, {"op": "wait", "path": str(gate), "key": str(key)})
        assert eventually(key.exists)
        host, _, port = server.address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as client:
            head = f"POST /v1/algo/{zoo} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {key.read_text()}\r\n"
            body = "Content-Type: text/plain\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
            client.sendall((head + body).encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
            gate.touch()
            assert above.result().status_code == 200
            client.sendall(b"you")
            assert client.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_endless_recursion_ends(server, zoo):
    """An algorithm that calls itself gets a clear error at the depth limit, not a deadlock."""
    assert server.call(zoo, {"op": "nested", "algorithm": zoo, "depth": 5}).json()["result"] == "bottom"
    error = server.call(zoo, {"op": "nested", "algorithm": zoo, "depth": 30}).json()["error"]
    assert error["error_type"] == "AlgorithmError"


def test_calls_wait_their_turn_and_the_pool_grows(server, zoo):
    """More calls at once than workers: all are answered, by more than one worker and at most the ceiling."""
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(server.call, zoo, {"op": "sleep", "seconds": 0.3}) for _ in range(16)]
        workers = {call.result().json()["result"] for call in calls}
    assert 2 <= len(workers) <= 4


def test_failures_are_listed_for_the_owner(server, zoo):
    """A failed call is in the algorithm's error log with its input and type."""
    answer = server.call(zoo, {"op": "refuse", "mark": "find me"})
    entries = server.request("GET", f"/v1/algorithms/{zoo}/errors").json()
    entry = next(each for each in entries if each["request_id"] == answer.json()["request_id"])
    assert entry["error_type"] == "InputError"
    assert "find me" in entry["input"]


def test_workers_leave_the_servers_process_group(server, zoo):
    """A Ctrl-C in the server's terminal is the server's alone: workers have a session of their own."""
    process = server.call(zoo, {"op": "pid"}).json()["result"]
    assert os.getsid(process) == process


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes")
def test_no_more_than_the_accounts_calls_at_once(server, zoo):
    """Over 80 open calls of one account the next gets 429 with Retry-After."""
    with ThreadPoolExecutor(90) as threads:
        calls = [threads.submit(server.call, zoo, {"op": "sleep", "seconds": 0.05}) for _ in range(90)]
        answers = [call.result() for call in calls]
    throttled = [answer for answer in answers if answer.status_code == 429]
    assert all(answer.headers["retry-after"] for answer in throttled)
    assert sum(answer.status_code == 200 for answer in answers) >= 80
    assert server.call(zoo, "you").status_code == 200
