"""The engines' surroundings, all of them real: a platform with a wrapper on it, an SQS server, Spark."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import commands
import pytest

from wrapgen.client import Client, Connection, connect
from wrapgen.records import open_records

HERE = Path(__file__).parent
SECONDS = 90.0

SPEC = """\
version: 1
target:
  algorithm: nlp/Planned/1.0.0
wrapper:
  name: acme/Recorded
  mode: both
datastore:
  url: data://acme/recorded
dispatch:
  parallel: 4
  item_timeout: 300
limits:
  timeout: 300
  request_bytes: 200000
"""


def clean_environment() -> dict[str, str]:
    """This process's variables without the vendor's, and with AWS's for a server that takes any."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALGORITHMIA", "AWS_"))}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    return {**kept, **keys, "AWS_EC2_METADATA_DISABLED": "true"}


def wrapgen(*words: str, cwd: Path) -> Any:
    """Runs a command to its end and returns what it says with --json."""
    done = commands.run(*words, "--json", cwd=cwd, env=clean_environment(), timeout=SECONDS * 2)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


@dataclass
class Platform:
    """A running platform and the wrapper that it hosts.

    Attributes:
        facts: the ready line of `wrapgen serve`.
        reference: the wrapper's exact version.
        folder: where spec and home lie.
    """

    facts: dict[str, Any]
    folder: Path
    reference: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead a process to this platform."""
        found = {"ALGORITHMIA_API": self.facts["address"], "ALGORITHMIA_API_KEY": self.facts["api_key"]}
        return {**clean_environment(), **found}

    @property
    def connection(self) -> Connection:
        """As the client finds it."""
        return Connection(self.facts["address"], self.facts["api_key"], "the tests")

    def client(self) -> Client:
        """A client of the first account."""
        return connect(address=self.facts["address"], key=self.facts["api_key"])

    def recorded(self) -> list[dict[str, Any]]:
        """The records of every run."""
        with open_records(self.client().data, "data://acme/recorded") as records:
            return list(records)

    def judged(self, run: str, ids: list[str], told: dict[str, int]) -> list[str]:
        """Rules that a run without a ledger breaks.

        Args:
            run: its id.
            ids: of all its items.
            told: the rank of what was acknowledged of an item: its row, or that its message is done.
        """
        from evidence import Evidence, logged_calls  # bench/engines.py has no path to it

        found = Evidence(len(ids))
        found.records(self.records(run).values(), lambda record: ids.index(record["id"]))
        found.acknowledged({ids.index(id_): rank for id_, rank in told.items()})
        recorded = max(record["try"] for record in self.records(run).values())
        calls = [call for call in logged_calls(self.folder / "home" / "logs") if call.get("run") == run]
        assert sum(call["request_id"] == call["session"] for call in calls) >= recorded
        return found.broken()

    def records(self, run: str) -> dict[str, dict[str, Any]]:
        """A run's records by id, read as a user reads them; each id once."""
        with open_records(self.client().data, "data://acme/recorded", run=run) as records:
            found = list(records)
        by_id = {record["id"]: record for record in found}
        assert len(by_id) == len(found), "an id has more than one record"
        return by_id


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with the planned target and a wrapper around it that records."""
    folder = tmp_path_factory.mktemp("platform")
    (folder / "spec.yaml").write_text(SPEC)
    command = [
        sys.executable,
        "-m",
        "wrapgen",
        "serve",
        "--home",
        str(folder / "home"),
        "--port",
        "0",
        "--json",
        "--isolation",
        "none",  # bench/engines.py measures with this fixture, beside commits that made no sandbox unasked
        "--allow-root-workers",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as server:
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            platform = Platform(json.loads(Path(ready["credentials"]).read_text()), folder)
            home = ["--home", str(folder / "home")]
            wrapgen("publish", str(HERE / "target"), "--release", "1.0.0", *home, cwd=folder)
            wrapgen("build", "spec.yaml", cwd=folder)
            published = wrapgen("publish", "generated/Recorded", *home, cwd=folder)
            platform.reference = published["reference"]
            yield platform
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def sqs_address() -> Iterator[str]:
    """An SQS server of its own process, over HTTP."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=clean_environment()
    ) as server:
        try:
            assert server.stderr is not None
            match = None
            while match is None:
                line = server.stderr.readline()
                assert line, "the SQS server did not start"
                match = re.search(r"Running on (http://127\.0\.0\.1:\d+)", line)
            threading.Thread(target=server.stderr.read, daemon=True).start()  # or its log would block it
            yield match[1]
        finally:
            server.terminate()


@dataclass
class Queues:
    """A queue and its dead-letter queue, made for one test."""

    client: Any
    url: str
    dead_url: str
    fifo: bool
    ids: list[str] = field(default_factory=list)

    def send(self, *bodies: Any, group: str | None = None) -> list[str]:
        """Sends bodies (text as it is, everything else as JSON) and returns their MessageIds."""
        ids = []
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            extra = {"MessageGroupId": group, "MessageDeduplicationId": uuid4().hex} if self.fifo else {}
            ids.append(self.client.send_message(QueueUrl=self.url, MessageBody=text, **extra)["MessageId"])
        self.ids += ids
        return ids

    def send_many(self, bodies: list[Any]) -> None:
        """Sends many bodies, ten a request."""
        for start in range(0, len(bodies), 10):
            part = bodies[start : start + 10]
            entries = [{"Id": str(at), "MessageBody": json.dumps(body)} for at, body in enumerate(part)]
            self.client.send_message_batch(QueueUrl=self.url, Entries=entries)

    def count(self, url: str | None = None) -> int:
        """Messages in the queue, hidden ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    def dead(self) -> list[dict[str, Any]]:
        """What is in the dead-letter queue."""
        found = self.client.receive_message(
            QueueUrl=self.dead_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return list(found.get("Messages") or [])


@pytest.fixture
def make_queue(sqs_address: str) -> Callable[..., Queues]:
    """Makes a queue with a dead-letter queue: `make_queue(fifo=False, max_receives=3, visibility=30)`."""
    import boto3

    client = boto3.client(
        "sqs",
        endpoint_url=sqs_address,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )

    def make(*, fifo: bool = False, max_receives: int = 3, visibility: int = 30) -> Queues:
        name, suffix = uuid4().hex, ".fifo" if fifo else ""
        kind = {"FifoQueue": "true"} if fifo else {}
        dead = client.create_queue(QueueName=f"{name}-dead{suffix}", Attributes=kind)["QueueUrl"]
        arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": str(max_receives)})
        url = client.create_queue(
            QueueName=f"{name}{suffix}",
            Attributes={**kind, "RedrivePolicy": redrive, "VisibilityTimeout": str(visibility)},
        )["QueueUrl"]
        return Queues(client, url, dead, fifo)

    return make


class Worker:
    """A `wrapgen worker sqs` process; `said` grows with its standard error."""

    def __init__(self, platform: Platform, url: str, *words: str) -> None:
        command = [sys.executable, "-m", "wrapgen", "worker", "sqs", "--queue", url, "--json"]
        quick = ["--wrapper", platform.reference, "--wait", "1", "--linger", "0.1"]
        self.process = subprocess.Popen(
            [*command, *quick, *words],
            env=platform.environment,
            cwd=platform.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr)

    def end(self) -> tuple[int, dict[str, Any], str]:
        """Waits for its end: exit code, summary, everything that it said."""
        assert self.process.stdout is not None and self.process.stderr is not None
        out = self.process.stdout.read()
        code = self.process.wait(timeout=SECONDS)
        self._listener.join(SECONDS)
        self.process.stdout.close()
        self.process.stderr.close()
        return code, json.loads(out.splitlines()[0]) if out else {}, "".join([*self.said, out])

    def kill(self) -> None:
        """Ends it on the spot."""
        self.process.kill()
        self.end()


@pytest.fixture
def work(platform: Platform) -> Iterator[Callable[..., Worker]]:
    """Starts workers: `work(url, "--until-empty")`; none outlives the test."""
    workers: list[Worker] = []

    def start(url: str, *words: str) -> Worker:
        workers.append(Worker(platform, url, *words))
        return workers[-1]

    yield start
    for worker in workers:
        with contextlib.suppress(Exception):
            worker.process.kill()
            worker.process.wait(timeout=SECONDS)
            for stream in (worker.process.stdout, worker.process.stderr):
                if stream is not None:
                    stream.close()


@dataclass
class Spark:
    """A session on a real cluster whose executors have no wrapgen."""

    session: Any
    cluster: Any

    def busy(self) -> list[str]:
        """Ids of the executors that run a task now."""
        seen = self.session.sparkContext._jsc.sc().statusStore().executorList(True)
        found = [seen.apply(at) for at in range(seen.size())]
        return [one.id() for one in found if one.activeTasks() and one.id() != "driver"]

    def speculates(self) -> bool:
        """Whether a task that runs now has a speculative copy."""
        store = self.session.sparkContext._jsc.sc().statusStore()
        stages = self.session.sparkContext.statusTracker().getActiveStageIds()
        tasks = [store.taskList(stage, 0, 100) for stage in stages]
        return any(of.apply(at).speculative() for of in tasks for at in range(of.size()))


@pytest.fixture(scope="session")
def parts() -> Any:
    """The module that starts a cluster."""
    pytest.importorskip("pyspark", reason="Spark is not installed: pip install -e '.[spark]'")
    loader = importlib.util.spec_from_file_location("spark_cluster", HERE / "spark_cluster.py")
    assert loader is not None and loader.loader is not None
    parts = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(parts)
    return parts


@pytest.fixture(scope="session")
def bare(parts: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with what Spark needs of an executor, and no wrapgen."""
    return str(parts.bare_python(tmp_path_factory.mktemp("bare") / "python"))


@pytest.fixture(scope="session")
def spark(parts: Any, bare: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """A standalone cluster with two workers, and a session that speculates early."""
    from wrapgen.run.integrations.spark import find_java
    from wrapgen.spark import session

    folder, python = tmp_path_factory.mktemp("spark"), bare
    java = find_java()
    environment = {**clean_environment(), "PYSPARK_PYTHON": python, **({"JAVA_HOME": java} if java else {})}
    cluster = parts.Cluster(folder, environment)
    before = dict(os.environ)
    os.environ.update(PYSPARK_PYTHON=python, JAVA_TOOL_OPTIONS=parts.QUICK, SPARK_LOCAL_IP="127.0.0.1")
    os.environ.pop("SPARK_HOME", None)
    try:
        cluster.start()
        found = session(
            "the tests",
            **{
                "spark.master": cluster.master,
                "spark.ui.enabled": "false",
                "spark.driver.host": "127.0.0.1",
                "spark.executor.memory": "512m",
                "spark.cores.max": "2",
                "spark.scheduler.minRegisteredResourcesRatio": "1.0",  # start with both executors there
                "spark.scheduler.maxRegisteredResourcesWaitingTime": f"{SECONDS * 2:.0f}s",
                "spark.sql.shuffle.partitions": "2",
                "spark.speculation": "true",
                "spark.speculation.interval": "200ms",
                "spark.speculation.multiplier": "1.1",
                "spark.speculation.quantile": "0.5",
                "spark.speculation.minTaskRuntime": "1s",
                "spark.sql.warehouse.dir": str(folder / "warehouse"),
            },
        )
        found.sparkContext.setLogLevel("ERROR")
        yield Spark(found, cluster)
        found.stop()
    finally:
        cluster.stop()
        os.environ.clear()
        os.environ.update(before)
