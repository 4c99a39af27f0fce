"""Run by each old interpreter: python old_python.py SOURCE URL...

Writes to each database what decides precedence, in three orders, through the wrapper's own modules; to a
queue, one record. Plain Python 3.7.
"""

import importlib.util
import itertools
import sys

source, urls = sys.argv[1], sys.argv[2:]
spec = importlib.util.spec_from_file_location(
    "runtime", source + "/__init__.py", submodule_search_locations=[source]
)
sys.modules["runtime"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["runtime"])

from runtime import datastore_sql, datastore_sqs  # noqa: E402
from runtime.connection import Server  # noqa: E402
from runtime.records import Record, Refused  # noqa: E402


def record(name, send, outcome):
    fields = {"run": "r", "id": name, "index": 1, "try": send, "input": "\u00fc\u0000\ud800"}
    fields.update(outcome)
    fields.update(target="t", wrapper="w", started_at="2026-01-02T03:04:05.678Z", duration_ms=1, attempts=1)
    return Record(fields)


def error(retryable):
    return {"error": {"type": "E", "message": "m", "retryable": retryable}}


for url in urls:
    oversize = {"key_env": None, "gzip": False, "oversize": None}
    settings = {"url": url, "url_env": None}
    if url.startswith("http"):
        queue = datastore_sqs.Datastore(Server("http://127.0.0.1:9", {}), dict(settings, **oversize))
        queue.write([record("message", 1, {"result": 1})], 1)
        continue
    datastore = datastore_sql.Datastore(settings)
    outcomes = [(1, {"result": "best"}), (2, error(False)), (3, error(True))]
    for step, order in enumerate(zip(*itertools.permutations(outcomes))):  # noqa: B905 - Python 3.7
        datastore.write([record(str(n), *each) for n, each in enumerate(order)], step + 1)
    try:
        datastore.write([record("far", 1, {"result": 1, "index": 2**70})], 4)
        raise SystemExit("not refused")
    except Refused:
        pass
