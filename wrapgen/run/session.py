"""One session of a run in its folder: opens or resumes it, and works it to an end.

Finds nothing by itself: items, wrapper and call are passed in. Writes no output: that is `finish`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timezone
from itertools import islice
from threading import Event
from typing import Any

from wrapgen.errors import OutOfResource, RunError, TakenOver, WrapgenError
from wrapgen.resources import resource_of
from wrapgen.run.delivery import Delivery
from wrapgen.run.engine_delivery import EngineDelivery
from wrapgen.run.hosts.chunk_call import ChunkCall, Terms
from wrapgen.run.hosts.host import Host
from wrapgen.run.identity import VersionPin, facts_of_run, refuse_other_rows
from wrapgen.run.input.corrections import Corrections
from wrapgen.run.input.items import Items, Reopened
from wrapgen.run.input.scan import InputScan, scan_input, scan_sizes
from wrapgen.run.input.shards import Slice, most_calls, refuse_failed_items
from wrapgen.run.ledger.duplicates import EqualItems
from wrapgen.run.ledger.journal import LedgerJournal
from wrapgen.run.ledger.ledger import Ledger
from wrapgen.run.ledger.replay import RunState, rebuild
from wrapgen.run.ledger.resume import changed, in_their_places, other_items, unfinished
from wrapgen.run.ledger.spool import Slots, result_lines
from wrapgen.run.ledger.store import LEDGER, SLOTS, SPOOL, StateStore, writable
from wrapgen.run.output.digests import ContentDigest
from wrapgen.run.scheduling.actions import Cause, Stop
from wrapgen.run.scheduling.chunks import ChunkCutter, Entry
from wrapgen.run.scheduling.limits import BUDGET, MAX_SIZE, ChunkSize, Concurrency, ErrorBudget
from wrapgen.run.scheduling.policy import SharedBackoff
from wrapgen.run.scheduling.progress import Counts, Progress
from wrapgen.run.scheduling.scheduler import Adaptive, DeliveryLimits, Scheduler
from wrapgen.run.settings import Options, World
from wrapgen.run.summary import EndState


class Session:
    """A run that is open for work; a context manager. Two of them in one folder are not possible.

    Entering it reads the whole input once, unless an earlier session did: a row that can't be read or an id
    that stands twice is found before the first call.

    Args:
        store: where the run is kept.
        items: what is to be sent.
        host: executes the wrapper.
        options: see Options.
        world: see World.
        reading: told how many rows have been read, now and then.
        origin: what else the ledger keeps of this session, such as its command; see `report_origin`.
        corrections: failed items of this run, to go again in it; None: nothing is reopened.
        prepare: called once the folder is held and before the items are looked at.

    Raises:
        RunError: another runner is at work, the ledger is damaged, the input can't be read, or something
            changed since the run began.

    Attributes:
        run_id: the run's id.
        items: what is to be sent: of a shard only its own.
        resumed: whether an earlier session left something.
        scan: what the input holds; of a shard, what its rows hold.
        rows: their numbers in the whole input.
        most_calls: calls that may be open at once.
        counts: how the run stands.
        unrecorded: why nothing could be recorded of items that were given up; empty where nothing was tried.
        damage: what of the run's files was damaged, and is made again; empty for nothing.
    """

    damage = ""

    def __init__(
        self,
        store: StateStore,
        items: Items,
        host: Host,
        options: Options,
        world: World | None = None,
        reading: Callable[[int], None] = lambda _: None,
        origin: Mapping[str, Any] | None = None,
        prepare: Callable[[], None] = lambda: None,
        corrections: Reopened | None = None,
    ) -> None:
        refuse_failed_items(options.shard, items)
        self.store = store
        self.items = items
        self._host = host
        self._wrapper = host.describe()
        self._options = options
        self._world = world or World()
        self._reading = reading
        self._origin = origin or {}
        self._prepare = prepare
        self._reopened = corrections
        self._corrections = Corrections(store)
        self._stack = ExitStack()
        self._delivery: Delivery | None = None
        self._equal: EqualItems | None = None
        self._told_to_stop = ""
        self._stopping = Event()
        self._given_up: set[int] = set()
        self._rows = 0
        self.unrecorded = ""
        self._pin = VersionPin()

    def __enter__(self) -> Session:
        with self.store.provisional(), self._stack as stack, writable(self.store.scratch):
            stack.enter_context(self.store.locked())
            self._prepare()
            if self._options.fresh:
                self.store.clear()
            self.slots = Slots(self.store.scratch / SLOTS, fresh=True)
            stack.callback(self.slots.close)
            earlier = rebuild(self.store, self.slots, self._pin.note)
            self._open(earlier, stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self, earlier: RunState | None, stack: ExitStack) -> None:
        kept_id = earlier.header["run"] if earlier else None
        facts = facts_of_run(self.items, self._host, self._options, kept_id, self._now(), self._new_id)
        if earlier is not None:
            refuse_other_rows(earlier.header, facts)
        changes = [] if earlier is None else changed(earlier.header, facts)
        if earlier is not None and changes and not self._options.accept_changes:
            raise RunError(
                f"this is not how run {earlier.header['run']} began: {'; '.join(changes)}",
                hint="--fresh starts over, --accept-changes goes on with what is not finished",
            )
        if earlier is not None and other_items(earlier.header, facts):
            with closing(self.store.open(SPOOL)) as spool:
                in_their_places(self.items, self.slots, spool)
        self._survey(earlier.header if earlier is not None and not changes else None, facts)
        self.resumed = earlier is not None
        self._fingerprint = facts["input"]["fingerprint"]
        self.run_id: str = facts["run"]
        self.reference: str = facts["reference"]
        self._given_up = earlier.given_up if earlier else set()
        self._next_seq = earlier.next_seq if earlier else 0
        self._spent = earlier.cost if earlier else 0.0
        self.counts = earlier.counts if earlier else Counts()
        self.counts.items = self.scan.items
        self.ledger = Ledger(stack.enter_context(closing(self.store.open(LEDGER, write=True))))
        self.spool = stack.enter_context(closing(self.store.open(SPOOL, write=True)))
        counted = min(earlier.spool_end, self.spool.size) if earlier else 0
        self.spool.cut(counted)
        first = [{"e": "run" if earlier is None else "changed", **facts}] if changes or not earlier else []
        opened = {"e": "open", "at": self._now(), "pid": os.getpid(), **self._origin}
        voids: list[dict[str, Any]] = []
        if earlier is not None and earlier.damage:
            self.damage = earlier.damage
            opened["damaged"] = len(earlier.integrity.damaged)
            voids = list(earlier.damaged.values())
        self._least_tries = earlier.least_tries if earlier else 0
        self.ledger.append([*first, opened, *voids])
        self._reopen(earlier)
        if self._options.equal == "once":
            self._compare(stack, trusted=not (changes or (earlier is not None and earlier.changed)))

    def _reopen(self, earlier: RunState | None) -> None:
        """Opens the items again that the user corrected; what was corrected before stays so."""
        if earlier is None:
            return
        self._corrections.load(earlier.reopened)
        if self._reopened is not None:
            for entry in self._corrections.reopen(self._reopened, self.slots, self.spool):
                self.ledger.append([entry])
                self._given_up.difference_update(entry["i"])
            self.counts.succeeded, self.counts.failed, self.counts.equal = self.slots.count()

    def _compare(self, stack: ExitStack, *, trusted: bool) -> None:
        """Finds the items that equal an earlier one."""
        equal = EqualItems(self.store.scratch, self.slots, self._corrections.__contains__, trusted=trusted)
        self._equal = stack.enter_context(closing(equal))
        self._equal.scan(self._corrected_items(), self._reading)

    def _share(self) -> float:
        """The part of the items that may fail: any of those that are known to be bad."""
        known_bad = self._reopened is not None or self.items.run is not None
        return 1.0 if known_bad and self._options.budget == BUDGET else self._options.budget

    def _new_id(self) -> str:
        moment = datetime.fromtimestamp(self._world.unix_time(), timezone.utc)
        return f"{moment:%Y%m%d-%H%M%S}-{self._world.random.getrandbits(32):08x}"

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self._world.unix_time(), timezone.utc)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _survey(self, kept: dict[str, Any] | None, facts: dict[str, Any]) -> None:
        """Finds out what the items are, all or those of a shard: as the ledger tells it, or by reading."""
        shard = self._options.shard
        if shard is not None:
            self._rows = int(kept["input"]["rows"]) if kept else self._scan().items
            facts["input"]["rows"] = self._rows
            self.items = Slice(self.items, shard, self._rows)
        self.scan = InputScan.from_json(kept["survey"]) if kept else self._scan()
        self.rows = shard.rows(self._rows) if shard else range(self.scan.items)
        facts["survey"] = self.scan.as_json()
        self.most_calls = most_calls(shard, self._rows, self._host, self._options.workers)

    def _scan(self) -> InputScan:
        sizes, aim = self.items.sizes(), self._wrapper.aim
        if sizes is not None:
            return scan_sizes(sizes, aim=aim, on_progress=self._reading)
        return scan_input(self.items.entries(), self.store.scratch, aim=aim, on_progress=self._reading)

    def stop(self, reason: str) -> None:
        """Lets open calls finish and starts no more; safe in a signal handler."""
        self._told_to_stop = reason
        self._stopping.set()
        if self._delivery is not None:
            self._delivery.stop(Stop(Cause.TOLD, reason))

    def work(
        self,
        watch: Callable[[Progress], None] = lambda _: None,
        *,
        most: int | None = None,
        files: Callable[[EndState], None] = lambda _: None,
    ) -> tuple[EndState, str]:
        """Sends everything that has no final outcome yet.

        Args:
            watch: told how the run stands after every change.
            most: send only so many items, as a probe; None sends all.
            files: writes what is to be there before the end is noted; where it can't, the run is incomplete.

        Returns:
            The end state, and why it stopped early or an empty string.
        """
        options, clock = self._options, self._world.clock
        terms = Terms.of(self._wrapper, self.run_id, clock, options.timeout, options.attempts)
        refusal = self._pin.refusal if options.pin else None
        call = ChunkCall(self._host.in_run(self.run_id), terms, result_lines, refusal)
        try:
            state, reason = self._ended(call, watch, most, files)
            self.ledger.append([{"e": "end", "state": state.value, "why": reason, "at": self._now()}])
        except (OSError, MemoryError, RuntimeError, OutOfResource) as error:  # a full disk, say
            resource = resource_of(error)
            if not resource and not isinstance(error, OSError):
                raise
            why = f"there is no more {resource}" if resource else "ledger and spool can't be written"
            state, reason = EndState.INCOMPLETE, f"{why}: {error}"
        return state, reason

    def _ended(
        self,
        call: ChunkCall,
        watch: Callable[[Progress], None],
        most: int | None,
        files: Callable[[EndState], None],
    ) -> tuple[EndState, str]:
        state, reason = self._deliver(call, watch, most)
        if self.store.writes_behind:
            self.spool.sync()  # nothing is made of outcomes that are not kept
        if most is not None:
            state, reason = EndState.INCOMPLETE, reason or "a probe"
        elif not self._is_as_surveyed(state):
            state, reason = EndState.INCOMPLETE, "the input changed while it was read"
        if state is not EndState.INCOMPLETE:
            self._record_given_up(call)
        try:
            files(state)
        except TakenOver:
            raise
        except (OSError, WrapgenError) as error:
            hint = f" ({error.hint})" if isinstance(error, WrapgenError) and error.hint else ""
            state, reason = EndState.INCOMPLETE, f"the files of the run can't be written: {error}{hint}"
        return state, reason

    def _record_given_up(self, call: ChunkCall) -> None:
        """Has the wrapper record what was given up, in as few calls as can be."""
        if not self._wrapper.datastore:
            self._given_up.clear()
        world = self._world
        sender = EngineDelivery(
            call=replace(call, write=None),
            attempts=call.terms.attempts,
            backoff=SharedBackoff(world.random, self._options.patience),
            clock=world.clock,
            wait=world.wait or self._stopping.wait,
            random=world.random,
        )
        left = sorted(self._given_up)
        while left and not self._stopping.is_set():
            some, left = left[:MAX_SIZE], left[MAX_SIZE:]
            failures = []
            for index in some:
                slot = self.slots.get(index)
                line = json.loads(self.spool.read(slot.offset, slot.length))
                item = Entry(index, b"", line["id"], slot.attempts, slot.tries)
                failures.append((item, json.dumps(line["error"])))
            noted, self.unrecorded = sender.record_given_up(failures, size=MAX_SIZE)
            self.ledger.append([{"e": "recorded", "i": sorted(noted)}] if noted else [])
            self._given_up.difference_update(noted)

    @property
    def given_up(self) -> int:
        """Failed items of which nothing is recorded, because the wrapper gave no answer; see `unrecorded`."""
        return len(self._given_up)

    def _deliver(
        self, call: ChunkCall, watch: Callable[[Progress], None], most: int | None
    ) -> tuple[EndState, str]:
        """Sends what has no final outcome; how far that came."""
        world, options, wrapper = self._world, self._options, self._wrapper
        calls = world.calls(call)
        spending = wrapper.spending(options.max_cost, self._spent, self.scan.largest)
        if options.shard is not None:
            spending = options.shard.spending(spending, self._rows)
        ahead = 0 if spending.limited else calls.prefetch
        together = max(1, wrapper.parallel * wrapper.batch_size)
        scheduler = Scheduler(
            DeliveryLimits(call.terms.attempts, wrapper.aim, together, ahead, spending=spending),
            Adaptive(
                ChunkSize(largest=options.chunk),
                Concurrency(self.most_calls, first=self._host.concurrency),
                ErrorBudget(share=self._share(), finished=self.counts.finished, failed=self.counts.failed),
            ),
            SharedBackoff(world.random, options.patience),
            world.random,
            self.counts,
            self._next_seq,
        )
        behind = self.store.writes_behind
        journal = LedgerJournal(self.ledger, self.spool, self.slots, world.unix_time, behind=behind)
        self._delivery = Delivery(
            scheduler,
            ChunkCutter(islice(self._entries(), most), aim=wrapper.aim),
            calls,
            journal,
            world.clock,
            lambda: watch(scheduler.progress(world.clock())),
        )
        if self._told_to_stop:  # before there was a delivery to tell
            self._delivery.stop(Stop(Cause.TOLD, self._told_to_stop))
        stop = self._delivery.run()
        self._given_up.update(journal.given_up)
        self._take_over(scheduler.next_seq, lambda: watch(scheduler.progress(world.clock())))
        # A run that was told to stop when nothing was left to do is a finished run.
        if stop and self.counts.finished != self.counts.items:
            return (EndState.BUDGET if stop.cause is Cause.BUDGET else EndState.INCOMPLETE), stop.reason
        return (EndState.ERRORS if self.counts.failed else EndState.OK), ""

    def _take_over(self, next_seq: int, watch: Callable[[], None]) -> None:
        """Answers items with the outcome of those that they equal; after an interruption, next time."""
        if self._equal is None:
            return
        moment = round(self._world.unix_time(), 3)
        some = self._equal.take_over(self._corrected_items(), self.spool, self.ledger, next_seq, moment)
        for succeeded, failed in some:
            self.counts.succeeded += succeeded
            self.counts.failed += failed
            self.counts.equal += succeeded + failed
            watch()
            if self._stopping.is_set():
                return

    def _is_as_surveyed(self, state: EndState) -> bool:
        """Whether a run that has finished had the items that it began with."""
        if state not in (EndState.OK, EndState.ERRORS):
            return True
        try:
            same = self.items.fingerprint() == self._fingerprint
        except RunError as error:  # it is gone
            if resource := resource_of(error):
                raise OutOfResource(resource) from error
            return False
        return same and self.counts.finished == self.counts.items

    def wrote(self, output: str, layout: dict[str, Any], content: ContentDigest) -> None:
        """Notes which output was written and how, so that it can be verified."""
        facts = {"path": output, "layout": layout, "h": content.sha256}
        self.ledger.append([{"e": "output", **facts}])

    def _corrected_items(self) -> Iterator[Entry]:
        return self._corrections.apply(self.items.entries())

    def _entries(self) -> Iterator[Entry]:
        rows = self._corrected_items()
        rows = self._equal.sent(rows) if self._equal else rows
        return unfinished(rows, self.slots, self._least_tries) if self.resumed else rows
