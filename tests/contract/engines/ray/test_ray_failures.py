"""Ray with two and three nodes: nodes, workers and the head are killed, and the history is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from evidence import Evidence, rank_of

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")

pytestmark = pytest.mark.soak

JOB = """\
import json, logging, os, sys
import ray, ray.data
from wrapgen.ray import apply

rows, options = json.load(open(sys.argv[1]))
ray.init(os.environ["RAY_ADDRESS"], log_to_driver=False, logging_level="ERROR")
logging.getLogger("ray.data").setLevel(logging.CRITICAL)
found = apply(ray.data.from_items(rows, override_num_blocks=6), **options).take_all()
open(sys.argv[2], "w").write(json.dumps(found))  # Ray prints too
"""

ROWS = 60
WAITS = (9, 35, 58)
"""Rows at which a call waits for the gate."""


@pytest.fixture
def job(platform, keys, run, gate, tmp_path):
    """Starts the job on a cluster: `job(cluster)`; its rows call through the platform."""
    rows = [
        {
            "id": f"r{n}",
            "n": n,
            "note": str(gate.note),
            "gate": str(gate.gate) if n in WAITS else "/dev/null",
            "seconds": 0.02,
        }
        for n in range(ROWS)
    ]
    options = {
        "wrapper": platform.reference,
        "input": ["n", "note", "gate", "seconds"],
        "id": "id",
        "run": run,
        "schema": "json",
        "chunk": 2,
        "concurrency": 4,
        **keys,
    }
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "job.json").write_text(json.dumps([rows, options]))

    def start(cluster) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, *(str(tmp_path / name) for name in ("job.py", "job.json", "rows.json"))],
            env={**platform.environment, **cluster.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def ended(process: subprocess.Popen, gate, until) -> tuple[int, str]:
    """What a job says at its end; whatever waits at the gate passes."""
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(process.communicate)
        until(lambda: gate.open() or said.done())
        _, err = said.result()
    return process.returncode, err


def judge(platform, run: str, found: Evidence, out: Path) -> None:
    """Every row was told, and each rule of histories holds."""
    rows = json.loads(out.read_text())
    assert sorted(row["n"] for row in rows) == list(range(ROWS))
    assert {row["error"] and row["error"]["type"] for row in rows} == {None}
    note(platform, run, found)
    found.acknowledged({row["n"]: rank_of(row) for row in rows})
    assert found.broken() == []


def note(platform, run: str, found: Evidence) -> None:
    """Has the checker look at the records as they are now."""
    found.records(platform.records(run).values(), lambda record: int(record["id"][1:]))


@pytest.mark.parametrize("nodes", [2, 3])
def test_lost_nodes_lose_and_double_nothing(platform, run, gate, until, job, make_cluster, nodes, tmp_path):
    """All nodes but one are killed in turn, with blocks done, under way and waiting."""
    cluster, found = make_cluster(nodes), Evidence(ROWS)
    started = job(cluster)
    until(lambda: any(gate.seen(n) for n in WAITS))
    for node in cluster.nodes[1:]:
        note(platform, run, found)
        before = [gate.seen(n) for n in range(ROWS)]
        cluster.kill_node(node)
        until(lambda before=before: gate.open() or [gate.seen(n) for n in range(ROWS)] != before)
    code, err = ended(started, gate, until)
    assert code == 0, err
    judge(platform, run, found, tmp_path / "rows.json")


def test_workers_killed_again_and_again_between_record_and_answer(
    platform, run, gate, until, job, make_cluster, tmp_path
):
    """Each time some of a block's rows are recorded, and nothing of it is answered."""
    cluster, found = make_cluster(2), Evidence(ROWS)
    started = job(cluster)
    for times in (1, 2, 3):
        until(lambda times=times: gate.seen(WAITS[0]) >= times)
        note(platform, run, found)
        cluster.kill_workers("MapBatches")
    code, err = ended(started, gate, until)
    assert code == 0, err
    judge(platform, run, found, tmp_path / "rows.json")
    assert platform.records(run)["r9"]["try"] >= 4


def test_a_lost_head_ends_the_job_and_the_same_run_is_done_elsewhere(
    platform, run, gate, until, job, make_cluster, tmp_path
):
    """The driver ends by itself; on another cluster the same run records nothing twice."""
    first, found = make_cluster(2), Evidence(ROWS)
    started = job(first)
    until(lambda: any(gate.seen(n) for n in WAITS))
    note(platform, run, found)
    first.kill_head()
    code, err = ended(started, gate, until)
    assert code != 0, err
    first.stop()
    note(platform, run, found)
    code, err = ended(job(make_cluster(2)), gate, until)
    assert code == 0, err
    judge(platform, run, found, tmp_path / "rows.json")
