"""The emitted Spark job: its folder alone, on interpreters where wrapgen can't be imported."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from wrapgen.run.integrations.spark import find_java

SECONDS = 240.0


@pytest.fixture(scope="module")
def job(platform, bare, tmp_path_factory) -> Path:
    """What `wrapgen build --spark` emits."""
    folder = tmp_path_factory.mktemp("job")
    command = [sys.executable, "-m", "wrapgen", "build", str(platform.folder / "spec.yaml"), "--spark"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    imported = subprocess.run([bare, "-c", "import wrapgen"], cwd=folder, capture_output=True, check=False)
    assert imported.returncode == 1
    return folder / "generated" / "Recorded-spark" / "spark_job.py"


@pytest.fixture(scope="module")
def environment(platform, bare, parts, tmp_path_factory) -> dict[str, str]:
    """Variables of a driver and executors that have pyspark and nothing of this project."""
    import py4j
    import pyspark

    folder = tmp_path_factory.mktemp("pyspark")
    for package in (pyspark, py4j):
        home = Path(package.__file__).parent
        (folder / home.name).symlink_to(home)
    java = find_java()
    return {
        **platform.environment,
        **({"JAVA_HOME": java} if java else {}),
        "JAVA_TOOL_OPTIONS": parts.QUICK,
        "PYSPARK_PYTHON": bare,
        "PYTHONPATH": str(folder),
        "SPARK_HOME": str(folder / "pyspark"),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def written(folder: Path) -> dict[str, int]:
    """The squares that were written, by id."""
    rows = [json.loads(line) for file in folder.glob("*.json") for line in file.open()]
    results = {row["id"]: row["result"] for row in rows}
    assert len(results) == len(rows)
    return {id_: (json.loads(one) if isinstance(one, str) else one)["square"] for id_, one in results.items()}


@pytest.mark.soak
def test_the_job_runs_with_the_generated_folder_alone(platform, job, environment, tmp_path):
    """spark-submit with an executor of its own process, which gets its modules from the job."""
    (tmp_path / "rows.json").write_text(
        "".join(json.dumps({"id": f"j{n}", "n": n}) + "\n" for n in range(25))
    )
    words = ["--input", "rows.json", "--output", "out", "--column", "n,id", "--id", "id", "--run", "the-job"]
    conf = ["spark.ui.enabled=false", "spark.executor.memory=512m", "spark.sql.shuffle.partitions=1"]
    submitted = subprocess.run(
        [
            f"{environment['SPARK_HOME']}/bin/spark-submit",
            *("--master", "local-cluster[1,1,512]"),
            *(word for one in conf for word in ("--conf", one)),
            *(str(job), *words, "--wrapper", platform.reference),
        ],
        cwd=tmp_path,
        env={**environment, "PYSPARK_DRIVER_PYTHON": environment["PYSPARK_PYTHON"]},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    assert written(tmp_path / "out") == {f"j{n}": n * n for n in range(25)}
    assert set(platform.records("the-job")) == {f"j{n}" for n in range(25)}


class Stream:
    """The job with --checkpoint, as `python spark_job.py`: killed as often as one likes.

    Args:
        command: interpreter, job and words.
        folder: where it runs; `in` is watched, `out` and `checkpoint` are written.
        environment: of its processes.
    """

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        words = ["--input", "in", "--output", "out", "--checkpoint", "checkpoint", "--schema", "json"]
        args = "--master local[2] --conf spark.ui.enabled=false pyspark-shell"
        self._log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [*command, *words],
            cwd=folder,
            env={**environment, "PYSPARK_SUBMIT_ARGS": args},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def wait_until(self, what) -> None:
        """Returns when `what()` holds."""
        end, pause = time.monotonic() + SECONDS, threading.Event()
        while not what():
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            pause.wait(0.05)

    def said(self) -> str:
        """What it printed."""
        self._log.seek(0)
        return self._log.read()

    def kill(self) -> None:
        """Ends the driver, its Java and its Python workers on the spot."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=SECONDS)
        self._log.close()


def open_for_readers(gate: Path) -> bool:
    """Lets whoever waits at the gate pass."""
    with contextlib.suppress(OSError):  # nobody waits there
        os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
    return False


@pytest.mark.soak
def test_a_stream_that_is_killed_goes_on_from_its_checkpoint(platform, job, environment, tmp_path):
    """The batch that was in work is done again under the same run, then the next one: each row one record."""
    gate, note, source = tmp_path / "gate", tmp_path / "note", tmp_path / "in"
    os.mkfifo(gate)
    source.mkdir()
    rows = [
        {
            "id": f"{tmp_path.name}-{n}",
            "n": n,
            "note": str(note),
            "gate": str(gate if n == 7 else "/dev/null"),
        }
        for n in range(12)
    ]
    (source / "0.json").write_text("".join(json.dumps(row) + "\n" for row in rows[:8]))
    command = [environment["PYSPARK_PYTHON"], str(job), "--column", "n,note,gate", "--id", "id"]
    command += ["--chunk", "3", "--wrapper", platform.reference]
    first = Stream(command, tmp_path, environment)
    try:
        first.wait_until(lambda: note.exists() and "7" in note.read_text().split())
    finally:
        first.kill()
    assert not written(tmp_path / "out" / "batch=0")
    (source / "1.json").write_text("".join(json.dumps(row) + "\n" for row in rows[8:]))
    second = Stream(command, tmp_path, environment)
    try:
        with contextlib.suppress(AssertionError):  # it has ended
            second.wait_until(lambda: open_for_readers(gate))
        assert second.process.wait(timeout=SECONDS) == 0, second.said()
    finally:
        second.kill()
    assert note.read_text().split().count("7") >= 2
    squares = {row["id"]: row["n"] ** 2 for row in rows}
    parts = [dict(list(squares.items())[:8]), dict(list(squares.items())[8:])]
    assert [written(tmp_path / "out" / f"batch={number}") for number in range(2)] == parts
    query = json.loads((tmp_path / "checkpoint" / "metadata").read_text())["id"]
    assert [set(platform.records(f"{query}-{number}")) for number in range(2)] == [
        set(part) for part in parts
    ]
    ours = [record["id"] for record in platform.recorded() if record["id"] in squares]
    assert sorted(ours) == sorted(squares)
