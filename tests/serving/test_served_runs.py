"""Runs through a URL keep the promises of a run: resumed after kills of either side, recorded once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from evidence import Evidence
from served_wrapper import SECONDS, TOKEN, built, served

from wrapgen import Options, run
from wrapgen.errors import NotAuthorized, PlatformError, RunError
from wrapgen.records import open_records
from wrapgen.run.ledger.folder import Folder, folder_for

ITEMS = 120
SPEC = """\
version: 1
target: {source: ./echo}
wrapper: {name: acme/Kept, mode: both}
datastore: {url: "file://%s/records"}
"""
SOURCE = """\
import os
from pathlib import Path

HERE = Path(os.environ["KEPT"])

def apply(value):
    if value["n"] % 40 == 20:  # three items, each of which ends the server the first time it comes
        mark = HERE / "ended-{}".format(value["n"])
        if not mark.exists():
            mark.touch()
            os._exit(9)
    if value["n"] == 70 and (HERE / "begun").exists():  # a test learns of this call, and ends it
        open(str(HERE / "begun"), "w").close()
        with open(str(HERE / "end")) as fifo:
            fifo.read()
    return {"twice": 2 * value["n"]}
"""


class Kept:
    """A wrapper that records, its server that is started again whenever it ends, and runs through it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wrapper = built(folder / "built", SPEC % folder, SOURCE)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.starts = 0
        self.tokens = [TOKEN]
        self._is_over = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._serve)
        rows = (json.dumps({"n": number}) + "\n" for number in range(ITEMS))
        (folder / "in.jsonl").write_text("".join(rows))

    def __enter__(self) -> Kept:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        if self._process is not None:
            self._process.kill()
        self._thread.join()
        self.listening.close()

    def _serve(self) -> None:
        while not self._is_over:
            token = self.tokens[min(self.starts, len(self.tokens) - 1)]
            variables = {"WRAPPER_TOKEN": token, "KEPT": str(self.folder)}
            with served(self.wrapper, variables, listening=self.listening, loaded=False) as server:
                self.starts, self._process = self.starts + 1, server.process
                server.process.wait()

    def runner(self, *options: str, token: str = TOKEN) -> subprocess.Popen[str]:
        """`wrapgen run` of the whole input, in a process of its own."""
        command = [
            "run",
            self.url,
            "in.jsonl",
            "-o",
            "out.jsonl",
            "--chunk",
            "10",
            "--workers",
            "2",
            *options,
        ]
        return subprocess.Popen(
            [sys.executable, "-m", "wrapgen", *command],
            cwd=self.folder,
            env={**os.environ, "WRAPPER_TOKEN": token},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def assert_kept(self) -> None:
        """Every item has its result, in order and recorded once, and what was promised of the run holds."""
        rows = [json.loads(line) for line in (self.folder / "out.jsonl").read_text().splitlines()]
        assert [row["result"] for row in rows] == [{"twice": 2 * number} for number in range(ITEMS)]
        found = Evidence(ITEMS)
        with open_records(None, f"file://{self.folder}/records") as collected:
            found.records(list(collected), item=lambda one: one["index"])
        found.ledger(Folder(folder_for(self.folder / "out.jsonl")))
        found.output(self.folder / "out.jsonl")
        assert not found.broken()


@pytest.fixture
def kept(tmp_path):
    """The wrapper and its server."""
    with Kept(tmp_path) as opened:
        yield opened


def test_a_run_survives_kills_of_its_server(kept):
    """A server that ends in the middle of calls, three times, costs their repetition and nothing else."""
    runner = kept.runner()
    said, _ = runner.communicate(timeout=300)
    assert runner.returncode == 0, said
    assert kept.starts == 4
    kept.assert_kept()


def test_a_run_survives_a_kill_of_its_runner(kept):
    """The same command goes on where the killed one was, with calls open or not."""
    for name in ("begun", "end"):
        os.mkfifo(kept.folder / name)
    first = kept.runner()
    (kept.folder / "begun").open().close()
    first.kill()
    first.communicate()
    (kept.folder / "begun").unlink()
    (kept.folder / "end").write_text("")
    second = kept.runner()
    said, _ = second.communicate(timeout=300)
    assert second.returncode == 0 and "resuming run" in said, said
    kept.assert_kept()


def test_another_token_stops_a_run_which_goes_on_with_the_right_one(kept):
    """401 in the middle stops the run, resumable; nothing is an item's error."""
    kept.tokens = [TOKEN, "another-token"]
    stopped = kept.runner()
    said, _ = stopped.communicate(timeout=300)
    assert stopped.returncode == 12 and "AuthenticationError" in said, said
    done = kept.runner(token="another-token")
    said, _ = done.communicate(timeout=300)
    assert done.returncode == 0, said
    kept.assert_kept()


def test_a_run_from_python(echo, tmp_path, monkeypatch):
    """`wrapgen.run` takes a URL where it takes a reference; no platform is looked for."""
    monkeypatch.setenv("WRAPPER_TOKEN", TOKEN)
    for name in ("ALGORITHMIA_API", "ALGORITHMIA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    outcomes = list(run(f"{echo.url}/", ["a", "bad", {"x": 1}], options=Options(budget=1)))
    assert [each.result for each in outcomes] == ["a", None, {"x": 1}]
    assert outcomes[1].error is not None and outcomes[1].error.message == "it is bad"


def test_a_wrong_token_is_told_before_a_run(echo, monkeypatch, tmp_path):
    """Nothing is sent; the error says where the token belongs."""
    monkeypatch.setenv("WRAPPER_TOKEN", "wrong")
    with pytest.raises(NotAuthorized) as told:
        run(echo.url, [1])
    assert "WRAPPER_TOKEN" in told.value.hint


def test_the_token_goes_nowhere_else(monkeypatch):
    """A redirect is refused, and what a URL may hold is neither a token nor a query."""
    monkeypatch.setenv("WRAPPER_TOKEN", TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def redirect() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                )

        thread = threading.Thread(target=redirect)
        thread.start()
        with pytest.raises((PlatformError, RunError), match=r"redirects to http://127\.0\.0\.1:1/"):
            run(f"http://127.0.0.1:{listening.getsockname()[1]}/", [1])
        thread.join(SECONDS)
    for url in ("http://user:pass@host/", "http://host/?token=x", "http:///"):
        with pytest.raises(Exception, match="the URL of a wrapper"):
            run(url, [1])


def test_a_queue_is_worked_on_through_a_url(tmp_path, monkeypatch):
    """`wrapgen worker sqs` takes a URL for its wrapper: messages are recorded, without a platform."""
    boto3, moto = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "eu-west-1")
    cloud = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    cloud.start()
    try:
        address = "http://{}:{}".format(*cloud.get_host_and_port())
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        queues = boto3.client("sqs")
        url = queues.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "1000"})["QueueUrl"]
        for number in range(3):
            queues.send_message(QueueUrl=url, MessageBody=json.dumps({"n": number}))
        words = ["worker", "sqs", "--queue", url, "--until-empty", "--wait", "0", "--failed", "delete"]
        with served(built(tmp_path, SPEC % tmp_path, SOURCE), {"KEPT": str(tmp_path)}) as server:
            done = subprocess.run(
                [sys.executable, "-m", "wrapgen", *words, "--wrapper", server.url],
                env={**os.environ, "WRAPPER_TOKEN": TOKEN},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=120,
            )
        assert done.returncode == 0, done.stderr
    finally:
        cloud.stop()
    with open_records(None, f"file://{tmp_path}/records") as collected:
        assert sorted(record["result"]["twice"] for record in collected) == [0, 2, 4]
