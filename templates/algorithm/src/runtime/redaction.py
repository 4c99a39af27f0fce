"""What a record must not say: values at given paths, blanked in items, results, messages and digests."""

from __future__ import annotations

import itertools
import json
import re
import urllib.parse
import weakref
from typing import Any, Iterator

from .items import Item
from .protocol import Failure

REDACTED = "[redacted]"
LEAST_CUT = 200  # bytes of the shortest message whose end may have been cut off


class Redaction:
    """Blanks what is at some paths."""

    def __init__(self, paths: list[list[Any]]) -> None:
        """A path is a list of keys and places; None stands for every element."""
        self._paths = paths
        self._said: Any = weakref.WeakKeyDictionary()  # what is recorded of failures

    def payload(self, value: Any) -> Any:
        """A copy of an item or a result without what must not be recorded."""
        return redact(value, self._paths)

    def message(self, item: Item, failure: Failure) -> str:
        """An error's message without what must not be recorded of the item and of those it was sent with.

        A list's failure, or one that stops the call, may speak of any item of its request.
        """
        if item not in failure.about:
            return self._blanked([item, *failure.about], failure.message)
        if failure not in self._said:  # one for all items of a list
            self._said[failure] = self._blanked(failure.about, failure.message)
        return self._said[failure]

    def _blanked(self, items: list[Item], message: str) -> str:
        """The message without the items' values, however spelled."""
        try:
            places = itertools.product(items, self._paths)
            values = {text for item, path in places for text in texts_at(item.value, path)}
            spelled = {form for text in values for form in _spellings(text)}
        except (ValueError, RecursionError):  # a value that can't be spelled can't be looked for
            return REDACTED
        found = {re.escape(form): len(form) for form in spelled if form in message}
        if len(message.encode("utf-8", "surrogatepass")) >= LEAST_CUT:
            cut = {begun for form in spelled for begun in _begun(message.rstrip("\ufffd"), form)}
            found.update((re.escape(begun) + "\ufffd*\\Z", len(begun)) for begun in cut)
        longest_first = sorted(found, key=lambda pattern: (-found[pattern], pattern))
        return re.sub("|".join(longest_first), REDACTED, message) if found else message


def redact(value: Any, paths: list[list[Any]]) -> Any:
    """A copy of the value in which whatever is at one of the paths is blanked.

    A path is a list of keys and places; None stands for every element. What is not there is passed over.
    """
    for path in paths:
        value = _blank(value, path)
    return value


def _blank(value: Any, path: list[Any]) -> Any:
    if not path:
        return REDACTED
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        steps = list(value) if step is None else [step] if step in value else []
        changed = dict(value)
        changed.update((key, _blank(value[key], rest)) for key in steps)
        return changed
    if isinstance(value, list) and (step is None or isinstance(step, int)):
        return [_blank(part, rest) if step in (None, place) else part for place, part in enumerate(value)]
    return value


def texts_at(value: Any, path: list[Any]) -> Iterator[str]:
    """The texts and numbers at a path, and inside of what is there, keys too."""
    if isinstance(value, (dict, list)):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            if not path or path[0] is None or path[0] == key:
                yield from texts_at(one, path[1:])
            if not path and isinstance(key, str):
                yield key
    elif not path and value is not None and not isinstance(value, bool):
        yield str(value)


def _spellings(text: str) -> set[str]:
    """How a text may stand in a message: as it is, its first line, in JSON, as Python shows it, in a URL."""
    forms = [text, text.partition("\n")[0], repr(text)[1:-1]]
    forms += [json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]]
    forms += [
        quote(text, "", errors="surrogatepass") for quote in (urllib.parse.quote, urllib.parse.quote_plus)
    ]
    return {form for form in forms if form}


def _begun(message: str, form: str) -> list[str]:
    """The beginnings of a text with which a message ends that was cut off."""
    last, longest = message[-1:], min(len(form) - 1, len(message))
    begun = [form[:size] for size in range(1, longest + 1) if form[size - 1] == last]
    return [text for text in begun if message.endswith(text)]
