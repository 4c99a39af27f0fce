"""Files of items and results on wrapgen's own platform, which hears that only the caller's rights count."""

from __future__ import annotations

import json
from typing import Any

import Algorithmia
from runtime.engine import Deadline
from runtime.files import Files
from runtime.platform import connect


def test_an_owner_reads_and_writes_its_own_collections(platform: Any) -> None:
    """The platform answers with the header, so what belongs to the wrapper's owner is there for the owner."""
    account, address = platform.facts["account"], platform.facts["address"]
    vendor = Algorithmia.client(platform.facts["api_key"], address)
    vendor.dir("data://.my/files").create()
    vendor.file("data://.my/files/in.jsonl").put("1\nx\n[2]\n")
    files = Files(f"{account}/Wrapper", [f"data://{account}/records"], lambda: connect(vendor))
    url = f"data://{account}/files"
    values = files.read(f"{url}/in.jsonl", Deadline(30))
    assert (values[0], type(values[1]).__name__, values[2]) == (1, "InputError", [2])
    assert files.write(f"{url}/out.jsonl", ["1", "[2]"], Deadline(30)) == f"{url}/out.jsonl"
    written = vendor.file("data://.my/files/out.jsonl").getString()
    assert [json.loads(line) for line in written.splitlines()] == [1, [2]]
