"""What serves a wrapper works on every Python that the wrapper works on, under any ASGI server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "generated"))

import interpreters

PROGRAM = """
import asyncio, json, os, sys
sys.path.insert(0, "")
os.environ.update(WRAPPER_TOKEN="t")
from serve import app

class Client:
    def __init__(self):
        self.events, self.sent = asyncio.Queue(), asyncio.Queue()
    async def send(self, message):
        await self.sent.put(message)
    async def ask(self, method, path, body=b"", *more):
        client = Client()
        client.events.put_nowait({"type": "http.request", "body": body[:1], "more_body": True})
        client.events.put_nowait({"type": "http.request", "body": body[1:], "more_body": False})
        headers = [(b"authorization", b"Bearer t"), (b"content-type", b"application/json"), *more]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        await app(scope, client.events.get, client.send)
        start, parts = await client.sent.get(), b""
        while not client.sent.empty():
            parts += (await client.sent.get())["body"]
        return [start["status"], json.loads(parts)]

async def main():
    life = Client()
    living = asyncio.ensure_future(app({"type": "lifespan"}, life.events.get, life.send))
    await life.events.put({"type": "lifespan.startup"})
    assert (await life.sent.get())["type"] == "lifespan.startup.complete"
    while (await life.ask("GET", "/readyz"))[0] != 200:
        await asyncio.sleep(0.01)
    found = [await life.ask("POST", "/", b"[1, 2]"), await life.ask("POST", "/", b"nonsense")]
    found.append(await life.ask("GET", "/openapi.json"))
    found.append(await life.ask("POST", "/", b"", (b"upgrade", b"h2c"), (b"content-length", b"6")))
    await life.events.put({"type": "lifespan.shutdown"})
    await living
    print(json.dumps(found))

asyncio.new_event_loop().run_until_complete(main())
"""


EDGES = (interpreters.VERSIONS[0], interpreters.VERSIONS[-1])
EACH = [pytest.param(one, marks=[pytest.mark.soak] * (one not in EDGES)) for one in interpreters.VERSIONS]


@pytest.mark.parametrize("version", EACH)
def test_an_asgi_server_of_any_python_gets_the_same_answers(version, echo_folder):
    """The interface is ASGI and nothing of one server's; a body that a server drops is not an empty input."""
    try:
        python = interpreters.find(version)
    except interpreters.Missing as missing:
        pytest.skip(str(missing))
    done = subprocess.run(
        [str(python), "-B", "-c", PROGRAM], cwd=echo_folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    listed, refused, document, dropped = json.loads(done.stdout)
    assert dropped[0] == 400 and "Upgrade" in dropped[1]["error"]["message"]
    assert listed == [200, [1, 2]] and refused[0] == 400
    assert set(document[1]["paths"]) == {"/", "/healthz", "/readyz", "/metrics", "/openapi.json"}
