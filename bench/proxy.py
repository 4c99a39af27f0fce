"""A delaying loopback proxy: what is sent through it arrives that much later, as over a network.

    python bench/proxy.py --to 127.0.0.1:8080 --delay-ms 50

Prints its own address on a line and serves until it is ended. Only the way there is delayed, so a round trip
takes the delay once. Bytes on the way don't wait for one another: a large body is no later than a small one.
Takes up to some 450 connections: it waits with select(), whose time is finer than epoll's milliseconds.
From Python: `with delayed("127.0.0.1:8080", 50) as address`, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import selectors
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast


class Back(asyncio.Protocol):
    """The connection to the server, whose answers go back at once."""

    def __init__(self, to: asyncio.Transport) -> None:
        self.to = to

    def data_received(self, data: bytes) -> None:
        """An answer's bytes."""
        self.to.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        """The server closed: so do we, once everything is written."""
        self.to.close()


class There(asyncio.Protocol):
    """A client's connection: what comes in is kept until it is due, in order."""

    def __init__(self, host: str, port: int, delay: float) -> None:
        self.address, self.delay = (host, port), delay
        self.loop = asyncio.get_running_loop()
        self.due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self.forwarding: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connects on; what arrives meanwhile waits."""
        self.forwarding = self.loop.create_task(self.forward(cast("asyncio.Transport", transport)))

    def data_received(self, data: bytes) -> None:
        """A request's bytes."""
        self.due.put_nowait((self.loop.time() + self.delay, data))

    def connection_lost(self, _: Exception | None) -> None:
        """The client closed, which is passed on as late as bytes are."""
        self.due.put_nowait((self.loop.time() + self.delay, b""))

    async def forward(self, client: asyncio.Transport) -> None:
        """Writes everything to the server when it is due; nothing due is the end."""
        try:
            server, _ = await self.loop.create_connection(lambda: Back(client), *self.address)
        except OSError:
            client.close()
            return
        while True:
            when, data = await self.due.get()
            if (left := when - self.loop.time()) > 0:
                await asyncio.sleep(left)
            if not data:
                server.close()
                return
            server.write(data)


async def serve(host: str, port: int, delay: float) -> None:
    """Serves for good, after printing the address."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: There(host, port, delay), "127.0.0.1", 0, backlog=1024)
    print("{}:{}".format(*server.sockets[0].getsockname()[:2]), flush=True)
    await server.serve_forever()


@contextmanager
def delayed(to: str, delay_ms: float) -> Iterator[str]:
    """`host:port` of a proxy in front of another `host:port`, while the block runs."""
    command = [sys.executable, __file__, "--to", to, "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            yield proxy.stdout.readline().strip()
        finally:
            proxy.terminate()


def main() -> None:
    """Reads the command line and serves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--delay-ms", type=float, required=True)
    given = parser.parse_args()
    host, _, port = given.to.removeprefix("http://").rstrip("/").rpartition(":")
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with suppress(KeyboardInterrupt):
        loop.run_until_complete(serve(host, int(port), given.delay_ms / 1000))


if __name__ == "__main__":
    main()
