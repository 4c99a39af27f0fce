"""The libraries that reach buckets: loaded where a URL is named only, and named where they are missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("s3fs", "gcsfs", "adlfs", "aiohttp")))
from wrapgen.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_missing_library_is_named(scheme):
    """Without the extra one line says which one, and how to install it."""
    words = ["run", "o/n/1.0.0", "x.jsonl", "-o", f"{scheme}://runs/out.jsonl"]
    told = subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True)
    assert told.returncode == 2 and f"pip install 'wrapgen[{scheme}]'" in told.stderr


def test_fsspec_is_loaded_where_a_url_is_named_only():
    """Neither the command nor the library imports it, or anything of it, for files of this machine."""
    code = (
        "import sys, wrapgen.run.library, wrapgen.cli.main, wrapgen.cli.run, wrapgen.run.finish\n"
        "sys.exit(any(each in sys.modules for each in ('fsspec', 's3fs', 'aiohttp', 'botocore')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
