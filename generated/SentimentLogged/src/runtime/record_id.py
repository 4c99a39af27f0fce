"""What identifies a record where the caller names no run and no ids: the item's content, or a part of it."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

from .items import Item
from .keys import canonical, digest
from .protocol import InputError, to_wire


class RecordId:
    """Finds the id of an item."""

    def __init__(self, path: list[Any] | None, asked: Any = None, key_env: str | None = None) -> None:
        """``path`` leads to the id inside an item; None means its whole content, and what is ``asked`` of it.

        ``asked`` names the target and its version. With ``key_env`` ids are made with the secret in that
        variable, so that nobody can guess what they stand for. Raises ``ValueError`` if it is not set.
        """
        self._path = path
        self._asked = asked
        self._key = os.environ.get(key_env, "").encode("utf-8", "surrogateescape") if key_env else None
        if self._key == b"":
            raise ValueError(f"the variable {key_env} with the secret for ids is not set")

    def of_item(self, item: Item, content: str) -> str:
        """The id of an item; one that has none fails, and is known by its ``content``."""
        try:
            if item.failure is None:
                return self.of_value(item.value)
        except InputError as failure:
            item.failure = failure
        return self.of_content(content)

    def of_value(self, value: Any) -> str:
        """The id of an item that is in order. Raises ``InputError`` where it has none."""
        if self._path is not None:
            found = id_at(value, self._path)
            return found if self._key is None else self.of_content(found)
        wire = to_wire(value)
        if self._asked is None:
            return digest(wire)
        return self.of_content(canonical({"asked": self._asked, "item": wire}))

    def of_content(self, content: str | bytes) -> str:
        """The id that goes with a text; a digest stays what it is where there is no secret."""
        text = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        if self._key is not None:
            return hmac.new(self._key, text, hashlib.sha256).hexdigest()
        return content if isinstance(content, str) else hashlib.sha256(text).hexdigest()


def from_settings(records: dict[str, Any], target: dict[str, Any]) -> RecordId:
    """What the spec asks for. From version 2 on, an id also stands for what was asked: target and version."""
    path = None if records["id"] == "content" else records["id"]
    if records["id_version"] < 2:
        return RecordId(path)
    return RecordId(path, target.get("source") or target["reference"], records["id_key_env"])


def id_at(value: Any, path: list[Any]) -> str:
    """The id of an item at a path of keys and places. Raises ``InputError``."""
    for step in path:
        try:
            value = value[step] if isinstance(value, (dict, list)) else None
        except (TypeError, KeyError, IndexError):
            value = None
    if value is None:
        raise InputError(f"the item has no id at {path}")
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError(f"the id at {path} must be a text or a whole number")
