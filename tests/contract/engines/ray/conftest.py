"""A Ray cluster on this machine: a head without processors, and nodes, each with processes of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SMALL = 80 << 20
"""Bytes of a node's object store; a little less is refused."""

SETTINGS = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # drivers end so long after the head
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}


SECONDS = 180.0


class RayCluster:
    """Started when it is made. Variables of this process lead to it until it is stopped."""

    def __init__(self, nodes: int, cpus: int = 2) -> None:
        from ray.cluster_utils import Cluster

        self._before = dict(os.environ)
        self._folder = tempfile.mkdtemp(prefix="wg-")  # Ray's sockets have to fit 107 bytes
        self._cpus = cpus
        os.environ.update(SETTINGS, RAY_TMPDIR=self._folder)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]  # the default one may be another cluster's
        head = {
            "num_cpus": 0,
            "object_store_memory": SMALL,
            "include_dashboard": False,
            "dashboard_port": port,
        }
        self.ray: Any = Cluster()
        self._start(head)
        self.address: str = self.ray.address
        for _ in range(nodes):
            self.add()

    @property
    def environment(self) -> dict[str, str]:
        """Variables of programs that use it."""
        return {**SETTINGS, "RAY_TMPDIR": self._folder, "RAY_ADDRESS": self.address}

    @property
    def nodes(self) -> list[Any]:
        """The nodes beside the head."""
        return list(self.ray.worker_nodes)

    def add(self) -> None:
        """Starts a node."""
        self._start({"num_cpus": self._cpus, "object_store_memory": SMALL})

    def _start(self, options: dict[str, Any], again: int = 2) -> None:
        """Starts a node; Ray gives one 30 seconds, which are not always enough beside other tests."""
        try:
            self.ray.add_node(**options)
        except Exception:  # Ray raises no other
            if not again:
                raise
            self._start(options, again - 1)

    def kill_node(self, node: Any) -> None:
        """Ends a node and all its workers on the spot."""
        self.ray.remove_node(node, allow_graceful=False)

    def kill_head(self) -> None:
        """Ends the head, with what knows of the whole cluster."""
        self.ray.remove_node(self.ray.head_node, allow_graceful=False)

    def kill_workers(self, name: str) -> None:
        """Ends the workers whose title has this word, wherever they are."""
        found = [pid for node in self.nodes for pid in _workers(node, name.encode())]
        assert found, f"there is no worker {name}"
        for pid in found:
            os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Ends whatever is left of it."""
        if not self._before:
            return
        self.ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)
        os.environ.clear()
        os.environ.update(self._before)
        self._before = {}


def _workers(node: Any, name: bytes) -> list[int]:
    """The processes of a node's raylet with a word in their title."""
    raylet = node.all_processes["raylet"][0].process.pid
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == raylet and name in (each / "cmdline").read_bytes():
                found.append(int(each.name))
    return found


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    """A head and one node, which this process is a driver of."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    found = RayCluster(1)
    try:
        ray.init(found.address, log_to_driver=False, logging_level="ERROR")
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        yield found
    finally:
        ray.shutdown()
        found.stop()


@pytest.fixture
def make_cluster() -> Iterator[Callable[[int], RayCluster]]:
    """Starts clusters of a test's own: `make_cluster(nodes)`."""
    with contextlib.ExitStack() as stack:

        def start(nodes: int) -> RayCluster:
            made = RayCluster(nodes)
            stack.callback(made.stop)
            return made

        yield start


@pytest.fixture
def keys(platform: Any) -> dict[str, str]:
    """Where the platform is, as `apply` takes it."""
    return {"address": platform.facts["address"], "key": platform.facts["api_key"]}


@pytest.fixture
def run(request: pytest.FixtureRequest) -> str:
    """A run of the test's own."""
    return f"{request.node.name[:40]}-{time.time_ns():x}".replace("[", "-").replace("]", "")


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], None]:
    """`until(what)` returns when `what()` holds."""

    def wait(what: Callable[[], Any]) -> None:
        end = time.monotonic() + SECONDS
        pause = threading.Event()
        while not what():
            assert time.monotonic() < end, "waited too long"
            pause.wait(0.05)

    return wait


class Gate:
    """A named pipe at which calls of the planned target wait, and the file in which they are noted."""

    def __init__(self, folder: Path, run: str) -> None:
        self.gate, self.note = folder / f"{run}.gate", folder / f"{run}.note"
        os.mkfifo(self.gate)

    def seen(self, n: int) -> int:
        """How often the target was called with `n`."""
        return self.note.read_text().split().count(str(n)) if self.note.exists() else 0

    def open(self) -> bool:
        """Lets whatever waits there pass."""
        with contextlib.suppress(OSError):  # nothing waits
            os.close(os.open(self.gate, os.O_WRONLY | os.O_NONBLOCK))
        return False


@pytest.fixture
def gate(platform: Any, run: str) -> Gate:
    """Of the test's own run."""
    return Gate(platform.folder, run)
