"""What an inline target requires is installed once where wrapgen's own Python lacks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

SPEC = """
version: 1
target: {source: ./model}
wrapper: {name: acme/Needy, mode: batch}
"""


def make_wheel(folder: Path) -> Path:
    """A distribution of one module, in a wheel."""
    wheel = folder / "tinything-1.0-py3-none-any.whl"
    about = "tinything-1.0.dist-info"
    with ZipFile(wheel, "w") as file:
        file.writestr("tinything.py", "WORD = 'tiny'\n")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")
    return wheel


def test_requirements_are_installed_once_and_told_of(tmp_path):
    """The first call makes an environment and says so, the next one uses it; a wrong line is one error."""
    (tmp_path / "model").mkdir()
    make_wheel(tmp_path / "model")
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "model" / "requirements.txt").write_text("./tinything-1.0-py3-none-any.whl\n")
    (tmp_path / "model" / "model.py").write_text(
        "import tinything\ndef apply(text):\n    return tinything.WORD + text\n"
    )
    environment = {
        **os.environ,
        "WRAPGEN_CACHE": str(tmp_path / "cache"),
        "PIP_NO_INDEX": "1",
        "UV_NO_INDEX": "1",
    }

    def call() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "wrapgen", "call", "spec.yaml", "-j", json.dumps("!")]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    first = call()
    assert first.returncode == 0 and first.stdout == "tiny!\n", first.stderr
    assert "installing" in first.stderr and "once" in first.stderr
    second = call()
    assert second.stdout == "tiny!\n" and "installing" not in second.stderr
    (tmp_path / "model" / "requirements.txt").write_text("no-such-distribution-exists==9\n")
    failed = call()
    assert (
        failed.returncode == 8 and "can't be installed" in failed.stderr and "Traceback" not in failed.stderr
    )
