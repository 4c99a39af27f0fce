"""A standalone Spark cluster: master and two workers in the driver's Java, each with an executor process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

SECONDS = 180.0
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java options for processes that live for a minute."""


class Cluster:
    """Started within the Java that Spark's session then uses, on free ports: three processes fewer.

    Each worker has a loopback address of its own: Spark runs no speculative copy on the host of the first.

    Args:
        folder: where work files go.
        environment: of Java and of executors; says which Java.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._environment = {**environment, "SPARK_LOCAL_IP": "127.0.0.1", "JAVA_TOOL_OPTIONS": QUICK}
        self.master = ""
        self._ends: list[Any] = []
        self._driver = 0

    def start(self, workers: int = 2) -> None:
        """Returns when the master is there; workers register while whoever asks for them starts."""
        from pyspark import SparkContext

        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self._environment)
        try:
            SparkContext._ensure_initialized()  # starts Java, with the variables of this process
        finally:
            os.environ.clear()
            os.environ.update(before)
        gateway = SparkContext._gateway
        assert gateway is not None
        self._driver = gateway.proc.pid
        java, conf = gateway.jvm, gateway.jvm.org.apache.spark.SparkConf()
        deploy = java.org.apache.spark.deploy
        self._ends.append(deploy.master.Master.startRpcEnvAndEndpoint("127.0.0.1", 0, 0, conf)._1())
        self.master = self._ends[0].address().toSparkURL()
        masters = gateway.new_array(java.String, 1)
        masters[0] = self.master
        none = java.scala.Option.empty()
        for number in range(1, workers + 1):
            place, work = f"127.0.0.{number}", str(self.folder / f"work{number}")
            facts = (place, 0, 0, 1, 700, masters, work, none, conf, none)
            self._ends.append(deploy.worker.Worker.startRpcEnvAndEndpoint(*facts))

    def executors(self) -> dict[str, int]:
        """Process id of each of this cluster's executors that runs now, by the executor's id."""
        listed = subprocess.run(
            ["ps", "-ww", "--ppid", str(self._driver), "-o", "pid,args"], capture_output=True, text=True
        ).stdout.splitlines()
        rows = [line.split(None, 1) for line in listed if "CoarseGrainedExecutorBackend" in line]
        found = [(int(pid), re.search(r"--executor-id (\w+)", words)) for pid, words in rows]
        return {match[1]: pid for pid, match in found if match}

    def stop(self) -> None:
        """Ends workers and master; Java ends with this process."""
        for end in reversed(self._ends):
            end.shutdown()


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
