"""The examination of a datastore: its existence, and whether the wrapper may write to it.

A collection's right to be written is proven by writing a file and removing it again: nothing else tells.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping

from wrapgen.client import Client, Connection, is_data_url
from wrapgen.doctor.finding import Finding, Level, fault, ok, unchecked
from wrapgen.errors import BadRequest, NotAuthorized, NotFound, PlatformError


def where_records_go(
    client: Client,
    url: str,
    *,
    wrapper: str,
    key_env: str | None,
    secrets: list[str] | None,
    environ: Mapping[str, str],
) -> Iterator[Finding]:
    """Everything about one datastore.

    Args:
        client: with the key of the wrapper's caller.
        url: of the datastore, or `$NAME` where a variable holds it.
        wrapper: `owner/name` of the wrapper that writes there.
        key_env: the variable with the key that the wrapper writes with; None writes as its caller.
        secrets: the variables that the wrapper's secrets or its file of credentials set; None if they could
            not be read.
        environ: this process's variables, which may hold the writer's key.
    """
    if url.startswith("$"):
        yield secret("datastore", wrapper, url[1:], secrets)
        return
    if not is_data_url(url):
        yield unchecked("datastore", f"{url}: only the wrapper itself reaches it", "call it once and see")
        return
    if key_env is None:
        yield _writable(client, url, "this key")
        if url.startswith("data://"):
            owner = url.removeprefix("data://").partition("/")[0]
            yield Finding(
                Level.OK,
                "callers",
                f"a wrapper acts as its caller, so only calls with a key of {owner} are recorded",
                "set datastore.key_env in the spec to record everybody's",
            )
        return
    yield secret("key_env", wrapper, key_env, secrets)
    if environ.get(key_env):
        connection = client.connection
        writer = Connection(connection.address, environ[key_env], f"${key_env}", ca_cert=connection.ca_cert)
        with Client(writer, pool=1) as other:
            yield _writable(other, url, f"the key in {key_env}")
    else:
        hint = f"set {key_env} here too to check that it may write"
        yield unchecked("collection", f"{url}: written with a key that only the platform knows", hint)


def credentials(client: Client, url: str) -> tuple[Finding, list[str] | None]:
    """Whether the private file of credentials can be read by this key alone; its variables."""
    what = "credentials"
    try:
        content = json.loads(client.data.read(url))
        readers = client.data.acl(url.rpartition("/")[0]) or []
    except NotFound:
        if not _ours(client, url):  # a private file of another account looks the same
            return unchecked(what, f"{url} is not there, or not for this key"), None
        return fault(what, f"{url} is not there", "put a JSON object of variables and their values there"), []
    except NotAuthorized as error:
        return unchecked(what, f"this key may not read {url}: {error}"), None
    except (PlatformError, ValueError) as error:
        return fault(what, f"{url} can't be read: {error}", "put a JSON object there"), []
    if not isinstance(content, dict):
        return fault(what, f"{url} holds no JSON object", "put variables and their values there"), []
    if "user://*" in readers:
        return fault(what, f"everybody may read {url}", "make its collection private"), list(content)
    return ok(what, f"{url} sets {', '.join(sorted(content)) or 'nothing'}"), list(content)


def secret(what: str, wrapper: str, name: str, secrets: list[str] | None) -> Finding:
    """Whether a wrapper gets a variable that it reads; `secrets` as in `where_records_go`."""
    if secrets is None:
        return unchecked(what, f"whether the wrapper gets {name} could not be seen")
    if name not in secrets:
        hint = f"wrapgen platform secrets set {wrapper} {name}"
        return fault(what, f"nothing sets {name} for the wrapper, so nothing can be recorded", hint)
    return ok(what, f"the wrapper gets {name}")


def _ours(client: Client, url: str) -> bool:
    """Whether a file belongs to this key's account or to one of its organizations."""
    owner = url.removeprefix("data://").partition("/")[0].lower()
    pages = client.data.pages("data://")
    return owner == ".my" or owner in [name.lower() for page in pages for name in page.folders]


def _writable(client: Client, url: str, who: str) -> Finding:
    place = f"{url.rstrip('/')}/doctor-{uuid.uuid4().hex}.txt"
    try:
        if not client.data.exists(url):
            hint = "make it with: wrapgen publish DIR; or use a key of its owner"
            return fault("collection", f"{url} is not there for {who}", hint)
        client.data.put(place, b"written by wrapgen doctor, removed at once\n")
        client.data.delete(place)
    except (NotAuthorized, NotFound, BadRequest) as error:
        hint = "use a key of the collection's owner, or set datastore.key_env in the spec"
        return fault("collection", f"{who} may not write to {url}: {error}", hint)
    except PlatformError as error:
        return fault("collection", f"{url} can't be written to: {error}", error.hint)
    return ok("collection", f"{who} may write to {url}")
