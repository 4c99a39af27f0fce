"""Secrets of algorithms: environment variables their workers get, whose values are never told again."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from sqlite3 import Row
from typing import Any

from wrapgen.errors import BadRequest, Conflict, NotFound
from wrapgen.platform.storage.database import Database, iso

PROVIDER_ID = str(uuid.uuid5(uuid.NAMESPACE_URL, "wrapgen:secret-provider:internal"))
"""The one secret provider: this platform's own table."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_STEERING = re.compile(
    # The loader and the C library.
    r"LD_.*|DYLD_.*|GCONV_PATH|GETCONF_DIR|GLIBC_TUNABLES|HOSTALIASES|LOCALDOMAIN|LOCPATH|MALLOC_.*|NIS_PATH"
    r"|NLSPATH|RES_OPTIONS|RESOLV_.*|TERMCAP|TERMINFO.*|TZDIR"
    # Interpreters.
    r"|PYTHON.*|PERL.*|RUBY.*|GEM_.*|NODE_.*|NPM_.*|LUA_.*|PHPRC|PHP_INI_SCAN_DIR|TCLLIBPATH|R_(HOME|LIBS|PROFILE.*)"
    r"|R_ENVIRON.*|CLASSPATH|_?JAVA_(TOOL_)?OPTIONS|JDK_JAVA_OPTIONS|JULIA_.*|DOTNET_STARTUP_HOOKS|COR(ECLR)?_.*"
    # Shells, and what programs start of themselves.
    r"|BASH.*|CDPATH|ENV|FPATH|IFS|INPUTRC|KSH_.*|PROMPT_COMMAND|PS[0-4]|SHELL|SHELLOPTS|ZDOTDIR|ZSH.*"
    r"|BROWSER|EDITOR|VISUAL|PAGER|LESS(OPEN|CLOSE)|GIT_.*|SSH_.*|UV_.*|PIP_.*|PKG_CONFIG.*"
    # Plug-ins of libraries.
    r"|OPENSSL_(CONF.*|ENGINES|MODULES)|G(IO|TK)_.*|QT_.*|KRB5_CONFIG|SASL_PATH|VK_.*"
    # What the platform, or a login, sets.
    r"|PATH|HOME|PWD|OLDPWD|USER|LOGNAME|_|TMPDIR|TMP|TEMP|LANG|LANGUAGE|LC_.*|VIRTUAL_ENV|XDG_.*"
    r"|ALGORITHMIA_.*|WRAPGEN_.*",
    re.IGNORECASE,
)
"""Variables that decide which code runs, or that are not the algorithm's to set."""


class Secrets:
    """The secrets of one platform.

    Args:
        database: where they are kept.
        clock: gives epoch seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._listeners: list[Callable[[str], None]] = []

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Registers what is called with an algorithm's id after its secrets changed."""
        self._listeners.append(listener)

    def variables(self, algorithm_id: str) -> dict[str, str]:
        """The environment variables that workers of an algorithm get; names refused today may be stored."""
        rows = self._database.rows("SELECT variable, value FROM secrets WHERE algorithm_id = ?", algorithm_id)
        return {row["variable"]: row["value"] for row in rows if not _STEERING.fullmatch(row["variable"])}

    def of_algorithm(self, algorithm_id: str) -> list[dict[str, Any]]:
        """The API's objects of an algorithm's secrets, by variable; without values."""
        rows = self._database.rows(
            "SELECT * FROM secrets WHERE algorithm_id = ? ORDER BY variable", algorithm_id
        )
        return [_entry(row) for row in rows]

    def create(self, algorithm_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Adds a secret from the API's fields (`short_name`, `secret_key`, `secret_value`, `description`).

        Raises:
            BadRequest: the variable is missing or no name for one.
            Conflict: the algorithm has a secret for that variable.
        """
        variable, value = fields.get("secret_key"), fields.get("secret_value")
        if not isinstance(variable, str) or not _VARIABLE.match(variable):
            reason, hint = "can't be the name of an environment variable", "letters, digits and _"
        elif _STEERING.fullmatch(variable):
            reason = "is a variable that steers the loader, an interpreter, a shell or the platform itself"
            hint = "choose a name of your own, and set what needs it from within the algorithm"
        else:
            reason = ""
        if reason:
            raise BadRequest(f"secret_key {variable!r} {reason}", hint=hint)
        if not isinstance(value, str):
            raise BadRequest("secret_value must be a string")
        secret_id, now = str(uuid.uuid4()), self._clock()
        with self._changing(algorithm_id):
            if self._database.row(
                "SELECT 1 FROM secrets WHERE algorithm_id = ? AND variable = ?", algorithm_id, variable
            ):
                raise Conflict(f"there is a secret for {variable} already")
            self._database.execute(
                "INSERT INTO secrets VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                secret_id,
                algorithm_id,
                str(fields.get("short_name") or variable),
                variable,
                value,
                str(fields.get("description") or ""),
                now,
                now,
            )
        return self._get(algorithm_id, secret_id)

    def update(self, algorithm_id: str, secret_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Replaces a secret's value, short name or description.

        Raises:
            NotFound: the algorithm has no such secret.
            BadRequest: one of them is not a string.
        """
        for name in ("secret_value", "short_name", "description"):
            if not isinstance(fields.get(name), str | None):
                raise BadRequest(f"{name} must be a string")
        self._get(algorithm_id, secret_id)
        with self._changing(algorithm_id):
            self._database.execute(
                "UPDATE secrets SET value = coalesce(?, value), short_name = coalesce(?, short_name), "
                "description = coalesce(?, description), modified_at = ? WHERE id = ?",
                fields.get("secret_value"),
                fields.get("short_name"),
                fields.get("description"),
                self._clock(),
                secret_id,
            )
        return self._get(algorithm_id, secret_id)

    def delete(self, algorithm_id: str, secret_id: str) -> None:
        """Removes a secret.

        Raises:
            NotFound: the algorithm has no such secret.
        """
        self._get(algorithm_id, secret_id)
        with self._changing(algorithm_id):
            self._database.execute("DELETE FROM secrets WHERE id = ?", secret_id)

    def _get(self, algorithm_id: str, secret_id: str) -> dict[str, Any]:
        row = self._database.row(
            "SELECT * FROM secrets WHERE algorithm_id = ? AND id = ?", algorithm_id, secret_id
        )
        if row is None:
            raise NotFound(f"the algorithm has no secret {secret_id}")
        return _entry(row)

    @contextmanager
    def _changing(self, algorithm_id: str) -> Iterator[None]:
        with self._database.transaction():
            yield
            # Part of a runnable's key: workers that hold the old values are not used again.
            self._database.execute(
                "UPDATE algorithms SET secrets_revision = secrets_revision + 1 WHERE id = ?", algorithm_id
            )
        for listener in self._listeners:
            listener(algorithm_id)


def _entry(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "owner_type": "algorithm",
        "owner_id": row["algorithm_id"],
        "short_name": row["short_name"],
        "secret_key": row["variable"],
        "provider_id": PROVIDER_ID,
        "description": row["description"],
        "created": iso(row["created_at"]),
        "modified": iso(row["modified_at"]),
    }
