"""Planted faults: each takes one line of the real code away, and the simulation has to notice."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import wrapgen.run.session as session
from simulation.faults import Faults
from simulation.seeds import BUCKETS
from simulation.wrappers import SPECS, load, named, runtime_of
from wrapgen.records import collected
from wrapgen.run import delivery
from wrapgen.run.hosts import chunk_call
from wrapgen.run.integrations import sqs_worker
from wrapgen.run.ledger import bucket_folder, bucket_log, folder, journal, ledger, replay
from wrapgen.run.scheduling import scheduler


def edit(owner: Any, name: str, old: str, new: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A fault that replaces some text in one function, which has to be there."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        function = getattr(owner, name)
        source = textwrap.dedent(inspect.getsource(function))
        assert old in source, f"{name} has no {old!r} any more: name what it has instead"
        module, made = sys.modules[function.__module__], {}
        exec(compile(source.replace(old, new), inspect.getfile(function), "exec"), vars(module), made)
        patch.setattr(owner, name, made[name])

    return plant


def runtime(owner: str, name: str, old: str, new: str) -> Callable[[pytest.MonkeyPatch], None]:
    """The same in the runtime of every wrapper."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        for found in filter(None, (named(load(kind), owner) for kind in SPECS)):
            edit(found, name, old, new)(patch)

    return plant


def _precedence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(collected, "_MERGE", collected._MERGE.replace(") > (", ") < ("))


@dataclass(frozen=True)
class Mutant:
    """A fault.

    Args:
        plant: puts it into the code.
        seeds: within how many seeds it is caught, at most.
        faults, items: that the seeds have; None: their own.
        first: of the seeds.
    """

    plant: Callable[[pytest.MonkeyPatch], None]
    seeds: int
    faults: Faults | None = None
    items: int | None = None
    first: int = 1


RIVALS = Faults(two_runners=1.0, slow=0.5)
LOSSES = Faults(two_runners=1.0, slow=0.5, store_lost=0.3)
OBJECTS = bucket_log.NumberedObjects
MUTANTS = {
    "sync of the ledger dropped": Mutant(edit(ledger.Ledger, "append", "self._log.sync()", "pass"), 20),
    "sync of the spool dropped": Mutant(
        edit(journal.LedgerJournal, "_commit", "self._spool.sync()", "pass"), 20, Faults(kill=0.6, power=1.0)
    ),
    "precedence reversed": Mutant(_precedence, 20),
    "attempt not counted": Mutant(
        edit(chunk_call, "_failed", "attempts = before + error.attempts", "attempts = error.attempts"),
        20,
        Faults(target_lost=0.6),
    ),
    "attempt not counted by the wrapper": Mutant(
        runtime("Work", "_call_once", "task.attempts += 1", "task.attempts += 0"), 60
    ),
    "digest ignored": Mutant(
        edit(replay, "is_intact", 'if "h" not in entry', "if entry"), 60, Faults(kill=0.3, rot=0.9)
    ),
    "late result accepted": Mutant(
        runtime("Engine", "_run", "if not self._is_closed:", "if True:"), 80, Faults(slow=0.5)
    ),
    "open sends forgotten": Mutant(
        edit(replay._Replay, "close", "self._slots.sent(indexes, tries)", "pass"), 20
    ),
    "calls left when the journal failed": Mutant(
        edit(delivery.Delivery, "run", "self._calls.close()", "pass"), 40, Faults(full_disk=0.3)
    ),
    "a torn beginning is damage": Mutant(
        edit(ledger, "_has_begun", "    return False", "    return True"),
        300,
        Faults(kill=1.0, power=1.0),
        1,
    ),
    "attempts in a damaged spool forgotten": Mutant(
        edit(replay._Replay, "_done", "self._slots.put([indexes[at]]", "(lambda *_: 0)([indexes[at]]"),
        40,
        Faults(kill=0.6, rot=0.9, target_lost=0.6),
        8,
    ),
    "given up though damaged": Mutant(
        edit(replay._Replay, "_done", "state.given_up.difference_update(indexes)", "pass"),
        80,
        Faults(lost_before=0.9, rot=0.9),
        3,
    ),
    "messages deleted before they are done": Mutant(
        edit(sqs_worker.SqsWorker, "_settle", "if one.succeeded or", "if True or"), 100
    ),
    "finished items sent again": Mutant(
        edit(session, "unfinished", "if slot.fate in FINAL:", "if False:"), 20
    ),
    "sync of a bucket dropped": Mutant(
        edit(bucket_folder.BucketLog, "sync", "self._objects.sync()", "pass"), 20, first=BUCKETS
    ),
    "a number of a bucket taken from another owner": Mutant(
        edit(OBJECTS, "_put", "self._lose(found)", "break"), 20, RIVALS, first=BUCKETS
    ),
    "a new owner of a bucket goes unnoticed": Mutant(
        edit(
            OBJECTS, "_put", "self._lose(found)", "self._next, name = self._next + 1, _name(self._next + 1)"
        ),
        20,
        RIVALS,
        first=BUCKETS,
    ),
    "a number of a bucket used again": Mutant(
        edit(OBJECTS, "sync", "self._sealed or self._seal()", "self._seal()"), 20, LOSSES, first=BUCKETS
    ),
    "two runners at once": Mutant(edit(folder.Folder, "locked", "LOCK_EX", "LOCK_SH"), 60),
    "limit of attempts ignored": Mutant(
        edit(chunk_call, "_failed", "attempts < limit", "attempts < 99"), 60, Faults(target_lost=0.6), 3
    ),
    "failed items counted as succeeded": Mutant(
        edit(scheduler.Scheduler, "_count", "fates.count(Fate.OK)", "len(fates)"), 100
    ),
    "items that failed for now are forgotten": Mutant(
        edit(session, "unfinished", "if slot.fate in FINAL:", "if slot.fate:"), 60
    ),
    "answered though records failed": Mutant(runtime("Recorder", "finish", "raise self._error", "pass"), 60),
    "records of SQL overwritten": Mutant(
        edit(runtime_of(load("sql"))["datastore_sql"], "_is_better", '["rank"] >', '["rank"] <'), 60
    ),
    "attempt of an endpoint not counted": Mutant(
        edit(
            runtime_of(load("endpoint"))["endpoint"],
            "failure_of_answer",
            "failure.final_sends = ",
            "failure.effect, failure.final_sends = THROTTLED, ",
        ),
        60,
        Faults(target_status=0.6),
    ),
}
