"""A Ray cluster on this machine: a head without processors, and nodes, each with processes of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

SMALL = 80 << 20
"""Bytes of a node's object store; a little less is refused."""

SETTINGS = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # drivers end so long after the head
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}


class RayCluster:
    """Started when it is made. Variables of this process lead to it until it is stopped."""

    def __init__(self, nodes: int, cpus: int = 2) -> None:
        from ray.cluster_utils import Cluster

        self._before = dict(os.environ)
        self._folder = tempfile.mkdtemp(prefix="wg-")  # Ray's sockets have to fit 107 bytes
        self._cpus = cpus
        os.environ.update(SETTINGS, RAY_TMPDIR=self._folder)
        head = {"num_cpus": 0, "object_store_memory": SMALL, "include_dashboard": False}
        self.ray: Any = Cluster(initialize_head=True, head_node_args=head)
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
        self.ray.add_node(num_cpus=self._cpus, object_store_memory=SMALL)

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
        self.ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)
        os.environ.clear()
        os.environ.update(self._before)


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
