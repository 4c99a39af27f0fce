"""`wrapgen serve` as a process: starting, stopping, being killed, and starting again."""

from __future__ import annotations

import http.client
import json
import logging
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wrapgen.cli.serve import _certificate
from wrapgen.errors import UsageError
from wrapgen.platform.api.serve import ServerLogHandler
from wrapgen.platform.observe.server_log import ServerLog
from wrapgen.platform.workers.process_tree import marked

PLAIN = {
    "algorithmia.conf": '{"username": "local", "algoname": "Plain", "langauge": "python3"}',
    "src/__init__.py": "",
    "src/Plain.py": """\
import os
import subprocess
import sys
import time


def apply(input):
    if input == "sleep":
        time.sleep(1)
    if input == "child":
        return [os.getpid(), subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid]
    return [input, os.getpid()]
""",
}


@pytest.fixture
def plain(tmp_path):
    """The source of an algorithm that is only an `apply` function."""
    for name, text in PLAIN.items():
        path = tmp_path / "plain" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "plain"


def test_it_says_where_it_listens_and_keeps_the_keys_private(serve, tmp_path):
    """The ready line and credentials.json agree; only the owner can read the file."""
    server = serve(tmp_path / "home")
    kept = tmp_path / "home" / "credentials.json"
    assert server.facts["credentials"] == str(kept)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    facts = json.loads(kept.read_text())
    assert (facts["address"], facts["api_key"], facts["pid"]) == (
        server.address,
        server.key,
        server.process.pid,
    )
    assert len(server.key) == 28
    assert server.key.startswith("sim")
    assert server.client().username() == "local"
    assert server.stop() == 0


def test_the_key_is_printed_once_and_on_a_terminal_only(tmp_path):
    """Whoever makes a home at a terminal sees its key; no log gets it, and no later start shows it."""

    def shows(home, *options, terminal=True):
        ours, theirs = pty.openpty() if terminal else os.pipe()
        command = [sys.executable, "-m", "wrapgen", "serve", "--home", str(tmp_path / home), "--port", "0"]
        command.append("--allow-root-workers")
        process = subprocess.Popen([*command, *options], stdout=theirs, stderr=subprocess.STDOUT)
        text = b""
        while b"Ctrl-C" not in text and b"}" not in text:
            text += os.read(ours, 65536)
        process.terminate()
        assert process.wait(timeout=60) == 0
        os.close(ours)
        os.close(theirs)
        return json.loads((tmp_path / home / "credentials.json").read_text())["api_key"] in text.decode()

    assert shows("seen") is True
    assert shows("seen") is False
    assert shows("kept", terminal=False) is False
    assert shows("told", "--json", terminal=False) is False


def test_a_second_server_on_the_same_home_is_refused(serve, tmp_path):
    """It says so and ends with the exit code of a wrong use; the first one goes on."""
    server = serve(tmp_path / "home")
    command = [sys.executable, "-m", "wrapgen", "serve", "--home", str(tmp_path / "home"), "--port", "0"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert second.returncode == 2
    assert "already" in second.stderr
    assert server.request("GET", "/health").status_code == 200


def test_a_taken_port_is_a_clear_error(serve, tmp_path):
    """The message names the address, and no home stays locked."""
    server = serve(tmp_path / "one")
    port = server.address.rpartition(":")[2]
    command = [sys.executable, "-m", "wrapgen", "serve", "--home", str(tmp_path / "two"), "--port", port]
    second = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert second.returncode == 2
    assert port in second.stderr
    serve(tmp_path / "two")


def test_a_plain_module_runs_and_a_signal_lets_it_finish(serve, tmp_path, plain, publish):
    """SIGTERM during a call: the call is answered, calls from outside are refused, nothing is left behind."""
    server = serve(tmp_path / "home")
    reference = publish(server, "Plain", plain)
    worker = server.call(reference, "who").json()["result"][1]
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(server.call, reference, "sleep")
        wait_for(lambda: open_calls(server))
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: server.request("GET", "/health").status_code == 503)
        refused = server.call(reference, "who")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert call.result().json()["result"][0] == "sleep"
    assert server.stop() == 0
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.parametrize("again", [False, True])
def test_a_call_that_does_not_end_holds_no_one_for_ever(serve, tmp_path, zoo_folder, publish, again):
    """At the end of the grace, or with a second signal, the server ends with what hangs in it."""
    server = serve(tmp_path / "home", "--grace", "600" if again else "0.5")
    reference = publish(server, "Zoo", zoo_folder)
    note = tmp_path / "note"
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(server.call, reference, {"op": "hang", "note": str(note)})
        wait_for(lambda: note.exists() and len(note.read_text().split()) == 2, 60)
        server.process.send_signal(signal.SIGTERM)
        if again:
            wait_for(lambda: server.request("GET", "/health").status_code == 503)
            server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert call.result().status_code == 503
        assert "stopped" in call.result().json()["error"]["message"]
    processes = [Path(f"/proc/{each}") for each in note.read_text().split()]
    wait_for(lambda: not any(each.exists() for each in processes))


def test_what_the_end_cuts_short_is_told_so_as_json(serve, tmp_path):
    """An upload that is open when the server ends gets 503 with Retry-After and the API's error."""
    program = "import sys; from wrapgen.cli.main import main; from wrapgen.platform.api import serve; "
    server = serve(tmp_path / "home", program=("-c", program + "serve.LINGER_SECONDS = 1; sys.exit(main())"))
    assert server.request("POST", "/v1/data/.my", json={"name": "c"}).status_code == 200
    host, _, port = server.address.removeprefix("http://").partition(":")
    upload = http.client.HTTPConnection(host, int(port), timeout=60)
    upload.putrequest("PUT", "/v1/data/.my/c/f")
    upload.putheader("Authorization", server.key)
    upload.putheader("Content-Length", "100")
    upload.endheaders(b"half")
    wait_for(lambda: any((tmp_path / "home").rglob("incoming/*")))
    server.process.send_signal(signal.SIGTERM)
    answer = upload.getresponse()
    assert (answer.status, answer.headers["content-type"]) == (503, "application/json")
    assert answer.headers["retry-after"]
    assert "stopped" in json.loads(answer.read())["error"]["message"]
    assert server.process.wait(60) == 0
    assert not list((tmp_path / "home").rglob("incoming/*"))


def test_bad_requests_are_lines_of_the_log(serve, tmp_path, capfd):
    """What is no HTTP is logged as JSON, with the reason, and nothing goes to stderr."""
    server = serve(tmp_path / "home")
    host, _, port = server.address.removeprefix("http://").partition(":")
    for _ in range(50):
        with socket.create_connection((host, int(port)), 10) as peer:
            peer.sendall(b"hello there\r\n\r\n")
            assert b" 400 " in peer.recv(4096)
    assert server.stop() == 0
    lines = map(json.loads, (tmp_path / "home" / "logs" / "platform.jsonl").read_text().splitlines())
    found = [line for line in lines if line["event"] == "server"]
    assert "Invalid HTTP" in found[0]["message"]
    assert "method" in found[0]["reason"]
    assert capfd.readouterr().err == ""


def test_the_log_says_the_same_once_a_second(tmp_path):
    """Of what repeats itself within a second only the number is kept, and told with the next line."""
    now = iter([10.0, 10.4, 10.9, 11.5])
    log = ServerLog(tmp_path)
    handler = ServerLogHandler(log, lambda: next(now))
    for _ in range(4):
        handler.handle(logging.makeLogRecord({"msg": "again", "levelname": "WARNING"}))
    log.flush()
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line.get("untold") for line in lines] == [None, 2]


def open_calls(server):
    """How many calls the server has open, by its own account."""
    metrics = server.request("GET", "/metrics").text
    return int(
        float(
            next(line.split()[1] for line in metrics.splitlines() if line.startswith("wrapgen_calls_open "))
        )
    )


def wait_for(condition, seconds=10.0):
    """Waits for a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the deadline passed"
        threading.Event().wait(0.01)


def test_after_a_kill_everything_is_there_again(serve, tmp_path, plain, publish):
    """SIGKILL leaves no worker behind; the same home starts again with its keys, algorithms and versions."""
    server = serve(tmp_path / "home")
    reference = publish(server, "Plain", plain)
    worker, child = server.call(reference, "child").json()["result"]
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    wait_for(lambda: not any(Path(f"/proc/{each}").exists() for each in (worker, child)))
    again = serve(tmp_path / "home")
    assert again.key == server.key
    assert again.call(reference, "back").json()["result"][0] == "back"
    assert again.stop() == 0
    assert not marked(f"ALGORITHMIA_API={again.address}")


def test_it_answers_within_a_second_of_its_start(serve, tmp_path):
    """Start to first answer, on a home that has been used before; in processor time on any machine."""
    serve(tmp_path / "home").stop()
    began = time.monotonic()
    server = serve(tmp_path / "home")
    assert server.request("GET", "/health").status_code == 200
    assert time.monotonic() - began < (1.0 if os.environ.get("WRAPGEN_TIMED") else 10.0)
    ticks = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    assert sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") < 1.0


def test_the_server_itself_is_small(serve, publish, plain, tmp_path):
    """After a build and a call it takes less than 120 MB."""
    server = serve(tmp_path / "home")
    assert server.call(publish(server, "Plain", plain), "you").status_code == 200
    metrics = server.request("GET", "/metrics").text
    line = next(each for each in metrics.splitlines() if each.startswith("process_resident_memory_bytes "))
    assert float(line.split()[1]) < 120_000_000


def test_beyond_this_machine_it_wants_tls_or_a_word(tmp_path):
    """Listening on all addresses is refused unless there is a certificate or --insecure."""
    command = [sys.executable, "-m", "wrapgen", "serve", "--home", str(tmp_path), "--host", "0.0.0.0"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert refused.returncode == 2
    assert "--insecure" in refused.stderr


def test_all_of_loopback_is_this_machine(serve, tmp_path):
    """127.0.0.0/8, ::1 and localhost need no TLS; a name or address that others reach does."""
    server = serve(tmp_path / "home", "--host", "127.0.0.2")
    assert server.address.startswith("http://127.0.0.2:")
    assert server.request("GET", "/health").json() == {"status": "ok"}
    for host in ("127.0.0.1", "127.8.9.10", "::1", "0:0:0:0:0:0:0:1", "localhost", "LOCALHOST"):
        assert _certificate(host, None, None, False) is None
    for host in ("0.0.0.0", "::", "128.0.0.1", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org"):
        with pytest.raises(UsageError, match="other machines"):
            _certificate(host, None, None, False)


def test_over_tls_everything_works(serve, tmp_path, publish, zoo_folder, monkeypatch):
    """With a certificate the platform answers on https, git included; algorithms call each other.

    They do so over a plain address of this machine's own, so no worker needs to know the certificate.
    """
    files = [str(tmp_path / name) for name in ("chain.pem", "key.pem")]
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]]
    if subprocess.run(made, capture_output=True).returncode != 0:
        pytest.skip("openssl is not there to make a certificate")
    server = serve(tmp_path / "home", "--certificate", files[0], "--private-key", files[1])
    assert server.address.startswith("https://127.0.0.1:")
    server.verify = files[0]
    assert server.request("GET", "/health").json() == {"status": "ok"}
    assert server.request("GET", "/v1/data/").status_code == 200
    monkeypatch.setenv("GIT_SSL_CAINFO", files[0])
    zoo = publish(server, "Zoo", zoo_folder)
    nested = {"op": "pipe", "algorithm": f"{zoo}/0.1.0", "value": {"op": "variables"}}
    answer = server.call(zoo, nested).json()
    assert answer["result"]["ALGORITHMIA_API"].startswith("http://127.0.0.1:"), answer
    assert server.call(zoo, {"op": "whoami"}).json()["result"] == server.facts["account"]
    assert server.stop() == 0


def test_a_server_that_cannot_say_that_it_is_ready_ends(tmp_path):
    """Whoever waits for its first line sees the end of it, not nothing for ever."""
    program = "import sys; from wrapgen.cli.main import main; "
    program += "from wrapgen.platform.building.environments import Environments; "
    program += "Environments.offered = lambda self: 1 / 0; sys.exit(main())"
    command = [sys.executable, "-c", program, "serve", "--home", str(tmp_path / "home"), "--port", "0"]
    ended = subprocess.run([*command, "--allow-root-workers"], capture_output=True, text=True, timeout=120)
    assert ended.returncode != 0
    assert "division by zero" in ended.stderr
