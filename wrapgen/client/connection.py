"""Which platform a command talks to, and with which key. Reads files and variables; opens no connection.

Looked at in this order: flags, the vendor's variables, the vendor's profile file, the local platform's home.
A key that was found together with an address is never sent to another address.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wrapgen.client.proxies import proxy_url
from wrapgen.errors import NoCredentials, UsageError
from wrapgen.files import read_json
from wrapgen.references import split_url

VENDOR_ADDRESS = "https://api.algorithmia.com"
"""The default address of the vendor's clients (algorithmia-python, Algorithmia/__init__.py)."""

_HOME_BYTES = 1 << 20

HOME = Path(".wrapgen")
"""The local platform's home when no other is named, relative to the current folder."""


@dataclass(frozen=True)
class Connection:
    """Where calls go and who makes them.

    Args:
        address: base address without `/v1` and without a slash at the end.
        key: API key, or a bearer token (three segments with dots between). It and the address are empty in
            what one source says, where that does not name them.
        source: where address and key were found, for messages; never the key itself.
        account: name of the account, where the source says it.
        ca_cert: further certificate authorities, or None: path of a file or folder, or their PEM text.
        admin_key: key for accounts and organizations; only a local platform's home has one.
        home: the local platform's home that it was found in, or None.
        proxy: URL of the proxy where the process's own variables name none.
        bearer: whether the key is a token of a service that is no platform; it may be empty then.
    """

    address: str
    key: str
    source: str
    account: str | None = None
    ca_cert: str | None = None
    admin_key: str | None = None
    home: Path | None = None
    proxy: str = ""
    bearer: bool = False

    def __repr__(self) -> str:
        return f"Connection({self.address!r}, source={self.source!r}, account={self.account!r})"

    def portable(self) -> Connection:
        """The same for another machine: what files and variables of this one say is in it; no admin key.

        Raises:
            UsageError: the certificate authorities can't be read.
        """
        authorities = read_authorities(self.ca_cert) if self.ca_cert else None
        proxy = proxy_url(self.address, self.proxy)
        return replace(self, ca_cert=authorities, admin_key=None, home=None, proxy=proxy)

    def variables(self) -> dict[str, str]:
        """What a process of this machine needs to call the platform: as the vendor's client reads it."""
        found = {"ALGORITHMIA_API": self.address, "ALGORITHMIA_API_KEY": self.key}
        with suppress(OSError, ValueError):
            if self.ca_cert and Path(self.ca_cert).exists():
                found["REQUESTS_CA_BUNDLE"] = self.ca_cert
        return found

    @property
    def is_local(self) -> bool:
        """Whether this is the platform of a home on this machine, whose admin key we hold."""
        return self.admin_key is not None


def authorization(key: str, *, bearer: bool = False) -> str:
    """`Bearer` for a token of three segments, or of a service; else the documented `Simple` form."""
    return f"Bearer {key}" if bearer or key.count(".") == 2 else f"Simple {key}"


def find(
    *,
    address: str | None,
    key: str | None,
    home: Path | None,
    profile: str | None,
    environ: Mapping[str, str],
    user_home: Path,
) -> Connection:
    """Puts a connection together from the first sources that name its parts.

    Args:
        address, key, home, profile: what the flags say, None where not given. A named home or profile is
            the only source then, but for the other flags.
        environ: the process's variables.
        user_home: the user's home folder, which may hold `.algorithmia/config`.

    Raises:
        NoCredentials: no source has an address or a key.
        UsageError: a named home or profile is missing, or a file can't be read.
    """
    sources = list(_sources(home, profile, environ, user_home))
    chosen = _address(address, key, sources)
    if chosen is None:
        raise NoCredentials(
            "found no platform: no --address, no ALGORITHMIA_API_KEY, no profile, no local platform's home",
            hint="start one here with `wrapgen serve`, or name yours with --address and ALGORITHMIA_API_KEY",
        )
    where = check_address(chosen.address)
    if key:
        return Connection(
            where, key, f"{chosen.source} with --api-key", ca_cert=chosen.ca_cert or ca_bundle(environ)
        )
    holder = next((s for s in sources if s.key and _fits(s.address, where)), None)
    if holder is None:
        raise NoCredentials(
            f"found no API key for {where}",
            hint="set ALGORITHMIA_API_KEY, or give --home or --profile of that platform",
        )
    return replace(holder, address=where, ca_cert=holder.ca_cert or ca_bundle(environ))


def check_address(address: str) -> str:
    """The address without a trailing slash or `/v1`.

    Raises:
        UsageError: it is not an http or https address, or it carries a user name or password.
    """
    text = address.rstrip("/").removesuffix("/v1")
    parts = split_url(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"not a platform's address: {address!r}", hint="write it as https://api.example.com")
    if parts.username or parts.password:
        raise UsageError("a platform's address can't hold a user name or a password", hint="use an API key")
    return text


def _fits(own: str, where: str) -> bool:
    return not own or check_address(own) == where


def _address(flag: str | None, key: str | None, sources: list[Connection]) -> Connection | None:
    if flag:
        named = check_address(flag)
        same = (s for s in sources if s.address and check_address(s.address) == named)
        certificate = next((s.ca_cert for s in same if s.ca_cert), None)
        return Connection(named, "", "--address", ca_cert=certificate)
    for found in sources:
        if found.address:
            return found
        if found.key and not key:  # a key in the vendor's variables alone means the vendor's own address
            return next(
                (s for s in sources if s.address and not s.key), Connection(VENDOR_ADDRESS, "", found.source)
            )
    return None


def _sources(
    home: Path | None, profile: str | None, environ: Mapping[str, str], user_home: Path
) -> Iterator[Connection]:
    if home is not None:
        yield _home(home, named=True)
        return
    if profile is not None:
        yield _profile(user_home, profile, named=True)
        return
    readers: list[Callable[[], Connection]] = [
        lambda: _variables(environ),
        lambda: _profile(user_home, "default", named=False),
        lambda: _home(nearest_home(Path.cwd()), named=False),
    ]
    for read in readers:
        found = read()
        if found.address or found.key:
            yield found


def _variables(environ: Mapping[str, str]) -> Connection:
    return Connection(
        environ.get("ALGORITHMIA_API", ""),
        environ.get("ALGORITHMIA_API_KEY", "") or environ.get("ALGORITHMIA_BEARER_TOKEN", ""),
        "the variables ALGORITHMIA_API and ALGORITHMIA_API_KEY",
        ca_cert=ca_bundle(environ),
    )


def ca_bundle(environ: Mapping[str, str]) -> str | None:
    """The path of the authorities that variables name, or None."""
    # What the vendor's client reads (Algorithmia/client.py), and requests after it.
    return environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or None


def read_authorities(ca_cert: str) -> str:
    """The certificates in a file, in the files of a folder, or in PEM text, as PEM text.

    Raises:
        UsageError: they can't be read.
    """
    if "-----BEGIN" in ca_cert:
        return ca_cert
    path = Path(ca_cert)
    try:
        files = sorted(filter(Path.is_file, path.iterdir())) if path.is_dir() else [path]
        text = "\n".join(file.read_text("utf-8", "replace") for file in files)
    except OSError as error:
        raise UsageError(f"can't read the certificates in {path}: {error}") from error
    if "-----BEGIN" not in text:
        raise UsageError(f"can't read the certificates in {path}: there are none")
    return text


def _profile(user_home: Path, name: str, *, named: bool) -> Connection:
    path = user_home / ".algorithmia" / "config"
    source = f"profile {name} of {path}"
    try:
        content = read_toml(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:  # HOME may be /dev/null
        if named:
            raise UsageError(
                f"no profile {name}: there is no {path}", hint="`algo auth` makes one"
            ) from error
        return Connection("", "", source)
    except (OSError, ValueError) as error:  # TOMLDecodeError is a ValueError
        raise UsageError(f"can't read the profiles in {path}: {error}") from error
    profiles = content.get("profiles")
    entry = profiles.get(name) if isinstance(profiles, dict) else None
    if not isinstance(entry, dict):
        if named:
            known = ", ".join(sorted(profiles)) if isinstance(profiles, dict) else ""
            raise UsageError(f"no profile {name} in {path}", hint=f"it has: {known or 'none'}")
        return Connection("", "", source)
    return Connection(
        _text(entry, "api_server"),
        _text(entry, "api_key") or _text(entry, "bearer_token"),
        source,
        ca_cert=_text(entry, "ca_cert") or None,
    )


def nearest_home(folder: Path) -> Path:
    """The local platform's home in a folder, or in the nearest one above it that has one of this user's.

    Another user's, such as one in /tmp, would be sent what is not meant for it.
    """
    for above in folder.parents if not (HOME / "credentials.json").exists() else ():
        home = above / HOME
        with suppress(OSError):
            if (home / "credentials.json").stat().st_uid == os.getuid():
                return home
    return HOME


def _home(home: Path, *, named: bool) -> Connection:
    path = home / "credentials.json"
    source = f"the home {home}"
    try:
        content = read_json(path, _HOME_BYTES)
    except FileNotFoundError as error:
        if named:
            raise UsageError(
                f"{home} is not the home of a local platform: it has no credentials.json",
                hint=f"`wrapgen serve --home {home}` makes it",
            ) from error
        return Connection("", "", source)
    if not isinstance(content, dict):
        raise UsageError(f"can't read {path}: it holds no JSON object")
    return Connection(
        _text(content, "address"),
        _text(content, "api_key"),
        source,
        account=_text(content, "account") or None,
        admin_key=_text(content, "admin_key") or None,
        home=home,
    )


def read_toml(text: str) -> dict[str, Any]:
    """A TOML file's content.

    Raises:
        ValueError: it is not TOML.
        UsageError: before Python 3.11, tomli is not installed.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise UsageError("reading a profile file needs the package tomli before Python 3.11") from None
    content: dict[str, Any] = tomllib.loads(text)
    return content


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    return value.strip() if isinstance(value, str) else ""
