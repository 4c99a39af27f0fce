"""The files in examples/shards work as they stand, with the variables that their scheduler sets."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from manifests import documents, faults

FOLDER = Path(__file__).resolve().parents[3] / "examples" / "shards"
TEXTS = ["I like it.", "", "No.", "Well, well.", "So be it.", "Yes", "It is fine.", "Hm", "Never again."]


class Model(BaseHTTPRequestHandler):
    """Says how long a text is; of an empty one, that it is none."""

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        body = json.dumps({"label": len(text)}).encode()
        self.send_response(200 if text else 422)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    """The address of a model server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/score"
    server.shutdown()
    server.server_close()


@pytest.fixture
def work(tmp_path: Path, model: str) -> Path:
    """The folder that all workers share: spec and input."""
    spec = (FOLDER / "spec.yaml").read_text("utf-8").replace("http://model.default.svc/score", model)
    for place in (tmp_path / "spec.yaml", tmp_path / "spec" / "spec.yaml"):
        place.parent.mkdir(exist_ok=True)
        place.write_text(spec)
    (tmp_path / "tweets.jsonl").write_text("".join(json.dumps(text) + "\n" for text in TEXTS))
    return tmp_path


def bash(work: Path, command: str, **variables: str) -> None:
    """Runs a command of a file as its scheduler would."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {"PATH": path, "HOME": str(work), "WRAPGEN_CACHE": str(work / "cache"), **variables}
    done = subprocess.run(
        ["bash", "-c", command], cwd=work, env=kept, text=True, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr + done.stdout


def outcome(line: str) -> Any:
    """The label of an item, or the type of its error."""
    content = json.loads(line)
    return content["error"]["type"] if "error" in content else content["result"]


def done(work: Path, name: str) -> list[Any]:
    """What an output tells."""
    return [outcome(line) for line in (work / name).read_text("utf-8").splitlines()]


EXPECTED = [len(text) if text else "InputError" for text in TEXTS]


def objects(name: str) -> list[dict[str, Any]]:
    """The objects of a manifest."""
    return documents((FOLDER / name).read_text("utf-8"))


def command_of(job: dict[str, Any]) -> str:
    """What the container of a job executes."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["sh", "-c"]
    return container["args"][0]


@pytest.mark.parametrize("name", ["kubernetes.yaml", "kubernetes-merge.yaml"])
def test_kubernetes_takes_the_manifests(name):
    """Each object is valid by the strict schema of its kind, which notices a key that it does not know."""
    for one in objects(name):
        assert not faults(one)
    job = objects(name)[-1]
    assert faults({**job, "spec": {**job["spec"], "completion": 4}}) and faults({**job, "kind": "Jobs"})


def test_kubernetes_starts_each_shard_and_merges_them(work):
    """Every index of the job is a shard; after the second job the volume holds one run."""
    config, _, job = objects("kubernetes.yaml")
    assert config["data"]["spec.yaml"] == (FOLDER / "spec.yaml").read_text("utf-8")
    shards = job["spec"]["completions"]
    assert job["spec"]["completionMode"] == "Indexed" and f"$JOB_COMPLETION_INDEX/{shards} " in command_of(
        job
    )
    for index in range(shards):
        bash(work, command_of(job), JOB_COMPLETION_INDEX=str(index))
    (merge,) = objects("kubernetes-merge.yaml")
    bash(work, command_of(merge))
    assert done(work, "scores.jsonl") == EXPECTED


def test_slurm_starts_a_shard_in_each_task_of_the_array(work):
    """The script is valid, its array has as many tasks as there are shards, and each does its own."""
    script = FOLDER / "slurm.sh"
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    text = script.read_text("utf-8")
    (last,), (shards,) = (
        re.findall(r"--array=0-(\d+)$", text, re.M),
        re.findall(r"^SHARDS=(\d+)$", text, re.M),
    )
    assert int(last) + 1 == int(shards)
    # A task that is submitted again alone is still the third of four.
    bash(work, str(script), SLURM_ARRAY_TASK_ID="2", SLURM_ARRAY_TASK_COUNT="1", SLURM_ARRAY_TASK_MIN="2")
    assert done(work, "scores.shard-2-of-4.jsonl") == EXPECTED[4:6]


def test_airflow_maps_a_task_to_each_shard(work, monkeypatch):
    """The file is a program that makes a task for each shard, and one after them that merges."""
    made: list[dict[str, Any]] = []
    after: list[tuple[Any, Any]] = []

    class Operator:
        def __init__(self, **given: Any) -> None:
            self.given = given
            made.append(given)

        @classmethod
        def partial(cls, **given: Any) -> Operator:
            return cls(**given)

        def expand(self, env: list[dict[str, str]]) -> Operator:
            self.given["env"] = env
            return self

        def __rshift__(self, other: Operator) -> None:
            after.append((self.given["task_id"], other.given["task_id"]))

    class Dag:
        def __init__(self, **given: Any) -> None:
            assert given["dag_id"] == "scores"

        def __enter__(self) -> Dag:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    stubs = {"pendulum": {"datetime": lambda *_, tz: None, "duration": lambda minutes: None}}
    stubs |= {"airflow.models.dag": {"DAG": Dag}}
    stubs |= {"airflow.providers.standard.operators.bash": {"BashOperator": Operator}}
    for name, content in stubs.items():
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:end]), ModuleType(".".join(parts[:end])))
        vars(sys.modules[name]).update(content)
    runpy.run_path(str(FOLDER / "airflow_dag.py"))
    shards, merge = made
    assert [env["SHARD"] for env in shards["env"]] == ["0/4", "1/4", "2/4", "3/4"]
    assert after == [("shard", "merge")] and merge["append_env"] and shards["append_env"]
    bash(work, shards["bash_command"], **shards["env"][0])
    assert done(work, "scores.shard-0-of-4.jsonl") == EXPECTED[:2]
    assert merge["bash_command"] == command_of(objects("kubernetes-merge.yaml")[0])
