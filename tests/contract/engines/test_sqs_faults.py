"""What may go wrong between a queue, a worker and the platform: whatever it is, a message has one record."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from wrapgen.run.history import RESULT
from wrapgen.run.integrations.sqs_messages import run_of

SECONDS = 60.0


class Door:
    """A proxy in front of the SQS server that can stop one kind of request.

    Attributes:
        address: where it listens.
        closed_for: part of an action's name, such as `DeleteMessageBatch`; its requests wait.
        reached: set when such a request has come.
        go_on: set to let it through.
    """

    def __init__(self) -> None:
        self.address = ""
        self.closed_for = ""
        self.reached = threading.Event()
        self.go_on = threading.Event()


@pytest.fixture
def door(sqs_address) -> Iterator[Door]:
    """The proxy, on a free port."""
    door = Door()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if door.closed_for and door.closed_for in self.headers.get("X-Amz-Target", ""):
                door.reached.set()
                door.go_on.wait(SECONDS)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            request = urllib.request.Request(sqs_address + self.path, body, headers, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                    status, content = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, content = error.code, error.read()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                self.close_connection = True  # the worker was killed

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    door.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield door
    door.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


def run_id(queue) -> str:
    """The run of a queue's messages."""
    found = queue.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])
    return run_of(found["Attributes"]["QueueArn"])


def through(door: Door, queue) -> str:
    """The queue's URL by way of the door."""
    return door.address + "/" + queue.url.split("/", 3)[3]


def wait_until(what) -> None:
    """Returns when `what()` holds."""
    end = time.monotonic() + SECONDS
    pause = threading.Event()
    while not what():
        assert time.monotonic() < end, "waited too long"
        pause.wait(0.05)


def let_through(gate) -> None:
    """Lets whoever waits at the gate pass."""
    with contextlib.suppress(OSError):  # nobody waits there
        os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))


def lines_about(platform, id_) -> list[str]:
    """Every line of the datastore that tells of an id, superseded ones included."""
    data = platform.client().data
    found = []
    for file in data.files("data://acme/recorded"):
        text = data.read(f"data://acme/recorded/{file.name}").decode()
        found += [line for line in text.splitlines() if f'"{id_}"' in line]
    return found


def test_a_worker_killed_between_recording_and_deleting(platform, make_queue, work, door):
    """The message comes again as the next try, is recorded again, and still has one record."""
    queue = make_queue(visibility=3)
    (id_,) = queue.send({"n": 6})
    door.closed_for = "DeleteMessageBatch"
    victim = work(through(door, queue), "--visibility", "3")
    assert door.reached.wait(SECONDS)
    assert platform.records(run_id(queue))[id_]["try"] == 1
    victim.kill()
    door.closed_for = ""
    door.go_on.set()
    code, _, said = work(queue.url, "--until-empty").end()
    assert code == 0, said
    assert set(platform.records(run_id(queue))) == {id_} and queue.count() == 0 and queue.dead() == []
    assert not platform.judged(run_id(queue), [id_], {id_: RESULT})


def test_a_message_whose_visibility_runs_out_is_recorded_once(platform, make_queue, work, door):
    """A worker that can't extend loses the message to another one: both record, one record remains."""
    queue = make_queue(visibility=3)
    gate, note = platform.folder / "visibility", platform.folder / "visibility.note"
    os.mkfifo(gate)
    (id_,) = queue.send({"n": 6, "gate": str(gate), "note": str(note)})
    door.closed_for = "ChangeMessageVisibilityBatch"
    slow = work(through(door, queue), "--visibility", "3", "--until-empty")
    assert door.reached.wait(SECONDS)
    other = work(queue.url, "--visibility", "30", "--until-empty")
    wait_until(lambda: note.read_text().split() == ["6", "6"])
    wait_until(lambda: let_through(gate) or len(lines_about(platform, id_)) == 2)
    door.closed_for = ""
    door.go_on.set()
    assert other.end()[0] == 0 and slow.end()[0] == 0
    records = platform.records(run_id(queue))
    assert set(records) == {id_} and records[id_]["try"] == 2
    assert queue.count() == 0 and queue.dead() == []


def test_a_message_stays_hidden_while_its_call_lasts_longer_than_its_visibility(platform, make_queue, work):
    """The heartbeat extends it: nobody else gets it, and one delivery does."""
    queue = make_queue(max_receives=1, visibility=6)
    gate = platform.folder / "heartbeat"
    os.mkfifo(gate)
    (id_,) = queue.send({"n": 6, "gate": str(gate)})
    slow = work(queue.url, "--visibility", "6", "--until-empty")
    with gate.open("w"):  # opens when the target has the message in work
        assert not queue.client.receive_message(QueueUrl=queue.url, WaitTimeSeconds=10).get("Messages")
    code, summary, said = slow.end()
    assert code == 0 and summary["deleted"] == 1, said
    assert platform.records(run_id(queue))[id_]["try"] == 1 and queue.dead() == []


def test_two_workers_are_in_work_at_once(platform, make_queue, work):
    """Each has a call open that the other has not, and every message has one record."""
    queue = make_queue(visibility=600)
    gate, note = platform.folder / "both", platform.folder / "both.note"
    os.mkfifo(gate)
    ids = queue.send(*({"n": n, "gate": str(gate), "note": str(note)} for n in range(5)))
    one_by_one = ("--batch", "1", "--calls", "1", "--visibility", "600", "--until-empty")
    workers = [work(queue.url, *one_by_one) for _ in range(2)]
    wait_until(lambda: note.exists() and len(note.read_text().split()) == 2)
    ended = [worker.process.poll for worker in workers]
    wait_until(lambda: let_through(gate) or all(poll() is not None for poll in ended))
    found = [worker.end() for worker in workers]
    assert [code for code, _, _ in found] == [0, 0] and all(summary["deleted"] for _, summary, _ in found)
    assert not platform.judged(run_id(queue), ids, dict.fromkeys(ids, RESULT))
    assert set(platform.records(run_id(queue))) == set(ids) and queue.count() == 0
    assert len(note.read_text().split()) == 5


def test_a_platform_that_is_down_burns_no_delivery(platform, make_queue, work):
    """While nothing answers, messages are held, not bounced towards the dead-letter queue."""
    queue = make_queue(max_receives=1)
    (id_,) = queue.send({"n": 6})
    code, _, said = work(
        queue.url, "--address", "http://127.0.0.1:9", "--api-key", "simno", "--patience", "1"
    ).end()
    assert code == 5 and "does not answer" in said
    assert work(queue.url, "--until-empty").end()[0] == 0
    assert platform.records(run_id(queue))[id_]["try"] == 1
