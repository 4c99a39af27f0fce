"""Pushing a whole input set through a wrapper; `from wrapgen import run` calls it as a library.

The package's name is the function's, so in `sys.modules` the function stands for the package: it has the
package's path, and its modules as attributes. Nothing is loaded before the first call.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from wrapgen.client import Client
    from wrapgen.run.input.items import Selection
    from wrapgen.run.library import Outcomes
    from wrapgen.run.settings import Options
    from wrapgen.spec import Spec


def run(
    reference: str | PathLike[str] | Spec,
    items: Iterable[Any] | str | PathLike[str],
    *,
    client: Client | None = None,
    state: str | PathLike[str] | None = None,
    selection: Selection | None = None,
    options: Options | None = None,
    shard: tuple[int, int] | None = None,
) -> Outcomes:
    """Pushes items through a wrapper; nothing is lost, nothing is recorded twice.

    Args:
        reference: the wrapper, `owner/name`, with a version or without, or its URL. Or a spec, by its file or
            folder as for the command, or from `wrapgen.spec.load`: processes of this machine execute it.
        items: a file, by its path or a pattern, as text or Path: a text is never an item by itself. Or the
            items, from any iterable: anything JSON, texts or bytes. An `.errors.jsonl` reopens its items,
            under their run, ids and indexes.
        client: the platform, from `wrapgen.connect`; None finds it as the command does.
        state: a folder that makes the run resumable and holds its report; None: one that is gone with the
            outcomes.
        selection: what of each row is the item; None: all of it.
        options: see Options.
        shard: `(i, n)` does only slice i of n, from 0 on, each in a worker of its own; with a folder below
            `state` for each, which `wrapgen merge` joins. None: everything.

    Returns:
        The outcomes, to be iterated once, with `for` or `async for`.

    Raises:
        RunError: an item can't be read, another runner is at work, or something changed since the run began.
        SpecError: the spec is wrong.
        UsageError: there is no such wrapper or version, no such file, or `items` is neither a path nor items.
        PlatformError: the platform can't be reached.
    """
    from wrapgen.run.library import open_run

    return open_run(reference, items, client, state, selection, options, shard)


run.__name__ = run.__qualname__ = __name__  # by which the import system finds its modules
for _name in ("__path__", "__spec__", "__file__", "__package__", "__loader__"):
    setattr(run, _name, globals()[_name])
sys.modules[__name__] = run  # type: ignore[assignment]
