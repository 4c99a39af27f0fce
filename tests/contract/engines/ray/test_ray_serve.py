"""A wrapper as an application of Ray Serve, and runs through it: a killed replica, a killed head."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from evidence import Evidence

from wrapgen.build import Placement, generate
from wrapgen.records import open_records
from wrapgen.run.ledger.folder import Folder, folder_for
from wrapgen.spec import parse

TOKEN = "the-token-of-these-tests"
ITEMS = 40

SPEC = """\
version: 1
target: {source: ./target}
wrapper: {name: acme/Noted, mode: both}
datastore: {url: "file://FOLDER/records"}
limits: {timeout: 90}
dispatch: {parallel: 2}
serve: {calls: 2, waiting: 8, min_replicas: 1, max_replicas: 3, cpus: 0.5, gpus: 0, memory_mib: 256}
"""

TARGET = '''\
"""Squares; notes the call, and one item waits for the gate."""

from pathlib import Path


def apply(input):
    """The square of n."""
    with Path("FOLDER/note").open("a") as file:
        file.write("{}\\n".format(input))
    if input == 20:
        Path("FOLDER/gate").read_text()
    return input ** 2
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The wrapper with what serves it on Ray."""
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "noted.py").write_text(TARGET.replace("FOLDER", str(tmp_path)))
    spec = SPEC.replace("FOLDER", str(tmp_path))
    (tmp_path / "spec.yaml").write_text(spec)
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(ITEMS)))
    from wrapgen.spec import load

    wrapper = generate(load(tmp_path / "spec.yaml"), None, frozenset({"ray"}))
    Placement.of(wrapper, tmp_path / "wrapper").write()
    return tmp_path


def options(spec: str) -> dict:
    """What the application of a spec tells Ray."""
    content = generate(parse(spec.encode(), "spec.yaml"), None, frozenset({"ray"}))["ray_app.py"]
    names = {}
    for node in ast.parse(content).body:
        if isinstance(node, ast.Assign) and "ray.serve" not in ast.unparse(node):
            exec(ast.unparse(node), names | {"os": os}, names)
    return {**names["OPTIONS"], "variables": names["VARIABLES"]}


def test_the_numbers_are_those_of_the_spec():
    """Replicas, calls, processors, memory and the time to stop; the variables are those that it names."""
    found = options(
        "version: 1\ntarget: {endpoint: 'http://h/', protocol: json, auth: {bearer_env: MODEL_TOKEN}}\n"
        "wrapper: {name: acme/A, mode: batch}\nlimits: {timeout: 120}\n"
        "serve: {calls: 6, waiting: 10, min_replicas: 2, max_replicas: 9, cpus: 1.5, gpus: 0.5,"
        " memory_mib: 512}\n"
    )
    assert found["name"] == "A" and found["max_ongoing_requests"] == 16 and found["max_queued_requests"] == 90
    assert found["autoscaling_config"] == {
        "min_replicas": 2,
        "max_replicas": 9,
        "target_ongoing_requests": 6,
    }
    assert found["ray_actor_options"] == {"num_cpus": 1.5, "num_gpus": 0.5, "memory": 512 << 20}
    assert found["graceful_shutdown_timeout_s"] == 150
    assert {"MODEL_TOKEN", "WRAPPER_TOKEN"} <= set(found["variables"])


@contextlib.contextmanager
def served(folder: Path, cluster, port: int, until) -> Iterator[str]:
    """`serve run` on a cluster; its URL, once it takes calls."""
    application = {
        "name": "noted",
        "route_prefix": "/",
        "import_path": "ray_app:app",
        "runtime_env": {"env_vars": {"WRAPPER_TOKEN": TOKEN, "PYTHONPATH": str(folder / "wrapper")}},
    }
    config = {"http_options": {"host": "127.0.0.1", "port": port}, "applications": [application]}
    (folder / "serve.yaml").write_text(json.dumps(config))
    log = (folder / "serve.log").open("ab")
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [Path(sys.executable).with_name("serve"), "run", "../serve.yaml"],
        cwd=folder / "wrapper",
        env={**os.environ, **cluster.environment},
        stdout=log,
        stderr=log,
    )
    try:
        until(lambda: is_ready(url) or process.poll() is not None)
        assert process.poll() is None, (folder / "serve.log").read_text()
        yield url
    finally:
        process.terminate()
        process.wait()
        log.close()


def is_ready(url: str) -> bool:
    """Whether a replica takes calls."""
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=10) as response:
            return response.status == 200
    except OSError:
        return False


def runner(folder: Path, url: str) -> subprocess.Popen:
    """`wrapgen run` of the input through the application, in calls of five items."""
    words = ["run", url, "in.jsonl", "-o", "out.jsonl", "--run", "noted", "--chunk", "5", "--patience", "8"]
    return subprocess.Popen(
        [sys.executable, "-m", "wrapgen", *words],
        cwd=folder,
        env={**os.environ, "WRAPPER_TOKEN": TOKEN},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def seen(folder: Path) -> int:
    """How often the item that waits was tried."""
    note = folder / "note"
    return note.read_text().split().count("20") if note.exists() else 0


def open_gate(folder: Path) -> bool:
    """Lets whatever waits pass."""
    with contextlib.suppress(OSError):  # nothing waits
        os.close(os.open(folder / "gate", os.O_WRONLY | os.O_NONBLOCK))
    return False


def judge(folder: Path) -> list[str]:
    """Rules that the run breaks, by its ledger, its output and its records."""
    found = Evidence(ITEMS)
    with open_records(None, f"file://{folder}/records", run="noted") as records:
        found.records(list(records))
    found.ledger(Folder(folder_for(folder / "out.jsonl")))
    found.output(folder / "out.jsonl")
    return found.broken()


def squares(url: str) -> dict[int, int]:
    """What tasks of Ray Data get from the application at a URL."""
    import ray.data

    from wrapgen.ray import apply

    rows = ray.data.from_items([{"n": n} for n in range(5)])
    scored = apply(rows, url, input="n", id="content", schema="bigint", key=TOKEN, num_cpus=0.5)
    return {row["n"]: row["result"] for row in scored.take_all()}


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.soak
def test_a_killed_replica_loses_and_doubles_nothing(cluster, folder, until):
    """Without a token nothing is executed; calls of a replica that is killed go again to the next one."""
    with served(folder, cluster, free_port(), until) as url:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url, data=b"[1]", timeout=60)
        run = runner(folder, url)
        until(lambda: seen(folder) or run.poll() is not None)
        cluster.kill_workers("ServeReplica:noted:Noted")
        until(lambda: seen(folder) >= 2 or run.poll() is not None)
        until(lambda: open_gate(folder) or run.poll() is not None)
        assert run.returncode == 0, run.communicate()[1]
        run.communicate()
        assert squares(url) == {n: n * n for n in range(5)}
    assert judge(folder) == []
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [line["result"] for line in lines] == [n * n for n in range(ITEMS)]


@pytest.mark.soak
def test_a_run_outlives_the_head_of_its_wrapper(make_cluster, folder, until):
    """The run stops when its wrapper is gone, and goes on from its ledger once another cluster serves it."""
    port, first = free_port(), make_cluster(1)
    with served(folder, first, port, until) as url:
        run = runner(folder, url)
        until(lambda: seen(folder) or run.poll() is not None)
        first.kill_head()
        first.stop()
        until(lambda: open_gate(folder) or run.poll() is not None)
        assert run.returncode != 0 and "Traceback" not in run.communicate()[1]
    done = len((folder / "note").read_text().split())
    with served(folder, make_cluster(1), port, until) as url:
        run = runner(folder, url)
        until(lambda: open_gate(folder) or run.poll() is not None)
        assert run.returncode == 0, run.communicate()[1]
        run.communicate()
    assert judge(folder) == []
    assert done < len((folder / "note").read_text().split()) <= ITEMS + 15
