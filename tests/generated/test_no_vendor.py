"""A wrapper that calls no platform does without the vendor's client."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from wrapgen.build import generate
from wrapgen.spec import load

SPEC = """
version: 1
target: {{source: {source}}}
wrapper: {{name: acme/Local, mode: both}}
datastore: {{url: "sqlite:///{folder}/records.db"}}
"""

PROGRAM = """
import json, sys
sys.modules["Algorithmia"] = sys.modules["adk"] = sys.modules["requests"] = None  # not to be imported
sys.path.insert(0, "")
from src import Local
print(json.dumps(Local.apply({"$batch": [1, 2], "$run": "r"}, Local.load())))
"""


def test_inline_code_with_a_sql_datastore_needs_no_vendors_client(edge_python: Path, tmp_path: Path) -> None:
    """Importing it serves nothing; neither the vendor's client nor the ADK nor requests is imported."""
    source = tmp_path / "algorithm" / "src"
    source.mkdir(parents=True)
    (source / "Twice.py").write_text("def apply(value):\n    return value * 2\n")
    (tmp_path / "spec.yaml").write_text(SPEC.format(source="./algorithm", folder=tmp_path))
    generate(load(tmp_path / "spec.yaml")).write(tmp_path / "wrapper")
    done = subprocess.run(
        [str(edge_python), "-c", PROGRAM], cwd=tmp_path / "wrapper", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["$results"] == [2, 4]
    assert (tmp_path / "records.db").stat().st_size > 0
