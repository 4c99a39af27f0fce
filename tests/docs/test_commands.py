"""Every shell command and Python program in README.md and docs/ is run as it is printed, page by page.

A page is one session in an empty folder that holds the checkout's `examples/`, `generated/` and `templates/`.
Its blocks fenced as `sh` and `python` are run in order, by bash and Python, against real servers:

- a line that starts with `wrapgen serve`, or runs `uvicorn`, is started beside the others, on a free port;
- `wrapgen worker sqs` gets `--until-empty`, since nobody is there to stop it;
- `pip install` gets `--dry-run --no-deps --no-index`: pip reads the line, finds this checkout and the extra,
  and installs nothing. `tests/repo/test_wheel.py` really installs the wheel, and `make setup` the extras;
- `make TARGET` gets `-n`, in the checkout: make says what it would run. What `make demo` runs is really run
  by `tests/e2e/test_demo.py`; `make test` is what runs all this;
- `. .venv/bin/activate` takes the environment that these tests run in;
- a block that starts with a comment like `# spec.yaml` is saved as that file;
- what a page needs but need not show stands in `<!-- hidden: COMMAND -->`;
- what stands for something of the reader's (see STANDS_FOR) is replaced by something real that runs here.

A block that can't run anywhere but at the reader's is fenced as `sh no-run: REASON`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import models
import pytest
from printed import PAGES, ROOT, Step, blocks, name, steps

QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/tweets"
STANDS_FOR: dict[str, Callable[[Any], str]] = {
    "https://api.cluster.example": lambda session: session.platform["address"],
    "http://127.0.0.1:8080": lambda session: session.platform["address"],
    "sim...": lambda session: json.loads(Path(session.platform["credentials"]).read_text())["api_key"],
    QUEUE: lambda session: session.cloud() + "/123456789012/tweets",
    "https://minio.example.org": lambda session: session.cloud(),
    "http://127.0.0.1:9000": lambda session: f"http://127.0.0.1:{session.port}",
    "http://localhost:8000": lambda session: session.model(models.fastapi),
    "http://localhost:5000": lambda session: session.model(models.mlflow),
    "http://localhost:4000": lambda session: session.model(models.openai),
}
RUN_AS = [
    (r"^(wrapgen worker sqs .*)$", r"\1 --until-empty --wait 0"),
    (r"^pip install\b", "pip install --dry-run --no-deps --no-index"),
    (r"^make\b", f"make -n -C '{ROOT}'"),
    (r"^\. \.venv/bin/activate$", f". '{Path(sys.prefix) / 'bin' / 'activate'}'"),
]
"""Beginnings of lines that would not end, or change the machine, and what is run instead."""


@dataclass
class Session:
    """One page's folder, environment and servers."""

    folder: Path
    environment: dict[str, str]
    cloud: Callable[[], str]
    platform: dict[str, str] = field(default_factory=dict)
    servers: list[subprocess.Popen[str]] = field(default_factory=list)
    models: dict[str, Any] = field(default_factory=dict)
    port: int = 0

    def do(self, step: Step) -> None:
        """Runs a step; fails with what it said."""
        if step.kind == "serve":
            self.serve(step.script)
            return
        if step.kind == "uvicorn":
            self.serve_wrapper(step.script)
            return
        script = step.script
        for printed, real in STANDS_FOR.items():
            if printed in script:
                script = script.replace(printed, real(self))
        if step.kind == "save":
            (self.folder / step.path).write_text(script, "utf-8")
            return
        if step.kind == "python":
            self.run([sys.executable, "-c", script])
        else:
            for printed, run in RUN_AS:
                script = re.sub(printed, run, script, flags=re.MULTILINE)
            self.run(["bash", "-euo", "pipefail", "-c", script])

    def run(self, command: list[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            capture_output=True,
            timeout=400,
            stdin=subprocess.DEVNULL,
        )
        said = f"{command[-1]}\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
        assert done.returncode == 0 and "does not provide the extra" not in done.stderr, said

    def serve(self, line: str) -> None:
        """Starts a platform as the line says, but on a free port, and waits until it is ready."""
        command = ["bash", "-c", f"exec {line.split('#')[0]} --port 0 --json --allow-root-workers"]
        server = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE
        )
        self.servers.append(server)
        assert server.stdout is not None
        ready = server.stdout.readline()
        assert ready, f"{line}: the platform did not start"
        self.platform = json.loads(ready)

    def serve_wrapper(self, line: str) -> None:
        """Starts a served wrapper as the line says, but on a free port; waits until it has loaded."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        command = re.sub(r"--port \d+", f"--fd {listener.fileno()}", line)
        with listener, (self.folder / "uvicorn.log").open("wb") as log:
            server = subprocess.Popen(
                ["bash", "-c", f"trap 'kill $!' TERM; {command} & wait"],
                cwd=self.folder,
                env=self.environment,
                text=True,
                stdout=log,
                stderr=log,
                pass_fds=[listener.fileno()],
            )
        self.servers.append(server)
        while server.poll() is None:
            with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=60):
                return
        raise AssertionError((self.folder / "uvicorn.log").read_text("utf-8"))

    def model(self, answer: Callable[[str, Any], Any]) -> str:
        """The address of a model server, started when it is first needed."""
        if answer.__name__ not in self.models:
            self.models[answer.__name__] = models.start(answer)
        return "http://127.0.0.1:{1}".format(*self.models[answer.__name__].server_address)

    def close(self) -> None:
        for model in self.models.values():
            model.shutdown()
            model.server_close()
        for server in self.servers:
            server.terminate()
        for server in self.servers:
            server.communicate(timeout=120)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Callable[[], str]]:
    """The address of a server that speaks SQS and S3, with a queue and a bucket; started when needed."""
    started: list[Any] = []

    def address() -> str:
        if not started:
            from moto.server import ThreadedMotoServer

            started.append(ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False))
            started[0].start()
            furnish("http://{}:{}".format(*started[0].get_host_and_port()))
        return "http://{}:{}".format(*started[0].get_host_and_port())

    yield address
    for server in started:
        server.stop()


def furnish(address: str) -> None:
    """Makes what the pages say is the reader's: a queue with its dead-letter queue, and a bucket."""
    import boto3

    known = {
        "endpoint_url": address,
        "region_name": "eu-west-1",
        "aws_access_key_id": "x",
        "aws_secret_access_key": "x",
    }
    queues = boto3.client("sqs", **known)
    queues.create_queue(QueueName="dead", Attributes={"MessageRetentionPeriod": "1209600"})
    dead = json.dumps(
        {"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:123456789012:dead", "maxReceiveCount": "5"}
    )
    attributes = {"VisibilityTimeout": "60", "MessageRetentionPeriod": "1209600", "RedrivePolicy": dead}
    url = queues.create_queue(QueueName="tweets", Attributes=attributes)["QueueUrl"]
    queues.send_message(QueueUrl=url, MessageBody='{"document": "I like queues."}')
    boto3.client("s3", **known).create_bucket(
        Bucket="predictions", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )


@pytest.fixture
def session(tmp_path: Path, cloud: Callable[[], str]) -> Iterator[Session]:
    """A user's session: wrapgen on the PATH, a home of its own, none of the vendor's or Spark's variables."""
    theirs = ("ALGORITHMIA", "AWS_", "PYSPARK_", "RAY_", "SPARK_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(theirs)}
    home, folder = tmp_path / "user", tmp_path / "session"
    home.mkdir()
    for tree in ("examples", "generated", "templates"):
        shutil.copytree(ROOT / tree, folder / tree)
    environment = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        "HOME": str(home),
        "UV_CACHE_DIR": kept.get("UV_CACHE_DIR", str(Path("~/.cache/uv").expanduser())),
        "NO_COLOR": "1",
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # for programs that live for seconds
        "RAY_ADDRESS": "local",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    opened = Session(folder, environment, cloud)
    yield opened
    opened.close()


def listed() -> list[Any]:
    """The pages that print something to run."""
    return [
        pytest.param(page, id=name(page)) for page in PAGES if {step.kind for step in steps(page)} - {"save"}
    ]


@pytest.mark.parametrize("page", listed())
def test_what_a_page_prints_works(page: Path, session: Session) -> None:
    """Someone who types a page's commands and programs, in order, sees none of them fail."""
    if name(page) == "docs/spark.md" and importlib.util.find_spec("pyspark") is None:
        pytest.skip("no Spark; make setup installs it unless WRAPGEN_NO_SPARK=1")
    if name(page) == "docs/ray.md" and importlib.util.find_spec("ray") is None:
        pytest.skip("no Ray; make setup installs it unless WRAPGEN_NO_RAY=1")
    for step in steps(page):
        session.do(step)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_that_is_not_run_says_why(page: Path) -> None:
    """A shell or Python block is either run or carries the reason why not."""
    for block in blocks(page):
        if block.language in ("sh", "python"):
            assert not block.note or re.fullmatch(r"no-run: \S.{10,}", block.note), block.body
