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

    Args:
        folder: where logs and work files go.
        environment: of all its processes.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        import pyspark

        self.folder = folder
        home = Path(pyspark.__file__).parent
        self._script = str(home / "bin" / "spark-class")
        self._environment = {
            **environment,
            "SPARK_HOME": str(home),
            "SPARK_NO_DAEMONIZE": "1",
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
            "JAVA_TOOL_OPTIONS": QUICK,
        }
        self._processes: list[subprocess.Popen[str]] = []
        self.master = ""

    def start(self, workers: int = 2) -> None:
        """Returns when every worker is registered."""
        quiet = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
        self.master = self._run(
            ["org.apache.spark.deploy.master.Master", *quiet], r"Starting Spark master at (spark://\S+)"
        )
        for number in range(workers):
            work = ["--work-dir", str(self.folder / f"work{number}"), "--cores", "1", "--memory", "700m"]
            self._run(
                ["org.apache.spark.deploy.worker.Worker", *quiet, *work, self.master],
                r"(Successfully registered with master)",
            )

    def _run(self, words: list[str], ready: str) -> str:
        process = subprocess.Popen(
            [self._script, *words],
            env=self._environment,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if match := re.search(ready, line):
                threading.Thread(target=process.stderr.read, daemon=True).start()
                return match[1]
        raise RuntimeError(f"{words[0]} did not start")

    def executors(self) -> list[int]:
        """Process ids of this cluster's executors that run now."""
        listed = subprocess.run(
            ["ps", "-eo", "pid,sess,args"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        sessions = {str(process.pid) for process in self._processes}
        rows = [line.split(None, 2) for line in listed if "CoarseGrainedExecutorBackend" in line]
        return [int(pid) for pid, session, _ in rows if session in sessions]

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
