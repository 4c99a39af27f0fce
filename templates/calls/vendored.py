"""This package as a zip for the workers of Spark and Ray, where nothing of it is installed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

SPARK_TASK = RAY_TASK = ()


def archive(modules: tuple[str, ...]) -> bytes:
    """The whole package under its own name; always the same bytes."""
    del modules
    folder = Path(__file__).parent
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(folder.parent).as_posix()
            file.writestr(zipfile.ZipInfo(name), path.read_text("utf-8"))
    return out.getvalue()
