"""Every host of a wrapper does the same: one suite over a platform, a service, processes, and a function."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wrapgen import protocol
from wrapgen.client import Client, Connection
from wrapgen.errors import NotAuthorized, PlatformError, RunError, Throttled, TooLarge
from wrapgen.run.hosts.host import Host
from wrapgen.run.hosts.http import HttpHost, service_at
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.hosts.platform import PlatformHost
from wrapgen.run.hosts.processes import ProcessHost, Program
from wrapgen.run.scheduling.replies import LossKind, Lost

sys.path.insert(0, str(Path(__file__).parents[2] / "serving"))

from served_wrapper import TOKEN, built, served

FACTS = {"protocol": protocol.PROTOCOL, "mode": "batch", "spec": "sha256:ab", "target": "nlp/S/1.0.5"}


@dataclass
class Refusal:
    """A call that is refused: the status and what a platform says."""

    status: int
    error: PlatformError
    headers: tuple[tuple[str, str], ...] = ()


REFUSALS = {
    "429": Refusal(429, Throttled("slow", status=429, retry_after=3), (("Retry-After", "3"),)),
    "401": Refusal(401, NotAuthorized("who", status=401)),
    "413": Refusal(413, TooLarge("big", status=413)),
    "504": Refusal(504, PlatformError("away", status=504)),
    "503": Refusal(503, PlatformError("busy", status=503)),
    "500": Refusal(500, PlatformError("broken", status=500)),
}
FAULTS = {
    "429": LossKind.THROTTLED,
    "401": LossKind.STOPPED,
    "413": LossKind.TOO_LARGE,
    "504": LossKind.DOWN,
    "503": LossKind.THROTTLED,
    "500": LossKind.LOST,
}


class Wrapper:
    """What executes: it answers each item with itself, describes itself, or is refused."""

    def __init__(self) -> None:
        self.calls: list[bytes] | Calls = []
        self.refusal: Refusal | None = None
        self.answer: bytes | None = None
        self.facts = dict(FACTS)

    def __call__(self, body: bytes, timeout: float = 0) -> bytes:
        """One call, in this process."""
        self.calls.append(body)
        if self.refusal:
            raise self.refusal.error
        return self.answer if self.answer is not None else self._answer(json.loads(body)["$batch"])

    def _answer(self, items: list[object]) -> bytes:
        summary = {"wrapper": self.facts} if not items else {"calls": len(items)}
        return protocol.dumps({"result": {"$results": items, "$summary": summary}, "metadata": {}})


@contextmanager
def behind_http(wrapper: Wrapper, *, enveloped: bool) -> Iterator[str]:
    """The address of the wrapper behind HTTP; without an envelope, the result is all of an answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            refusal = wrapper.refusal
            try:
                answer = wrapper(body)
            except PlatformError as error:
                answer = protocol.dumps({"error": {"message": error.message}})
            if not enveloped and not refusal and wrapper.answer is None:
                answer = protocol.dumps(json.loads(answer)["result"])
            self.send_response(refusal.status if refusal else 200)
            for name, value in (refusal.headers if refusal else ()) or ():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def on_a_platform(wrapper: Wrapper) -> Iterator[Host]:
    """The wrapper on a platform."""
    with ExitStack() as stack:
        address = stack.enter_context(behind_http(wrapper, enveloped=True))
        client = stack.enter_context(Client(Connection(address, "key", "the test"), pool=2))
        yield PlatformHost(client, "acme/W/1.0.0", None, address)


@contextmanager
def behind_a_gateway(wrapper: Wrapper) -> Iterator[Host]:
    """The wrapper at a URL, with something before it that may answer in its place."""
    with behind_http(wrapper, enveloped=False) as address:
        host = HttpHost(service_at(address, "token"))
        yield host
        host.close()


SERVED = """
from types import SimpleNamespace
from . import program

def load():
    return SimpleNamespace()

def apply(value, state):
    return program.apply(value)
"""


@contextmanager
def served_by_uvicorn(wrapper: Wrapper) -> Iterator[Host]:
    """The wrapper under a real uvicorn, with what `build --serve` writes."""
    with tempfile.TemporaryDirectory() as name:
        folder = built(Path(name))
        (folder / "src" / "program.py").write_text(PROGRAM)
        (folder / "src" / "Echo.py").write_text(SERVED)
        wrapper.facts["name"] = "acme/W"
        wrapper.calls = Calls(folder / "calls.jsonl")
        (folder / "said.json").write_text(json.dumps({"facts": wrapper.facts, "answer": None}))
        with served(folder) as server:
            host = HttpHost(service_at(server.url, TOKEN))
            yield host
            host.close()


@contextmanager
def in_memory(wrapper: Wrapper) -> Iterator[Host]:
    """The wrapper as a function."""
    yield MemoryHost(wrapper, "acme/W/1.0.0")


PROGRAM = """
import json
from pathlib import Path

SAID = json.loads(Path("said.json").read_text())

def apply(value):
    with open("calls.jsonl", "a") as file:
        file.write(json.dumps(value) + "\\n")
    items = value["$batch"]
    if SAID["answer"] is not None:
        return SAID["answer"]
    return {"$results": items, "$summary": {"calls": len(items)} if items else {"wrapper": SAID["facts"]}}
"""


class Calls:
    """The calls that processes noted in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __len__(self) -> int:
        return len(self._path.read_text().splitlines())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and [
            json.loads(line) for line in self._path.read_text().splitlines()
        ] == [json.loads(body) for body in other]


@contextmanager
def in_processes(wrapper: Wrapper) -> Iterator[Host]:
    """The wrapper in processes of this machine."""
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile() as log:
        folder = Path(name)
        (folder / "src").mkdir()
        (folder / "src" / "W.py").write_text(PROGRAM)
        (folder / "algorithmia.conf").write_text('{"algoname": "W"}')
        answer = json.loads(wrapper.answer)["result"] if wrapper.answer else None
        (folder / "said.json").write_text(json.dumps({"facts": wrapper.facts, "answer": answer}))
        wrapper.calls = Calls(folder / "calls.jsonl")
        host = ProcessHost(Program(folder, Path(sys.executable)), "acme/W/1.0.0", 2, log, folder)
        try:
            yield host
        finally:
            host.close()


@pytest.fixture(params=[on_a_platform, behind_a_gateway, in_memory])
def refusing(request: pytest.FixtureRequest) -> Iterator[Callable[[Wrapper], Host]]:
    """Makes a host of a wrapper, of those where something stands between it and a call."""
    with ExitStack() as stack:
        yield lambda wrapper: stack.enter_context(request.param(wrapper))


EVERYWHERE = [on_a_platform, behind_a_gateway, served_by_uvicorn, in_memory, in_processes]


@pytest.fixture(params=EVERYWHERE)
def hosted(request: pytest.FixtureRequest) -> Iterator[Callable[[Wrapper], Host]]:
    """Makes a host of a wrapper."""
    with ExitStack() as stack:
        yield lambda wrapper: stack.enter_context(request.param(wrapper))


def test_a_call_brings_the_body_of_the_answer(hosted):
    """The bytes come back as the wrapper wrote them."""
    wrapper = Wrapper()
    host = hosted(wrapper)
    answer = host.call(b'{"$batch":[1, 2]}', 30)
    assert isinstance(answer, bytes) and json.loads(answer)["result"]["$results"] == [1, 2]
    assert wrapper.calls == [b'{"$batch":[1, 2]}']
    assert host.reference in ("acme/W/1.0.0", host.address)  # a service's name is not known before it says it


@pytest.mark.parametrize("status", REFUSALS)
def test_what_fails_comes_back_as_a_loss_of_ours(refusing, status):
    """No exception and no status crosses the seam; the wait that was asked for does."""
    wrapper = Wrapper()
    wrapper.refusal = REFUSALS[status]
    lost = refusing(wrapper).call(b'{"$batch":[1]}', 30)
    assert isinstance(lost, Lost) and lost.fault is FAULTS[status]
    assert lost.retry_after == (3 if status == "429" else None)


@pytest.mark.parametrize("body", [b"", b"<html>down</html>", b"[1]"])
def test_an_answer_that_is_none_is_an_outage(refusing, body):
    """A page or nothing with status 200 is the word of something in between."""
    wrapper = Wrapper()
    wrapper.answer = body
    lost = refusing(wrapper).call(b'{"$batch":[1]}', 30)
    assert isinstance(lost, Lost) and lost.fault is LossKind.DOWN


def test_a_wrapper_describes_itself_once(hosted):
    """What it says is kept: nobody asks twice."""
    wrapper = Wrapper()
    host = hosted(wrapper)
    assert host.describe() == host.describe()
    assert host.describe().target == "nlp/S/1.0.5" and len(wrapper.calls) == 1


def test_what_is_no_wrapper_of_ours_is_refused(hosted):
    """Another protocol is an error that says so."""
    wrapper = Wrapper()
    wrapper.facts["protocol"] = 99
    with pytest.raises(RunError, match="speaks item protocol 99"):
        hosted(wrapper).describe()


@pytest.mark.parametrize("place", [on_a_platform, behind_a_gateway, in_memory, in_processes])
def test_what_is_no_wrapper_at_all_is_refused(place):
    """An algorithm that does not describe itself is an error that says so."""
    other = Wrapper()
    other.answer = b'{"result":1,"metadata":{}}'
    with place(other) as host, pytest.raises(RunError, match="not a wrapper"):
        host.describe()


def test_a_description_that_is_refused_says_why(refusing):
    """Before a run the error is told to the user, with the exit code of its kind."""
    wrapper = Wrapper()
    wrapper.refusal = REFUSALS["401"]
    with pytest.raises(NotAuthorized):
        refusing(wrapper).describe()


def test_calls_of_a_run_are_the_same_calls(hosted):
    """Naming the run changes nothing of a call, and the host can be closed."""
    wrapper = Wrapper()
    host = hosted(wrapper).in_run("r1")
    assert isinstance(host.call(b'{"$batch":[1]}', 0.5), bytes)
    host.close()
