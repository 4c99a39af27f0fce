"""The author's own algorithm, called in process: no network, and not a letter of its code changed.

Its module is imported as it stands, from the folder ``inline`` beside ``src``. Where it starts the vendor's
ADK or the older handler at its end, it would wait there for requests of its own; while it is imported,
starting only says which functions to call.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator

from . import platform
from .items import Item
from .protocol import ATTEMPT, Failure, error_type_and_message


class Target:
    """The author's ``apply``, given what its ``load`` returned."""

    threads = 24  # it may use a processor in each

    def __init__(self, target: dict[str, Any]) -> None:
        """``target`` names the module. Whatever its import or its ``load`` raises goes on."""
        folder = _move_in()
        started: list[Any] = []
        with contextlib.ExitStack() as stack:
            if any(re.search(rb"\b(Algorithmia|adk)\b", path.read_bytes()) for path in folder.rglob("*.py")):
                started = stack.enter_context(_starting_captured())
            module = importlib.import_module(target["module"])
        self._function, self._arguments = _of_adk(*started[0]) if started else _of_module(module)

    def call(self, item: Item, _seconds: float) -> Any:
        """The result for one item. Nothing can stop it once begun: the seconds are for targets elsewhere."""
        return self._apply(item.value)

    def call_list(self, items: list[Item], _seconds: float) -> Any:
        """The result for the list of these items' values, otherwise like ``call``."""
        return self._apply([item.value for item in items])

    def _apply(self, value: Any) -> Any:
        try:
            return snapshot(self._function(snapshot(value), *self._arguments))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # asyncio.CancelledError and SystemExit too are the item's alone
            raise Failure(*error_type_and_message(error), effect=ATTEMPT) from error


def _of_adk(apply: Callable[..., Any], load: Callable[..., Any] | None = None) -> tuple[Any, list[Any]]:
    """What to call, and with what beside the input: as upstream adk/ADK.py, ``load`` and ``apply``."""
    client = platform.vendor()
    adk = client.ADK(apply, load, client.client())
    if adk.model_data.available():
        adk.model_data.initialize()
    if adk.load_func is None:
        return adk.apply_func, []
    state = adk.load_func(*[adk.model_data][: adk.load_arity])
    return adk.apply_func, [state] if state and adk.apply_arity == 2 else []


def _of_module(module: ModuleType) -> tuple[Any, list[Any]]:
    """The same for a module that starts nothing; ``load`` is called only if ``apply`` needs its value."""
    apply, load = module.apply, getattr(module, "load", None)
    try:
        signature = inspect.signature(apply)
    except (TypeError, ValueError):  # of a builtin, which says nothing about itself
        return apply, []
    needs_two = not _takes(signature, 1) and _takes(signature, 2)
    return apply, [load()] if needs_two and callable(load) else []


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def snapshot(value: Any) -> Any:
    """A value as it is now: an author may change its input, or answer with one object again and again."""
    try:
        return value if type(value) in PLAIN else _copied(value)
    except RecursionError:  # a loop, or nested too deep: what makes it no JSON is told of it later
        return value


PLAIN = frozenset((str, int, float, bool, type(None)))


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: one if type(one) in PLAIN else _copied(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [one if type(one) in PLAIN else _copied(one) for one in value]
    return bytes(value) if isinstance(value, bytearray) else value


def _move_in() -> Path:
    """Make this process the author's: its folder is the current one, and in ``src`` its names win.

    The wrapper's own modules are all imported by now and know each other; those whose names the author uses
    too only give up their names.
    """
    folder = Path(__file__).resolve().parents[2] / "inline"
    theirs = {".".join(path.relative_to(folder).with_suffix("").parts) for path in folder.glob("src/*")}
    for name in [name for name in sys.modules if ".".join(name.split(".")[:2]) in theirs]:
        del sys.modules[name]
    if (folder / "src").is_dir():
        sys.modules.pop("src", None)
    wrapper = str(folder.parent)  # whose package `src` would win over a folder `src` that is no package
    sys.path[:] = [str(folder), *(path for path in sys.path if str(Path(path).resolve()) != wrapper)]
    os.chdir(str(folder))
    importlib.invalidate_caches()
    return folder


@contextlib.contextmanager
def _starting_captured() -> Iterator[list[Any]]:
    """Gives a list that fills with the (apply, load) of whatever is started inside the context."""
    started: list[Any] = []
    client = platform.vendor()
    adk_init, handler = client.ADK.init, client.handler

    class Handler:
        def __init__(
            self, apply_func: Callable[..., Any], load_func: Callable[..., Any] | None = None
        ) -> None:
            self.functions = (apply_func, load_func)

        def serve(self) -> None:
            started.append(self.functions)

    client.ADK.init = lambda adk, *_, **__: started.append((adk.apply_func, adk.load_func))
    client.handler = Handler
    try:
        yield started
    finally:
        client.ADK.init, client.handler = adk_init, handler
