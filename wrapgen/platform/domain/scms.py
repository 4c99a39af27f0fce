"""Source hosts (SCMs): the internal one, and external ones that an administrator registers.

Sources live at the internal host. Of an external one only its description is kept: nobody can authorize this
platform there, so an algorithm that asks for one is told so (platform contract, section 8).
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from msgspec import Struct

from wrapgen.errors import BadRequest, Conflict, NotFound
from wrapgen.platform.storage.platform_tables import ScmTable, StoredScm

INTERNAL = "internal"


class ScmOauth(Struct):
    """How this platform is known at a source host; the client's secret is not kept."""

    client_id: str | None = ""


class ScmUrls(Struct):
    """The addresses of a source host."""

    web: str | None = ""
    api: str | None = ""
    ssh: str | None = ""


class ScmFields(Struct):
    """What a request says of a source host."""

    id: str | None = None
    provider: str | None = None
    enabled: bool | None = None
    name: str | None = None
    oauth: ScmOauth | None = None
    urls: ScmUrls | None = None


class ScmObject(Struct, frozen=True):
    """A source host, as the API shows it."""

    id: str
    provider: str
    default: bool
    enabled: bool
    name: str
    oauth: ScmOauth
    urls: ScmUrls


class Scms:
    """The source hosts of one platform.

    Args:
        table: where external ones are kept.
    """

    def __init__(self, table: ScmTable) -> None:
        self._table = table

    def all(self) -> list[ScmObject]:
        """The internal host first, then the others by id."""
        others = [
            msgspec.convert({**each.facts, "default": each.chosen}, ScmObject) for each in self._table.all()
        ]
        return [internal_host(default=not any(each.default for each in others)), *others]

    def get(self, scm_id: str) -> ScmObject:
        """One host.

        Raises:
            NotFound: there is none of that id.
        """
        for each in self.all():
            if each.id == scm_id:
                return each
        raise NotFound(f"no such SCM: {scm_id}", reason="no-such-scm")

    def create(self, fields: ScmFields) -> ScmObject:
        """Registers an external host.

        Raises:
            BadRequest: its provider is missing.
            Conflict: there is a host of that id.
        """
        if fields.provider in (None, "", INTERNAL):
            raise BadRequest("provider must name an external host", reason="missing-field")
        urls = fields.urls or ScmUrls()
        made = ScmObject(
            id=fields.id or str(uuid.uuid4()),
            provider=str(fields.provider),
            default=False,
            enabled=fields.enabled is True,
            name=fields.name or str(fields.provider),
            oauth=ScmOauth((fields.oauth or ScmOauth()).client_id or ""),
            urls=ScmUrls(urls.web or "", urls.api or "", urls.ssh or ""),
        )
        with self._table.transaction():
            if any(each.id == made.id for each in self.all()):
                raise Conflict(f"there is an SCM {made.id} already")
            self._store(made)
        return made

    def update(self, scm_id: str, *, enabled: bool | None) -> ScmObject:
        """Switches a host on or off; other fields don't change.

        Raises:
            NotFound: there is none of that id.
            BadRequest: it is the internal one, or the default is to be switched off.
        """
        with self._table.transaction():
            found = self._external(scm_id)
            changed = msgspec.structs.replace(found, enabled=found.enabled if enabled is None else enabled)
            if found.default and not changed.enabled:
                hint = "make another one the default"
                raise BadRequest("the default SCM can't be switched off", hint=hint)
            self._store(changed)
        return changed

    def choose(self, scm_id: str) -> None:
        """Makes a host the default.

        Raises:
            NotFound: there is none of that id.
            BadRequest: it is switched off.
        """
        with self._table.transaction():
            if not self.get(scm_id).enabled:
                raise BadRequest(f"{scm_id} is not enabled")
            self._table.choose(scm_id)

    def delete(self, scm_id: str) -> None:
        """Removes an external host.

        Raises:
            NotFound: there is none of that id.
            BadRequest: it is the internal one.
        """
        self._external(scm_id)
        self._table.delete(id=scm_id)

    def require_internal(self, source: dict[str, Any] | None) -> None:
        """Refuses a new algorithm's `source` that lies at an external host.

        Raises:
            NotFound: there is no such host.
            BadRequest: nobody has authorized this platform there.
        """
        scm = (source or {}).get("scm")
        wanted = scm.get("id") if isinstance(scm, dict) else scm
        if wanted and self.get(str(wanted)).id != INTERNAL:
            raise BadRequest(
                f"this platform has no authorization at {wanted}",
                hint="leave the source out, and push to the repository that is made",
                reason="no-scm-token",
            )

    def _external(self, scm_id: str) -> ScmObject:
        if scm_id == INTERNAL:
            raise BadRequest("the internal SCM stays as it is")
        return self.get(scm_id)

    def _store(self, host: ScmObject) -> None:
        facts = msgspec.to_builtins(host)
        chosen = facts.pop("default")
        self._table.insert(StoredScm(host.id, facts, chosen=chosen), instead="REPLACE")


def internal_host(*, default: bool) -> ScmObject:
    """The platform's own source host."""
    return ScmObject(INTERNAL, INTERNAL, default, True, INTERNAL, ScmOauth(), ScmUrls())
