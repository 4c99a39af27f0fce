"""The rules of histories, each broken once, and the history that a real ledger tells."""

from __future__ import annotations

import pytest

from wrapgen.run.history import FINAL, RESULT, RETRYABLE, Event, History, Kind
from wrapgen.run.ledger.folder import FileLog, folder_for
from wrapgen.run.ledger.ledger import Ledger
from wrapgen.run.verify import Verification

SENT = Event(Kind.SEND, [0, 1], 0, 1)
KEPT = Event(Kind.SETTLE, [0, 1], 0, 0, [RESULT, FINAL], [1, 3])
TOLD = Event(Kind.ACKNOWLEDGE, [0, 1], ranks=[RESULT, FINAL])
ENDED = Event(Kind.END, counts={"succeeded": 1, "failed": 1})
AGAIN = Event(Kind.SETTLE, [0, 1], 0, 0, [RETRYABLE, RETRYABLE], [2, 2])

BROKEN = {
    "a finished item was sent again": [SENT, KEPT, Event(Kind.SEND, [1], 1, 2)],
    "a try was used twice": [SENT, AGAIN, Event(Kind.SEND, [0], 1, 1)],
    "an outcome of no open send was kept": [SENT, KEPT, Event(Kind.SETTLE, (), 0)],
    "a finished item got another outcome": [SENT, KEPT, Event(Kind.SETTLE, [1], ranks=[RESULT])],
    "an item was finished while another send of it was open": [SENT, Event(Kind.SEND, [0], 1, 2), KEPT],
    "attempts do not add up": [SENT, Event(Kind.REPLY, [0, 1], 0, 1, [2, 2], [3, 3]), AGAIN],
    "attempts were forgotten": [SENT, AGAIN, Event(Kind.SETTLE, [0], ranks=[RETRYABLE], attempts=[1])],
    "too many attempts": [SENT, Event(Kind.SETTLE, [0], 0, 0, [RETRYABLE], [4])],
    "a record got worse": [
        Event(Kind.RECORD, [0], ranks=[RESULT]),
        Event(Kind.RECORD, [0], ranks=[FINAL]),
    ],
    "another outcome was acknowledged than kept": [
        SENT,
        KEPT,
        Event(Kind.ACKNOWLEDGE, [0, 1], ranks=[RESULT] * 2),
    ],
    "sums do not agree": [SENT, KEPT, Event(Kind.END, counts={"succeeded": 2})],
    "sums do not agree with the calls": [SENT, KEPT, Event(Kind.END, counts={"calls": 2})],
    "an answer to a send that was not noted": [SENT, Event(Kind.REPLY, [0], -1, 2, [RESULT])],
    "acknowledged and not kept": [
        SENT,
        KEPT,
        TOLD,
        Event(Kind.SETTLE, [1], ranks=[RETRYABLE]),
    ],
    "kept and not recorded": [
        SENT,
        Event(Kind.RECORD, [0], ranks=[RETRYABLE]),
        Event(Kind.REPLY, [0], 0, 1, [RETRYABLE], [1]),
        KEPT,
    ],
    "answered and not recorded": [SENT, Event(Kind.REPLY, [0], -1, 1, [RESULT], [1])],
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_can_be_broken(rule):
    """A history that breaks a rule is told with that rule and its item."""
    history = History(2, 3)
    for event in BROKEN[rule]:
        history.take(event)
    history.close(records=rule.endswith("not recorded"))
    assert rule.removesuffix(" with the calls") in history.broken and history.violations


def test_a_right_history_breaks_none():
    """Sends that are repeated after a crash, recalled (perhaps by a damaged entry) or late break none."""
    history = History(2, 3)
    crash = Event(Kind.OPEN)
    recalled = [Event(Kind.SEND, [0], 5, 2), Event(Kind.RECALL, (), 5)]
    recalled += [Event(Kind.SEND, [0], 7, 2), Event(Kind.DAMAGE), Event(Kind.SEND, [0], 8, 2)]
    recalled += [crash, Event(Kind.SEND, [0], 9, 3), Event(Kind.RECALL, (), 9)]
    resent = [SENT._replace(send=6, tries=3), KEPT._replace(send=6)]
    for event in (crash, SENT, crash, *recalled, *resent, TOLD, ENDED):
        history.take(event)
    history.close()
    assert not history.broken


def test_a_ledger_in_which_a_finished_item_goes_again_is_told(bench, memory_wrapper):
    """Verify judges the history that the ledger tells: sends, outcomes and attempts, not only the end."""
    bench.run(memory_wrapper(), list(range(50)))
    folder = folder_for(bench.output)
    with Verification(folder) as verification:
        check = verification.history()
    assert check.ok and "sends" in check.detail
    log = FileLog(folder / "ledger.jsonl", write=True)
    Ledger(log).append([{"e": "send", "s": 99, "w": 1.6e9, "t": 2, "first": 3, "n": 2}])
    log.close()
    with Verification(folder) as verification:
        check = verification.history()
    assert check.faults == {"a finished item was sent again": 2}
    assert "item 3 with try 2" in check.samples[0]
