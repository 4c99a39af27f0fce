"""What `run` says of the time that is left, once the first items are finished."""

from __future__ import annotations

from types import SimpleNamespace

from wrapgen.cli.progress import Reporter
from wrapgen.run.scheduling.progress import Counts, Progress


def test_the_rest_is_foretold_by_warm_workers() -> None:
    """The call that started workers does not count; calls that are open at once are told one by one."""
    now, told = iter([0.0, 2.0, 2.1, 3.0, 4.5, 5.0]), []

    def foretell(items: int, seconds: float) -> list[str]:
        told.append((items, seconds))
        return []

    reporter = Reporter(as_json=False, already=10, foretell=foretell, clock=lambda: next(now))
    reporter._terminal, reporter._bar = True, SimpleNamespace(update=lambda *_, **__: None)
    for finished in (26, 26, 40, 60, 90):
        reporter(Progress(Counts(items=1000, succeeded=finished), 4, 4, 16))
    assert told == [(34, 10.0)]
