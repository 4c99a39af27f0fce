"""Source hosts (SCMs): the internal one, and external ones that an administrator registers.

Sources live at the internal host. Of an external one only its description is kept: nobody can authorize this
platform there, so an algorithm that asks for one is told so (platform contract, section 8).
"""

from __future__ import annotations

import uuid
from typing import Any

from wrapgen.errors import BadRequest, Conflict, NotFound
from wrapgen.platform.storage.platform_tables import ScmTable, StoredScm

INTERNAL = "internal"

_URLS = ("web", "api", "ssh")


class Scms:
    """The source hosts of one platform.

    Args:
        table: where external ones are kept.
    """

    def __init__(self, table: ScmTable) -> None:
        self._table = table

    def all(self) -> list[dict[str, Any]]:
        """The API's objects: the internal host first, then the others by id."""
        others = [{**each.facts, "default": each.chosen} for each in self._table.all()]
        return [internal_host(default=not any(each["default"] for each in others)), *others]

    def get(self, scm_id: str) -> dict[str, Any]:
        """One host.

        Raises:
            NotFound: there is none of that id.
        """
        for each in self.all():
            if each["id"] == scm_id:
                return each
        raise NotFound(f"no such SCM: {scm_id}", reason="no-such-scm")

    def create(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Registers an external host from the API's fields; the client's secret is not kept.

        Raises:
            BadRequest: a field is missing or has the wrong type.
            Conflict: there is a host of that id.
        """
        oauth, urls = _part(fields, "oauth"), _part(fields, "urls")
        made: dict[str, Any] = {
            "id": _text(fields, "id") or str(uuid.uuid4()),
            "provider": _text(fields, "provider"),
            "enabled": fields.get("enabled") is True,
            "name": _text(fields, "name") or _text(fields, "provider"),
            "oauth": {"client_id": _text(oauth, "client_id")},
            "urls": {name: _text(urls, name) for name in _URLS},
        }
        if not made["provider"] or made["provider"] == INTERNAL:
            raise BadRequest("provider must name an external host", reason="missing-field")
        with self._table.transaction():
            if any(each["id"] == made["id"] for each in self.all()):
                raise Conflict(f"there is an SCM {made['id']} already")
            self._table.store(made["id"], StoredScm(made, chosen=False))
        return self.get(made["id"])

    def update(self, scm_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Switches a host on or off; other fields don't change.

        Raises:
            NotFound: there is none of that id.
            BadRequest: it is the internal one, or the default is to be switched off.
        """
        with self._table.transaction():
            found = self._external(scm_id)
            enabled = fields.get("enabled", found["enabled"]) is True
            if found["default"] and not enabled:
                raise BadRequest(
                    "the default SCM can't be switched off",
                    hint="make another one the default",
                )
            facts = {**found, "enabled": enabled}
            del facts["default"]
            self._table.store(scm_id, StoredScm(facts, chosen=found["default"]))
        return self.get(scm_id)

    def choose(self, scm_id: str) -> None:
        """Makes a host the default.

        Raises:
            NotFound: there is none of that id.
            BadRequest: it is switched off.
        """
        with self._table.transaction():
            if not self.get(scm_id)["enabled"]:
                raise BadRequest(f"{scm_id} is not enabled")
            self._table.choose(scm_id)

    def delete(self, scm_id: str) -> None:
        """Removes an external host.

        Raises:
            NotFound: there is none of that id.
            BadRequest: it is the internal one.
        """
        self._external(scm_id)
        self._table.delete(scm_id)

    def require_internal(self, source: Any) -> None:
        """Refuses a new algorithm's `source` that lies at an external host.

        Raises:
            NotFound: there is no such host.
            BadRequest: nobody has authorized this platform there.
        """
        scm = source.get("scm") if isinstance(source, dict) else None
        wanted = scm.get("id") if isinstance(scm, dict) else scm
        if wanted and self.get(str(wanted))["id"] != INTERNAL:
            raise BadRequest(
                f"this platform has no authorization at {wanted}",
                hint="leave the source out, and push to the repository that is made",
                reason="no-scm-token",
            )

    def _external(self, scm_id: str) -> dict[str, Any]:
        if scm_id == INTERNAL:
            raise BadRequest("the internal SCM stays as it is")
        return self.get(scm_id)


def internal_host(*, default: bool) -> dict[str, Any]:
    """The API's object of the platform's own source host."""
    return {
        "id": INTERNAL,
        "provider": INTERNAL,
        "default": default,
        "enabled": True,
        "name": INTERNAL,
        "oauth": {"client_id": ""},
        "urls": dict.fromkeys(_URLS, ""),
    }


def _part(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name) or {}
    if not isinstance(value, dict):
        raise BadRequest(f"{name} must be an object")
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name) or ""
    if not isinstance(value, str):
        raise BadRequest(f"{name} must be a string")
    return value
