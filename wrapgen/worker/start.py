"""Where the start file is, and what it answers itself."""

from __future__ import annotations

from pathlib import Path

START = Path(__file__).with_name("bootstrap.py")
"""Makes one algorithm answer requests, in the algorithm's own interpreter; run, never imported."""

LOAD_REQUEST = b'{"content_type":"load","data":null}\n'
"""What the start file answers itself, by how loading ended."""

PRELOAD = Path(__file__).with_name("preload.py")
"""The process that a run forks its own from; run like `START`, with the id of who starts it."""

FORK = b"fork"
"""What asks it for a process; the packet brings the new one's socket."""
