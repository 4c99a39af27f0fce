"""Ray Data on a real cluster of two nodes: wrappers on a platform, and wrappers that tasks execute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from evidence import logged_calls, rank_of

from wrapgen.errors import PlatformError, RunError, UsageError

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")

from wrapgen.ray import apply  # noqa: E402
from wrapgen.run.integrations.ray import _budget, _shipped  # noqa: E402


def data(rows, blocks=1):
    """Rows as a data set of so many blocks."""
    return ray.data.from_items(rows, override_num_blocks=blocks)


def test_rows_get_results_or_errors_and_each_is_recorded_once(platform, cluster, keys, run):
    """A failed row has its error in a column, a row without an id too; the schema comes from a probe."""
    rows = [{"id": f"r{n}", "n": n} for n in range(40)] + [{"id": None, "n": 41}]
    scored = apply(
        data(rows, 3), platform.reference, input=["n"], id="id", run=run, concurrency=4, chunk=5, **keys
    )
    found = {row["id"]: row for row in scored.take_all()}
    assert len(found) == 41 and found["r3"]["result"]["square"] == 9 and found["r3"]["error"] is None
    assert "no id" in found[None]["error"]["message"]
    bad = data([{"id": "bad", "fail": "InputError", "n": 5}])
    failed = apply(
        bad, platform.reference, input=["fail", "n"], id="id", run=run, schema="json", **keys
    ).take_all()[0]
    assert failed["result"] is None
    assert (failed["error"]["type"], failed["error"]["message"]) == ("InputError", "as planned")
    told = {row["id"]: rank_of(row) for row in [failed, *found.values()] if row["id"]}
    assert platform.judged(run, sorted(told), told) == []


def test_a_row_is_the_same_item_as_in_a_call(platform, cluster, keys, run):
    """Texts of all kinds, and errors, are recorded as single calls record them."""
    texts = ["good", "über", "", "two\nlines", '{"n": not JSON', "fail InputError", "fail AlgorithmError"]
    rows = [{"id": f"i{n}", "text": text} for n, text in enumerate(texts)]
    scored = apply(
        data(rows), platform.reference, input="text", id="id", run=run, schema="string", **keys
    ).take_all()
    assert [row["id"] for row in scored if row["error"]] == ["i5", "i6"]
    for text, record in zip(texts, (platform.records(run)[row["id"]] for row in rows), strict=True):
        assert record["input"] == text and record["try"] == 1
        assert record.get("result") == (None if text.startswith("fail") else text.upper())
        assert record.get("error", {}).get("type") == (text[5:] if text.startswith("fail") else None)


def test_a_declared_schema_is_kept_to(platform, cluster, keys, run):
    """A result that does not fit is that row's error; equal items are one record."""
    common = {"input": "text", "id": "content", "run": run, **keys}
    rows = data([{"text": "some words"}, {"text": "some words"}])
    numbers = apply(rows, platform.reference, schema="double", **common).take_all()
    assert [row["error"]["type"] for row in numbers] == ["ParsingError"] * 2
    assert len(platform.records(run)) == 1


def test_a_killed_worker_doubles_no_record(platform, cluster, keys, run, gate, until):
    """Killed between its first records and its answer, a task runs again as a higher try."""
    rows = [
        {"id": f"r{n}", "n": n, "note": str(gate.note), "gate": str(gate.gate) if n == 9 else "/dev/null"}
        for n in range(10)
    ]
    scored = apply(
        data(rows),
        platform.reference,
        input=["n", "note", "gate"],
        id="id",
        run=run,
        schema="json",
        chunk=3,
        concurrency=1,
        **keys,
    )
    with ThreadPoolExecutor(1) as pool:
        collected = pool.submit(scored.take_all)
        until(lambda: gate.seen(9))
        cluster.kill_workers("MapBatches")
        until(lambda: gate.seen(9) >= 2)
        until(lambda: gate.open() or collected.done())
        told = {row["id"]: rank_of(row) for row in collected.result()}
    assert platform.judged(run, sorted(told), told) == [] and len(told) == 10
    assert platform.records(run)["r9"]["try"] == 2


def test_what_is_wrong_is_one_clear_message(platform, cluster, keys):
    """What is asked for is checked when `apply` is called, not in a task."""
    rows = data([{"id": "a", "text": "b"}])
    common = {"id": "id", **keys}
    with pytest.raises(UsageError, match="no column 'words'"):
        apply(rows, platform.reference, input="words", **common)
    with pytest.raises(UsageError, match="a column 'text' already"):
        apply(rows, platform.reference, input="text", output="text", **common)
    with pytest.raises(UsageError, match="both added columns are 'error'"):
        apply(rows, platform.reference, input="text", output="error", **common)
    with pytest.raises(UsageError, match="chunk is 0"):
        apply(rows, platform.reference, input="text", chunk=0, **common)
    with pytest.raises(UsageError, match="not a schema: 'dubble'"):
        apply(rows, platform.reference, input="text", schema="dubble", **common)
    with pytest.raises((RunError, PlatformError), match=r"the key|key"):
        apply(rows, platform.reference, input="text", **{**common, "key": "simWRONG"})


def test_calls_of_all_tasks_stay_within_one_budget(platform, cluster, keys, run, until):
    """Tasks that run at once divide the calls; a single one has them all."""
    rows = [{"id": f"r{n}", "n": n, "seconds": 0.05} for n in range(24)]
    open_at_once = []
    for blocks in (6, 1):
        part = f"{run[:50]}-{blocks}"
        apply(
            data(rows, blocks),
            platform.reference,
            input=["n", "seconds"],
            id="id",
            run=part,
            schema="json",
            chunk=1,
            concurrency=3,
            num_cpus=0.25,
            **keys,
        ).materialize()
        open_at_once.append(most_open(platform, part, until))
    assert max(open_at_once) <= 3 and open_at_once[1] > 1


def most_open(platform, run: str, until) -> int:
    """The most calls of a run's wrapper that were open at one moment, by the platform's log."""

    def calls() -> list[dict]:
        found = logged_calls(platform.folder / "home" / "logs")
        return [call for call in found if call.get("run") == run and call["request_id"] == call["session"]]

    until(lambda: sum(call["seconds"] >= 0.05 for call in calls()) >= 24)  # it is written a little later
    # Ends are rounded to milliseconds.
    moments = [
        at for call in calls() for at in ((call["time"], -1), (call["time"] - call["total"] + 0.001, 1))
    ]
    most = now = 0
    for _, step in sorted(moments):
        now += step
        most = max(most, now)
    return most


def test_a_lease_ends_with_its_task_and_tries_rise(cluster):
    """What a killed task held is free again when it begins anew; what several want is divided."""
    budget = _budget(5)
    assert ray.get(budget.begin.remote("a")) == 0
    assert ray.get(budget.acquire.remote("a", 0, 9)) == 5
    waiting = budget.acquire.remote("b", 0, 9)
    assert ray.get(budget.begin.remote("a")) == 1
    assert ray.get(waiting) == 5
    ray.get(budget.release.remote("b", 0, 5))
    assert ray.get(budget.acquire.remote("a", 1, 2)) == 2
    assert ray.get(budget.acquire.remote("b", 0, 9)) == 3


MODULES = """[
    [__import__("wrapgen.run.integrations." + name) for name in ("ray_task", "shipped_wrapper")],
    [m.__file__ for n, m in __import__("sys").modules.items() if n.startswith("wrapgen.")],
][1]"""


def test_workers_need_no_wrapgen(cluster):
    """All that a task imports of wrapgen comes with it."""
    found = ray.get(ray.remote(_shipped(eval, MODULES)).options(num_cpus=0).remote())
    assert len(found) > 30 and all("/session_" in path for path in found)


def wrapgen(*words: str, cwd) -> None:
    """Runs a command to its end."""
    done = subprocess.run([sys.executable, "-m", "wrapgen", *words], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


SPEC = """\
version: 1
target: {source: ./target}
wrapper: {name: acme/Here, mode: both}
datastore: {url: "file://FOLDER"}
"""

TARGET = '''\
"""Squares."""


def apply(input):
    """The square of n."""
    if input["n"] == 7:
        raise ValueError("as planned")
    return input["n"] ** 2
'''


def test_tasks_execute_the_wrapper_of_a_spec(cluster, tmp_path, run):
    """Without a platform: each task has the wrapper's source with it, and records go to the spec's folder."""
    (tmp_path / "target" / "src").mkdir(parents=True)
    (tmp_path / "target" / "src" / "Square.py").write_text(TARGET)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("FOLDER", str(tmp_path / "records")))
    rows = [{"id": f"r{n}", "n": n} for n in range(30)]
    scored = apply(data(rows, 4), str(tmp_path / "spec.yaml"), input=["n"], id="id", run=run).take_all()
    assert [row["result"] for row in scored] == [None if n == 7 else n * n for n in range(30)]
    assert scored[7]["error"]["message"] == "as planned"
    lines = [
        json.loads(line)
        for file in (tmp_path / "records").iterdir()
        for line in file.read_text().splitlines()
    ]
    assert {line["id"] for line in lines} == {f"r{n}" for n in range(30)}


def test_a_spec_that_no_task_can_execute_is_one_clear_message(cluster, tmp_path):
    """What its wrapper lacks on the workers is said before a row costs anything."""
    (tmp_path / "target" / "src").mkdir(parents=True)
    (tmp_path / "target" / "src" / "Square.py").write_text("import no_such_package\n" + TARGET)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("FOLDER", str(tmp_path / "records")))
    with pytest.raises(RunError, match="no_such_package"):
        apply(data([{"id": "a", "n": 1}]), str(tmp_path / "spec.yaml"), input=["n"], id="id")


def test_the_emitted_job_scores_with_the_wrapper_that_it_brings(platform, cluster, tmp_path):
    """Without wrapgen and without a platform: the folder is all that is needed; an error is one line."""
    (tmp_path / "target" / "src").mkdir(parents=True)
    (tmp_path / "target" / "src" / "Square.py").write_text(TARGET)
    (tmp_path / "spec.yaml").write_text(SPEC.replace("FOLDER", str(tmp_path / "records")))
    wrapgen("build", "spec.yaml", "--ray", cwd=tmp_path)
    folder = tmp_path / "generated" / "Here-ray"
    (folder / "rows.jsonl").write_text("".join(json.dumps({"n": n, "id": f"r{n}"}) + "\n" for n in range(9)))

    def job(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "ray_job.py", "--input", "rows.jsonl", "--output", "scores", *words]
        variables = {**os.environ, **cluster.environment, "PYTHONPATH": str(tmp_path / "blocked")}
        return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)

    (tmp_path / "blocked" / "wrapgen").mkdir(parents=True)
    (tmp_path / "blocked" / "wrapgen" / "__init__.py").write_text("raise ImportError('not here')")
    done = job("--column", "n,id", "--id", "id", "--schema", "json")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for file in (folder / "scores").iterdir() for line in file.open()]
    assert sorted((row["n"], row["result"]) for row in rows) == [
        (n, None if n == 7 else str(n * n)) for n in range(9)
    ]
    failed = job("--column", "m", "--id", "id")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == "error: there is no column 'm' (the columns are: n, id)"
