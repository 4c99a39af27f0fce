"""`wrapgen platform`: users, organizations, keys, algorithms and logs of a running platform."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli import completion, secrets
from wrapgen.cli.options import connected
from wrapgen.cli.terminal import answer, data, listing
from wrapgen.errors import NotFound, UsageError

if TYPE_CHECKING:
    from wrapgen.client import Client


@click.group("platform")
def command() -> None:
    """Administer a running platform: users, organizations, keys, secrets, algorithms, logs.

    Users, organizations and keys require an admin key; the home of a local
    platform has one.
    """


@command.group()
def users() -> None:
    """Users: list, add, remove."""


@users.command("list")
@connected
def list_users(client: Client, as_json: bool) -> None:
    """List the users."""
    listing(client.accounts.users(), ("username", "email", "fullname"), as_json)


@users.command("add")
@click.argument("name")
@click.option("--email", required=True, help="Unique on the platform.")
@click.option("--fullname", default="", help="For people to read.")
@connected
def add_user(client: Client, name: str, email: str, fullname: str, as_json: bool) -> None:
    """Create the user NAME and its first key, which is shown only once."""
    made = client.accounts.add_user(name, email, fullname)
    key = client.accounts.add_key(name, label="first", admin=False, permissions={})
    answer({**made, "api_key": key["api_key"]}, as_json, f"{made['username']}  {key['api_key']}")


@users.command("remove")
@click.argument("name")
@connected
def remove_user(client: Client, name: str, as_json: bool) -> None:
    """Remove the user NAME with its keys; refused while it owns algorithms or data."""
    client.accounts.remove_user(name)
    answer({"removed": name}, as_json, f"removed {name}")


@command.group()
def organizations() -> None:
    """Organizations: list, add, members, join."""


@organizations.command("list")
@connected
def list_organizations(client: Client, as_json: bool) -> None:
    """List the organizations."""
    listing(client.accounts.organizations(), ("org_name", "org_label", "org_created_at"), as_json)


@organizations.command("add")
@click.argument("name")
@connected
def add_organization(client: Client, name: str, as_json: bool) -> None:
    """Create the organization NAME unless it exists."""
    made = client.accounts.add_organization(name)
    answer({"name": name, "made": made}, as_json, f"{'made' if made else 'found'} {name}")


@organizations.command("members")
@click.argument("name")
@connected
def list_members(client: Client, name: str, as_json: bool) -> None:
    """List the members of the organization NAME."""
    listing(client.accounts.members(name), ("username", "role"), as_json)


@organizations.command("join")
@click.argument("name")
@click.argument("user")
@click.option(
    "--role", type=click.Choice(["member", "owner"]), help="An organization keeps an owner. [member]"
)
@connected
def join(client: Client, name: str, user: str, role: str | None, as_json: bool) -> None:
    """Add USER to the organization NAME, or change a member's role."""
    client.accounts.add_member(name, user, role)
    answer({"organization": name, "user": user}, as_json, f"{user} acts for {name}")


organization_option = click.option(
    "--organization", is_flag=True, help="ACCOUNT is an organization, not a user."
)


@command.group()
def keys() -> None:
    """API keys of a user or an organization: list, add, remove."""


@keys.command("list")
@click.argument("account")
@organization_option
@connected
def list_keys(client: Client, account: str, organization: bool, as_json: bool) -> None:
    """List the keys of ACCOUNT, without the keys themselves."""
    found = client.accounts.keys(account, organization=organization)
    listing(found, ("id", "api_key_mask", "key_type", "key_label", "created_at"), as_json)


@keys.command("add")
@click.argument("account")
@organization_option
@click.option("--label", default="", help="What it is for.")
@click.option("--admin", is_flag=True, help="An admin key, for the admin endpoints and nothing else.")
@click.option(
    "--algorithm",
    "algorithms",
    multiple=True,
    metavar="PATTERN",
    help="May call only algo://OWNER/NAME/* or algo://OWNER/*; repeatable.",
)
@click.option("--data", type=click.Choice(["none", "read", "write"]), default="write", show_default=True)
@click.option("--no-manage", is_flag=True, help="May not create, build or publish algorithms.")
@click.option(
    "--from",
    "source",
    type=click.Choice(["anywhere", "programs", "pages"]),
    default="anywhere",
    show_default=True,
    help="Who may use it: programs, web pages, or both.",
)
@click.option("--page", default="", metavar="HOST", help="Only web pages of this host. [any]")
@connected
def add_key(
    client: Client,
    account: str,
    organization: bool,
    label: str,
    admin: bool,
    algorithms: tuple[str, ...],
    data: str,
    no_manage: bool,
    source: str,
    page: str,
    as_json: bool,
) -> None:
    """Create a key for ACCOUNT with these restrictions; it is shown only once."""
    permissions = _permissions(algorithms, data, no_manage, source, page)
    if admin and permissions:
        hint = "leave out what restricts it, or --admin"
        raise UsageError("an admin key serves the admin endpoints, and can't be restricted", hint=hint)
    made = client.accounts.add_key(
        account, label=label, admin=admin, permissions=permissions, organization=organization
    )
    answer(made, as_json, str(made["api_key"]))


def _permissions(
    algorithms: tuple[str, ...], data: str, no_manage: bool, source: str, page: str
) -> dict[str, Any]:
    """The API's permissions, but for those that restrict nothing.

    Raises:
        UsageError: a page is none, or none may use the key.
    """
    if page and source == "programs":
        raise UsageError("--page is about web pages, and --from programs lets none use the key")
    if page and not re.fullmatch(r"[A-Za-z0-9.-]+", page):
        raise UsageError(f"{page!r} is not a host", hint="as in --page www.example.org")
    asked: dict[str, Any] = {
        "algo_acl": list(algorithms) or None,
        "allow_data": False if data == "none" else None,
        "allow_data_write": None if data == "write" else False,
        "allow_algo_management": False if no_manage else None,
        "allow_algo": False if source == "pages" else None,
        "allow_web_algo": False if source == "programs" else None,
        "referer_host": page or None,
    }
    return {name: value for name, value in asked.items() if value is not None}


@keys.command("remove")
@click.argument("account")
@click.argument("key_id")
@organization_option
@connected
def remove_key(client: Client, account: str, key_id: str, organization: bool, as_json: bool) -> None:
    """Revoke the key KEY_ID of ACCOUNT."""
    client.accounts.remove_key(account, key_id, organization=organization)
    answer({"removed": key_id}, as_json, f"removed {key_id}")


@command.group()
def connectors() -> None:
    """Other storage that an account reaches through the data API: list, add, remove."""


@connectors.command("list")
@click.argument("account")
@connected
def list_connectors(client: Client, account: str, as_json: bool) -> None:
    """List the connectors of ACCOUNT, without secrets."""
    columns = ("name", "bucket", "endpoint_url", "access_key_id", "write")
    listing(client.accounts.connectors(account), columns, as_json)


@connectors.command("add")
@click.argument("account")
@click.argument("name", metavar="s3|s3+LABEL")
@click.option("--bucket", help="Only this bucket can be reached. [any]")
@click.option("--endpoint-url", help="Of a server that is not Amazon's.")
@click.option("--region", help="[us-east-1]")
@click.option(
    "--key-id-env", default="AWS_ACCESS_KEY_ID", show_default=True, help="Variable with the key's id."
)
@click.option(
    "--secret-env", default="AWS_SECRET_ACCESS_KEY", show_default=True, help="Variable with its secret."
)
@click.option("--read-only", is_flag=True, help="Nothing can be written.")
@connected
def add_connector(
    client: Client,
    account: str,
    name: str,
    bucket: str | None,
    endpoint_url: str | None,
    region: str | None,
    key_id_env: str,
    secret_env: str,
    read_only: bool,
    as_json: bool,
) -> None:
    """Let ACCOUNT, and algorithms that it calls, reach s3:// with the credentials in two variables."""
    missing = [variable for variable in (key_id_env, secret_env) if not os.environ.get(variable)]
    if missing:
        raise UsageError(f"not set: {', '.join(missing)}", hint="put the storage's credentials there")
    settings = {
        "bucket": bucket or "",
        "endpoint_url": endpoint_url or "",
        "region": region or "",
        "access_key_id": os.environ[key_id_env],
        "secret_access_key": os.environ[secret_env],
        "write": not read_only,
    }
    made = client.accounts.add_connector(account, name, settings)
    answer(made, as_json, f"{account} reaches {name}://{bucket or '...'}")


@connectors.command("remove")
@click.argument("account")
@click.argument("name")
@connected
def remove_connector(client: Client, account: str, name: str, as_json: bool) -> None:
    """Remove the connector NAME from ACCOUNT."""
    client.accounts.remove_connector(account, name)
    answer({"removed": name}, as_json, f"removed {name}")


@command.command()
@click.argument("owner", required=False)
@connected
def algorithms(client: Client, owner: str | None, as_json: bool) -> None:
    """List the algorithms of OWNER, a user or an organization. [the key's account]"""
    name = owner or client.account() or ""
    found = client.accounts.algorithms(name)
    listing(
        [{**each, "reference": f"{each['username']}/{each['algoname']}"} for each in found],
        ("reference", "id"),
        as_json,
    )


@command.command()
@click.argument("algorithm", metavar="OWNER/NAME", shell_complete=completion.references)
@click.option("--build", "build_id", metavar="ID", help="Of this build. [the newest]")
@connected
def logs(client: Client, algorithm: str, build_id: str | None, as_json: bool) -> None:
    """Print the log of a build."""
    if build_id is None:
        newest = next(client.algorithms.builds(algorithm), None)
        if newest is None:
            raise NotFound(f"{algorithm} was never built", hint="`wrapgen publish` builds it")
        build_id = newest.id
    text = client.algorithms.build_log(algorithm, build_id)
    if as_json:
        answer({"build": build_id, "log": text}, as_json)
    else:
        data([text.rstrip().encode("utf-8", "replace"), b"\n"])


@command.command()
@click.argument("algorithm", metavar="OWNER/NAME", shell_complete=completion.references)
@connected
def errors(client: Client, algorithm: str, as_json: bool) -> None:
    """List the calls that failed in the last seven days, newest first."""
    columns = ("created_at", "request_id", "algoversion", "billable_to", "error_type", "error")
    found = client.accounts.errors(algorithm)
    if not as_json:
        found = [{**each, "created_at": _moment(each.get("created_at"))} for each in found]
    listing(found, columns, as_json)


def _moment(milliseconds: Any) -> str:
    """A moment as people write it, in UTC; what is no number stays as it is."""
    if not isinstance(milliseconds, int | float):
        return str(milliseconds)
    from datetime import datetime, timezone

    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


command.add_command(secrets.group)
