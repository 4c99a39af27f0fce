"""The settings of uv and pip on this machine: what of them installers and builds get, and what must be seen.

A build runs what its requirements bring, so it gets a list of variables that is ours, and no key of anybody
but what is part of an index's URL. Installers that run no such code also get what leads to indexes that want
a password, and the caches.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_BUILD = re.compile(
    r"PATH|LANG|TZ|LC_\w+|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE|GIT_SSL_CA(INFO|PATH)"
    r"|(https?|all|no)_proxy|(HTTPS?|ALL|NO)_PROXY"
    r"|CC|CXX|(C|CPP|CXX|LD)FLAGS|PKG_CONFIG_PATH"
    r"|PIP_(CERT|CONFIG_FILE|CONSTRAINT|(DEFAULT_)?TIMEOUT|(EXTRA_)?INDEX_URL|FIND_LINKS"
    r"|NO_BINARY|NO_INDEX|PRE|PREFER_BINARY|PROXY|RETRIES|TRUSTED_HOST)"
    r"|UV_(CONCURRENT_\w+|CONFIG_FILE|CONSTRAINT|(DEFAULT_|EXTRA_)?INDEX(_URL|_STRATEGY)?|EXCLUDE_NEWER"
    r"|FIND_LINKS|HTTP_\w+|INSECURE_HOST|NATIVE_TLS|NO_INDEX|OFFLINE|OVERRIDE|PRERELEASE|RESOLUTION"
    r"|SYSTEM_CERTS)"
)
_INSTALLER = re.compile(
    r"HOME|NETRC|(PIP|SSL)_CLIENT_CERT|TMPDIR|XDG_\w+|(PIP|UV)_CACHE_DIR|UV_INDEX_\w+_(USERNAME|PASSWORD)"
)

_PLACE = re.compile(r"(?:file://)?(/[^\s\"'#,;=\[\]]+)")
"""A path in a setting: of an index in a folder, of certificates, of constraints."""


_HARMLESS = frozenset(
    {"cache-dir", "disable-pip-version-check", "no-color", "progress-bar", "quiet", "verbose"}
)
"""Settings of pip that mean nothing to a build."""


def installer_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables, out of the server's own, that installers get where they run no code but their own.

    uv trusts authorities of its own unless told to trust those of the system, where a company adds one.
    """
    passed = {
        name: value
        for name, value in variables.items()
        if _BUILD.fullmatch(name) or _INSTALLER.fullmatch(name)
    }
    return {"UV_SYSTEM_CERTS": "true", **passed}


class Installers:
    """The settings of uv and pip.

    Args:
        variables: the server's environment variables.

    Attributes:
        variables: what installers get.
        ignored: settings in the user's files that pip is not told of, each with its file.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._home = Path(variables.get("HOME", "/"))
        self._config = Path(variables.get("XDG_CONFIG_HOME") or self._home / ".config")
        self._cache = Path(variables.get("XDG_CACHE_HOME") or self._home / ".cache")
        self._pip_files = self._named_files(variables)
        told, self.ignored = _pip_settings(self._pip_files)
        # pip is told by variables alone: a setting such as `user` or `target` would break every build.
        self.variables = {**told, **installer_variables(variables), "PIP_CONFIG_FILE": os.devnull}

    def sandboxed(self, *, trusted: bool) -> dict[str, str]:
        """The variables of a command in the sandbox; an untrusted one also runs what requirements bring."""
        path = f"{self.variables.get('PATH', '')}:/usr/local/bin:/usr/bin:/bin"
        told = {"UV_LINK_MODE": "copy", "PATH": path, "TMPDIR": "/tmp"}  # noqa: S108 (the sandbox's own)
        if trusted:
            return {**self.variables, **told}
        known = {name: value for name, value in self.variables.items() if _BUILD.fullmatch(name)}
        # What one build could leave in a cache would be installed by the next one.
        uncached = {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return {**known, **told, **uncached, "HOME": "/tmp", "XDG_CONFIG_HOME": str(self._config)}  # noqa: S108

    def caches(self) -> Iterator[Path]:
        """The folders in which uv and pip keep what they fetched; made when missing."""
        for variable, name in (("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip")):
            folder = Path(self.variables.get(variable) or self._cache / name)
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError:  # nothing is kept then
                continue
            yield folder

    def visible(self, *, trusted: bool) -> list[Path]:
        """The files and folders that the settings are in, or name: they must be seen in the sandbox."""
        netrc = Path(self.variables.get("NETRC") or self._home / ".netrc")
        settings = [self._config / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]
        naming = [name for name in self.variables if _BUILD.fullmatch(name) and name != "PATH"]
        naming += ["PIP_CLIENT_CERT", "SSL_CLIENT_CERT"] if trusted else []
        texts = [self.variables.get(name, "") for name in naming]
        texts += [_text(path) for path in settings]
        named = (Path(place) for text in texts for place in _PLACE.findall(text))
        # Pages of an index in a folder point to files beside it.
        wider = [path.parent if path.name == "simple" else path for path in named if path.exists()]
        found = [*filter(Path.is_file, settings), *([netrc] if trusted and netrc.is_file() else []), *wider]
        return [path for path in dict.fromkeys(found) if path not in (Path("/"), self._home)]

    def uv_is_told(self, names: tuple[str, ...]) -> bool:
        """Whether uv has settings of its own, in one of the variables or in a file."""
        files = (self._config / "uv" / "uv.toml", Path("/etc/uv/uv.toml"))
        return any(self.variables.get(name) for name in names) or any(map(Path.is_file, files))

    def pip_knows(self, settings: frozenset[str]) -> bool:
        """Whether pip was told one of these, by a variable or in one of its files."""
        return any(self.variables.get(_variable(name)) for name in settings)

    def _named_files(self, variables: Mapping[str, str]) -> list[Path]:
        """Where pip's settings may be; later ones win."""
        named = variables.get("PIP_CONFIG_FILE")
        if named == os.devnull:
            return []
        usual = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), self._home / ".pip" / "pip.conf"]
        return [*usual, self._config / "pip" / "pip.conf", *([Path(named)] if named else [])]


def _pip_settings(files: list[Path]) -> tuple[dict[str, str], list[str]]:
    """The settings in pip's files that builds get, as variables; and what else there is, with its file."""
    told: dict[str, str] = {}
    ignored = []
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(_text(file))
        except configparser.Error:
            ignored.append(f"{file}: it can't be read")
            continue
        for section in filter(parser.has_section, ("global", "install")):
            for name, value in parser.items(section):
                if _BUILD.fullmatch(_variable(name)) or name == "client-cert":
                    told[_variable(name)] = " ".join(value.split())
                elif name not in _HARMLESS:
                    ignored.append(f"{file}: {name}")  # its value may be a password
    return told, ignored


def _variable(name: str) -> str:
    return "PIP_" + name.upper().replace("-", "_")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
