"""The parts of the bench by the number that `--only` takes. A new part of rows is one line in `TABLES`."""

from __future__ import annotations

from bench.parts import hosted, ray_serve, recording, served, shards, states

TABLES = (recording.PART, hosted.PART, shards.PART, served.PART, states.PART, ray_serve.PART)
"""Parts that are one table of rows each; they follow the six others, from 7 on."""
