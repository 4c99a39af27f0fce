"""Secrets of algorithms: environment variables their workers get, whose values are never told again."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wrapgen.errors import BadRequest, Conflict, NotFound
from wrapgen.platform.domain.model import Secret
from wrapgen.platform.storage.algorithm_table import SecretTable

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
    r"|ALGORITHMIA_.*|WRAPGEN_.*|__PYVENV_LAUNCHER__|COVERAGE_PROCESS_.*|MANPAGER|MAKE(FILES|FLAGS)",
    re.IGNORECASE,
)
"""Variables that decide which code runs, or that are not the algorithm's to set."""


class Secrets:
    """The secrets of one platform.

    Args:
        table: where they are kept.
        clock: gives epoch seconds.
    """

    def __init__(self, table: SecretTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock
        self._listeners: list[Callable[[str], None]] = []

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Registers what is called with an algorithm's id after its secrets changed."""
        self._listeners.append(listener)

    def variables(self, algorithm_id: str) -> dict[str, str]:
        """The environment variables that workers of an algorithm get; names refused today may be stored."""
        found = self._table.variables(algorithm_id)
        return {name: value for name, value in found.items() if not _STEERING.fullmatch(name)}

    def of_algorithm(self, algorithm_id: str) -> list[Secret]:
        """An algorithm's secrets, by variable; without values."""
        return self._table.all(algorithm_id=algorithm_id)

    def create(
        self,
        algorithm_id: str,
        variable: str | None,
        value: str | None,
        short_name: str = "",
        description: str = "",
    ) -> Secret:
        """Adds a secret.

        Raises:
            BadRequest: the variable is missing or no name for one, or there is no value.
            Conflict: the algorithm has a secret for that variable.
        """
        if variable is None or not _VARIABLE.match(variable):
            reason, hint = "can't be the name of an environment variable", "letters, digits and _"
        elif _STEERING.fullmatch(variable):
            reason = "is a variable that steers the loader, an interpreter, a shell or the platform itself"
            hint = "choose a name of your own, and set what needs it from within the algorithm"
        else:
            reason = ""
        if reason:
            raise BadRequest(f"secret_key {variable!r} {reason}", hint=hint)
        if variable is None or value is None:
            raise BadRequest("secret_value must be a string")
        now, name = self._clock(), short_name or variable
        made = Secret(str(uuid.uuid4()), algorithm_id, name, variable, description, now, now)
        with self._changing(algorithm_id):
            if not self._table.insert(made, instead="IGNORE", value=value):
                raise Conflict(f"there is a secret for {variable} already")
        return made

    def update(
        self,
        algorithm_id: str,
        secret_id: str,
        value: str | None = None,
        short_name: str | None = None,
        description: str | None = None,
    ) -> Secret:
        """Replaces a secret's value, short name or description: those that are given.

        Raises:
            NotFound: the algorithm has no such secret.
        """
        self._get(algorithm_id, secret_id)
        changes = {"value": value, "short_name": short_name, "description": description}
        given = {name: text for name, text in changes.items() if text is not None}
        with self._changing(algorithm_id):
            self._table.update(secret_id, **given, modified_at=self._clock())
        return self._get(algorithm_id, secret_id)

    def delete(self, algorithm_id: str, secret_id: str) -> None:
        """Removes a secret.

        Raises:
            NotFound: the algorithm has no such secret.
        """
        self._get(algorithm_id, secret_id)
        with self._changing(algorithm_id):
            self._table.delete(id=secret_id)

    def _get(self, algorithm_id: str, secret_id: str) -> Secret:
        found = self._table.first(algorithm_id=algorithm_id, id=secret_id)
        if found is None:
            raise NotFound(f"the algorithm has no secret {secret_id}")
        return found

    @contextmanager
    def _changing(self, algorithm_id: str) -> Iterator[None]:
        with self._table.transaction():
            yield
            # Part of a runnable's key: workers that hold the old values are not used again.
            self._table.revise(algorithm_id)
        for listener in self._listeners:
            listener(algorithm_id)
