"""From an open session to its files: the output if the run is complete, and what else it leaves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import Any

from wrapgen.errors import RunError, TakenOver
from wrapgen.run.ledger.folder import errors_for, receipt_beside
from wrapgen.run.output.destination import Destination
from wrapgen.run.output.digests import ContentDigest
from wrapgen.run.output.layouts import LaidOut, Layout
from wrapgen.run.output.outcomes import write_errors
from wrapgen.run.output.sink import sink_for
from wrapgen.run.scheduling.progress import Progress
from wrapgen.run.session import Session
from wrapgen.run.summary import EndState, Summary

_COMPLETE = (EndState.OK, EndState.ERRORS)


def run_to_files(
    session: Session,
    output: Path,
    layout: Layout,
    watch: Callable[[Progress], None],
    clock: Callable[[], float],
    report: Path | None = None,
    destination: Destination | None = None,
) -> Summary:
    """Works a session to its end and writes its files.

    Args:
        session: open.
        output: the file of outcomes; written only if every item has a final outcome. Until it and the file of
            failed items are there, the run is incomplete.
        layout: what it holds of each.
        watch: told how the run stands.
        clock: seconds that only go forward.
        report: where the run's report goes; None: there is neither a report nor a receipt.
        destination: where the files go when they are complete; None: they stay.
    """
    place = destination or Destination(output)
    errors = errors_for(output)
    wrote: list[ContentDigest] = []

    def files(state: EndState) -> None:
        _write_failed(session, errors, place)
        if state in _COMPLETE:
            session.store.confirm()
            sink_for(output, layout).write(LaidOut(layout, session.items, session.slots, session.spool))
            wrote.append(ContentDigest.of([output]))
            place.publish(output, session.store.confirm)
            session.wrote(place.name_of(output.resolve()), asdict(layout), wrote[-1])

    if report:  # while calls are open making it costs no time
        with suppress(RuntimeError):  # there is no thread for it, or no memory
            Thread(target=_prepare_report, daemon=True).start()
    already = session.counts.finished
    started = clock()
    state, reason = session.work(watch, files=files)
    seconds = clock() - started
    facts = _reported(session, report, place) if report else None
    complete = wrote[-1] if wrote and state in _COMPLETE else None
    written = (output, asdict(layout), complete)
    return Summary(
        run=session.run_id,
        reference=session.reference,
        state=state,
        reason=reason,
        counts=session.counts,
        seconds=seconds,
        output=place.name_of(output) if state in _COMPLETE else None,
        errors=place.name_of(errors) if session.counts.failed and errors.exists() else None,
        folder=session.store.name,
        report=facts,
        receipt=_receipt(session, facts, written, place) if report else None,
        already=already,
        damage=session.damage,
        unrecorded=session.given_up,
        unrecorded_why=session.unrecorded,
    )


def _write_failed(session: Session, errors: Path, place: Destination) -> None:
    session.store.confirm()
    if session.counts.failed:
        write_errors(errors, session.run_id, session.slots, session.spool)
    else:
        errors.unlink(missing_ok=True)
    place.publish(errors, session.store.confirm)


def _prepare_report() -> None:
    with suppress(OSError, ImportError, MemoryError):  # writing the report tells of it
        from wrapgen.run.report.page import page

        page()


def _receipt(
    session: Session,
    facts: dict[str, Any] | None,
    output: tuple[Path, dict[str, Any], ContentDigest | None],
    place: Destination,
) -> str | None:
    from wrapgen.run.report.facts import facts_of
    from wrapgen.run.report.receipt import write_receipt

    path, folder = receipt_beside(output[0]), session.store.scratch
    try:
        facts = facts or facts_of(folder, ended=True)
        session.store.confirm()
        written = write_receipt(path, folder, facts, session.items, output, session.unrecorded)
        return place.publish(written, session.store.confirm)
    except TakenOver:
        raise
    except (OSError, RunError):  # as of the report: the same command writes it again
        path.unlink(missing_ok=True)
        return None


def _reported(session: Session, path: Path, place: Destination) -> dict[str, Any] | None:
    from wrapgen.run.report.page import write_report

    try:
        session.store.confirm()
        facts = write_report(session.store.scratch, path, ended=True)
        return {**facts, "path": place.publish(path, session.store.confirm)}
    except OSError:
        return None  # a full disk makes no other run of this one; the report can be written later
