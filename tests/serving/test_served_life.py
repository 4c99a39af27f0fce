"""A served wrapper from start to end: tokens, loading, too many calls, clients that leave, signals."""

from __future__ import annotations

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from served_wrapper import SECONDS, TOKEN, HeldCall, served


def _started_in_vain(folder, variables):
    """The exit code of a server that does not start, and what it printed since."""
    with served(folder, variables, loaded=False) as server:
        code = server.process.wait(SECONDS)
        return code, server.log.read_text()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WRAPPER_TOKEN": ""}, "no token: set WRAPPER_TOKEN"),
        ({"WRAPPER_TOKEN": "", "WRAPPER_OPEN": "/metrics"}, "no token: set WRAPPER_TOKEN"),
        ({"WRAPPER_TOKEN": "", "WRAPPER_TOKEN_FILE": "/nowhere"}, "WRAPPER_TOKEN_FILE can't be read"),
        ({"WRAPPER_TOKEN": "t\xf6ken"}, "only characters of ASCII"),
        ({"WRAPPER_CALLS": "0"}, "WRAPPER_CALLS must be a whole number from 1"),
        ({"WRAPPER_WAITING": "many"}, "WRAPPER_WAITING must be a whole number"),
    ],
)
def test_wrong_settings_end_the_start_with_one_line(echo_folder, variables, said):
    """Nothing is served without a token, nor with a setting that can't be read; a line says which."""
    code, printed = _started_in_vain(echo_folder, variables)
    assert code == 3 and printed.count(said) == 1 and "Traceback" not in printed and TOKEN not in printed


def test_tokens_come_from_a_file_and_may_be_several(echo_folder, tmp_path):
    """While tokens are changed the old one and the new one are good."""
    (tmp_path / "tokens").write_text("old-token\nnew-token\n")
    variables = {"WRAPPER_TOKEN": "", "WRAPPER_TOKEN_FILE": str(tmp_path / "tokens")}
    with served(echo_folder, variables) as server:
        assert [server.ask(body=1, token=token).status for token in ("old-token", "new-token", TOKEN)] == [
            200,
            200,
            401,
        ]


def test_paths_may_be_opened_to_everyone(echo_folder):
    """Only those that are named need no token; all of them may be."""
    with served(echo_folder, {"WRAPPER_OPEN": "/metrics"}) as server:
        assert server.ask("GET", "/metrics", token=None).status == 200
        assert server.ask("GET", "/openapi.json", token=None).status == 401
        assert server.ask(body=1, token=None).status == 401
    with served(echo_folder, {"WRAPPER_TOKEN": "", "WRAPPER_OPEN": "/"}) as server:
        assert server.ask(body=1, token=None).json() == 1


def test_calls_are_refused_until_the_wrapper_has_loaded(echo_folder, tmp_path):
    """Probes are answered while it loads: it is alive, and not ready."""
    os.mkfifo(tmp_path / "load")
    with served(echo_folder, {"ECHO_LOAD": str(tmp_path / "load")}, loaded=False) as server:
        assert server.ask("GET", "/healthz").status == 200
        assert server.state() == "loading" and server.ask("GET", "/readyz").status == 503
        early = server.ask(body=1)
        assert early.status == 503 and early.headers["retry-after"] == "1"
        (tmp_path / "load").write_text("")
        server.wait_until("wrapper_ready 1")
        assert server.ask(body=1).json() == 1


def test_a_wrapper_that_can_t_be_loaded_ends_the_server(echo_folder, tmp_path):
    """An operator can start it again: the exit code and the last line say why it ended."""
    os.mkfifo(tmp_path / "load")
    with served(echo_folder, {"ECHO_LOAD": str(tmp_path / "load")}, loaded=False) as server:
        (tmp_path / "load").write_text("fail")
        assert server.process.wait(SECONDS) == 3
        assert "can't be loaded: ImportError: there is no model" in server.log.read_text().splitlines()[-1]


def test_more_calls_than_it_takes_are_told_to_come_again(echo, tmp_path):
    """Two run and one waits; the next is refused at once, and all others are answered."""
    held = [HeldCall(echo, tmp_path) for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        third = pool.submit(echo.ask, body="third")
        echo.wait_until("wrapper_waiting 1")
        full = echo.ask(body="fourth")
        assert full.status == 503 and full.headers["retry-after"] == "1"
        assert full.json()["error"]["error_type"] == "TooManyRequests"
        assert [call.end().json() for call in held] == ["ended"] * 2
        assert third.result(SECONDS).json() == "third"


def test_a_call_whose_client_has_left_is_not_begun(echo, tmp_path):
    """What waits for a thread costs nothing once its client has left."""
    held = [HeldCall(echo, tmp_path) for _ in range(2)]
    body = b'{"note": "%b"}' % bytes(tmp_path / "begun")
    head = "POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n"
    head += "Content-Type: {}\r\nContent-Length: {}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", echo.port), SECONDS) as client:
        client.sendall(head.format(TOKEN, "application/json", len(body)).encode() + body)
        echo.wait_until("wrapper_waiting 1")
    echo.wait_until("wrapper_waiting 0")
    for call in held:
        call.end()
    assert echo.ask(body="after").json() == "after" and not (tmp_path / "begun").exists()


def _resident(server):
    """Bytes of memory that the server's process has."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_nothing_is_kept_of_calls_whose_clients_have_left(echo_folder, tmp_path):
    """While one call runs, clients send bodies of 9 MB and leave: memory stays as it was."""
    body = bytes(9_000_000)
    head = f"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    with served(echo_folder, {"WRAPPER_CALLS": "1", "WRAPPER_WAITING": "1"}) as server:
        held, sizes = HeldCall(server, tmp_path), []
        for _ in range(12):
            with socket.create_connection(("127.0.0.1", server.port), SECONDS) as client:
                client.sendall(head.encode() + body)
                server.wait_until("wrapper_waiting 1")
            server.wait_until("wrapper_waiting 0")
            sizes.append(_resident(server))
        assert held.end().json() == "ended" and server.ask(body="after").json() == "after"
    assert sizes[-1] - sizes[1] < 5 * len(body)


def test_sigterm_lets_running_calls_end(echo_folder, tmp_path):
    """A call that runs is answered, one that waits is refused, and then the process is gone."""
    with served(echo_folder, {"WRAPPER_CALLS": "1"}) as server, ThreadPoolExecutor(1) as pool:
        held = HeldCall(server, tmp_path)
        waiting = pool.submit(server.ask, body="waits")
        server.wait_until("wrapper_waiting 1")
        server.process.send_signal(signal.SIGTERM)
        refused = waiting.result(SECONDS)
        assert refused.status == 503 and "stopping" in refused.json()["error"]["message"]
        assert held.end("done").json() == "done"
        assert server.process.wait(SECONDS) == -signal.SIGTERM
        assert TOKEN not in server.log.read_text()


def test_after_sigterm_readiness_is_withdrawn_before_calls_are_refused(echo_folder):
    """With a delay, load balancers learn of the end first; a second signal ends it at once."""
    with served(echo_folder, {"WRAPPER_STOP_DELAY": "3600"}) as server:
        server.process.send_signal(signal.SIGTERM)
        while server.state() != "stopping":
            threading.Event().wait(0.01)
        assert server.ask("GET", "/readyz").status == 503 and server.ask(body=1).json() == 1
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(SECONDS) == -signal.SIGTERM
