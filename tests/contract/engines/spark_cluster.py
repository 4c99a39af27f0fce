"""A standalone Spark cluster of processes: a master and two workers with an executor each."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

SECONDS = 180.0
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java options for processes that live for a minute."""


class Cluster:
    """Started from the files of the package pyspark, on free ports.

    Each worker has a loopback address of its own: Spark runs no speculative copy on the host of the first.

    Args:
        folder: where logs and work files go.
        environment: of all its processes; says which Java.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        import pyspark

        self.folder = folder
        home = Path(pyspark.__file__).parent
        java_home = environment.get("JAVA_HOME")
        # Spark's own script would start a Java more for each, which only composes this command.
        self._command = [
            f"{java_home}/bin/java" if java_home else "java",
            "-Xmx256m",
            "-cp",
            f"{home}/jars/*",
        ]
        scala = re.search(
            r"scala-library-(\d+\.\d+)", " ".join(jar.name for jar in (home / "jars").iterdir())
        )
        assert scala is not None
        self._environment = {
            **environment,
            "SPARK_HOME": str(home),
            "SPARK_SCALA_VERSION": scala[1],
            "SPARK_LOCAL_IP": "127.0.0.1",
            "JAVA_TOOL_OPTIONS": QUICK,
        }
        self._processes: list[subprocess.Popen[str]] = []
        self.master = ""

    def start(self, workers: int = 2) -> None:
        """Returns when the master is there; workers register while whoever asks for them starts."""
        quiet = ["--port", "0", "--webui-port", "0"]
        master = self._run("master.Master", "--host", "127.0.0.1", *quiet)
        assert master.stderr is not None
        found = (re.search(r"Starting Spark master at (spark://\S+)", line) for line in master.stderr)
        self.master = next((match[1] for match in found if match), "")
        assert self.master, "the master did not start"
        for number in range(1, workers + 1):
            work = ["--work-dir", str(self.folder / f"work{number}"), "--cores", "1", "--memory", "700m"]
            self._run("worker.Worker", "--host", f"127.0.0.{number}", *quiet, *work, self.master)
        for process in self._processes:
            assert process.stderr is not None
            threading.Thread(target=process.stderr.read, daemon=True).start()  # or its log would block it

    def _run(self, name: str, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*self._command, f"org.apache.spark.deploy.{name}", *words],
            env=self._environment,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def executors(self) -> dict[str, int]:
        """Process id of each of this cluster's executors that runs now, by the executor's id."""
        listed = subprocess.run(
            ["ps", "-ww", "-eo", "pid,sess,args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        sessions = {str(process.pid) for process in self._processes}
        rows = [line.split(None, 2) for line in listed if "CoarseGrainedExecutorBackend" in line]
        found = [
            (int(pid), re.search(r"--executor-id (\w+)", words))
            for pid, in_, words in rows
            if in_ in sessions
        ]
        return {match[1]: pid for pid, match in found if match}

    def stop(self) -> None:
        """Ends every process."""
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            process.wait(timeout=SECONDS)


def bare_python(folder: Path) -> str:
    """An interpreter that has what Spark needs of an executor, and no wrapgen."""
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
    installed = Path(sysconfig.get_path("purelib"))
    site = next((folder / "lib").glob("python*/site-packages"))
    for name in (
        "pyarrow",
        "numpy",
        "numpy.libs",
        "pandas",
        "pandas.libs",
        "dateutil",
        "pytz",
        "tzdata",
        "six.py",
    ):
        if (installed / name).exists():
            (site / name).symlink_to(installed / name)
    return str(folder / "bin" / "python")
