"""Going on with a short run after a power cut, and what was promised of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import short_run
from short_run import FAILS, ShortWrapper

from wrapgen.run.ledger.folder import errors_for

OUTPUT = "out.jsonl"


@dataclass
class Moment:
    """What was known outside when the power went.

    Args:
        ended: how many of the two runs had ended.
        sent: the highest try of each id that had left.
        finished: indexes whose outcomes the ledger kept for good.
    """

    ended: int = 0
    sent: dict[str, int] = field(default_factory=dict)
    finished: frozenset[int] = frozenset()


def expected_outputs(folder: Path) -> tuple[bytes, bytes]:
    """What the output holds after each of both runs, made in an empty folder."""
    short_run.short_run(folder, ShortWrapper(lambda _: None, FAILS))
    first = (folder / OUTPUT).read_bytes()
    short_run.corrected_run(folder, ShortWrapper(lambda _: None, set()))
    return first, (folder / OUTPUT).read_bytes()


def go_on(moment: Moment, folder: Path, outputs: tuple[bytes, bytes]) -> None:
    """Goes on with a run as a user would, and compares with what was promised."""
    output, ended = folder / OUTPUT, moment.ended
    if ended or output.exists():
        assert output.read_bytes() in outputs[max(0, ended - 1) : ended + 1], "the output"
    told: list[str] = []
    if ended and errors_for(output).exists():
        state = short_run.corrected_run(folder, ShortWrapper(told.append, set()))
    else:
        state = short_run.short_run(folder, ShortWrapper(told.append, set() if ended else FAILS))
    assert state.value == ("ok" if ended else "finished-with-errors")
    assert output.read_bytes() == outputs[min(ended, 1)], "the output at the end"
    assert errors_for(output).exists() == (not ended), "the file of failed items"
    sent = dict(moment.sent)
    for call in map(json.loads, told):
        for id_ in call["ids"]:
            assert call["try"] > sent.get(id_, 0), f"{id_} was sent twice as try {call['try']}"
            assert ended or int(id_) not in moment.finished, f"{id_} was finished, and sent again"
            sent[id_] = call["try"]
    assert ended < 2 or not told
