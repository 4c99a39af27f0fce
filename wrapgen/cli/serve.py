"""`wrapgen serve`: host algorithms and data on this machine."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli.options import FOLDER, json_option, number_option
from wrapgen.cli.terminal import out
from wrapgen.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from wrapgen.platform import Platform

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PLACE = click.Path(exists=True, path_type=Path)


@click.command("serve")
@click.option(
    "--home",
    type=FOLDER,
    default=Path(".wrapgen"),
    show_default=True,
    help="Folder that holds everything: keys, algorithms, data.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@number_option("--port", 8080, 0, 65535, help="0 for any free.")
@number_option("--workers", 16, 1, 512, help="Most worker processes of one version.")
@number_option("--worker-memory", 8192, 64, help="Most memory of one worker with all its processes, in MiB.")
@number_option("--worker-processes", 1024, 8, help="Most processes and threads of one worker.")
@number_option("--worker-disk", 8192, 1, help="Most space on disk of one worker's own folder, in MiB.")
@number_option("--grace", 30.0, 0, help="Seconds that open calls may still take after SIGTERM or Ctrl-C.")
@click.option("--certificate", type=FILE, help="PEM file with the certificate chain, for TLS.")
@click.option("--private-key", type=FILE, help="PEM file with the certificate's key.")
@click.option("--insecure", is_flag=True, help="Listen beyond this machine without TLS.")
@click.option(
    "--isolation",
    type=click.Choice(["auto", "bubblewrap", "none"]),
    default="auto",
    show_default=True,
    help="A sandbox for workers and builds; auto makes one where bubblewrap works.",
)
@click.option(
    "--limit",
    "limits",
    metavar="NAME=NUMBER",
    multiple=True,
    help="A limit on requests, such as body-bytes=65536; an unknown name lists all.",
)
@click.option("--readable", type=PLACE, multiple=True, help="Show this too in the sandbox, read-only.")
@click.option("--writable", type=FOLDER, multiple=True, help="A folder that the sandbox may change.")
@click.option("--allow-root-workers", is_flag=True, help="Without a sandbox, run algorithms as root.")
@click.option("--faults", type=FILE, help="JSON list of faults, for testing clients; off by default.")
@json_option("Print address, account and limits as one line of JSON.")
def command(
    home: Path,
    host: str,
    port: int,
    workers: int,
    worker_memory: int,
    worker_processes: int,
    worker_disk: int,
    grace: float,
    certificate: Path | None,
    private_key: Path | None,
    insecure: bool,
    isolation: str,
    limits: tuple[str, ...],
    readable: tuple[Path, ...],
    writable: tuple[Path, ...],
    allow_root_workers: bool,
    faults: Path | None,
    as_json: bool,
) -> None:
    """Host algorithms and data on this machine until stopped.

    The platform speaks the Algorithmia API. The first key is kept in HOME/credentials.json, where the other
    commands find it.
    """
    try:
        from wrapgen.platform import Bounds, Ceilings, Isolation, Size, open_platform
        from wrapgen.platform.api.serve import Certificate, listen, serve
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "wrapgen":
            raise
        raise MissingExtra(extra="platform", needed_for="wrapgen serve") from error
    files = _certificate(host, certificate, private_key, insecure)
    disk = worker_disk << 20
    ceilings = Ceilings(memory=worker_memory << 20, processes=worker_processes, disk=disk, file=disk)
    platform = open_platform(
        home,
        size=Size(most=workers),
        ceilings=ceilings,
        bounds=Bounds.read(limits),
        isolation=Isolation(isolation, readable, writable, allow_root_workers),
    )
    try:
        if faults is not None:
            platform.faults.set(faults.read_bytes())
        with listen(host, port) as listener:
            serve(
                platform,
                listener,
                grace=grace,
                on_ready=partial(_ready, platform, as_json),
                certificate=Certificate(*files) if files else None,
            )
    finally:
        platform.close()


def _certificate(
    host: str, certificate: Path | None, private_key: Path | None, insecure: bool
) -> tuple[Path, Path] | None:
    """The two files of TLS, or None; beyond this machine one has to say that none are wanted."""
    if (certificate is None) != (private_key is None):
        raise UsageError("TLS needs both --certificate and --private-key")
    if certificate is not None and private_key is not None:
        return certificate, private_key
    if not _is_loopback(host) and not insecure:
        raise UsageError(
            f"{host} can be reached from other machines, and keys would travel readable",
            hint="give --certificate and --private-key, or say --insecure if something else encrypts",
        )
    return None


def _is_loopback(host: str) -> bool:
    """Whether nothing but this machine reaches an address: 127.0.0.0/8, ::1 and localhost."""
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name, which may come to mean any address
        return host.lower() == "localhost"


def _ready(platform: Platform, as_json: bool, address: str) -> None:
    from wrapgen.platform.domain.credentials import NAME, announce, read_credentials

    state, cgroups = platform.state, platform.pools.common.cgroups
    announce(state.home, address=address, pid=os.getpid())
    facts = {
        "address": address,
        "web": f"{address}/web/",
        "account": read_credentials(state.home)["account"],
        "credentials": str(state.home / NAME),
        "home": str(state.home),
        "pid": os.getpid(),
        "isolation": "bubblewrap" if state.sandbox else "none",
        "limits": f"cgroups v{cgroups.version}" if cgroups else "measured",
        "environments": [each.name for each in state.environments.offered()],
    }
    if as_json:
        out(json.dumps(facts))
        return
    out(f"platform  {address}")
    out(f"web page  {facts['web']}")
    out(f"account   {facts['account']}")
    # Once, and never where what is printed is kept, as a system's journal keeps it.
    made = state.made.get("api_key") if sys.stdout.isatty() else None
    out(f"key       {made or 'in ' + str(facts['credentials'])}")
    out(f"home      {facts['home']}")
    out(f"pythons   {', '.join(facts['environments']) or 'none found'}")
    isolated = "sandboxed by bubblewrap" if state.sandbox else "not sandboxed: host only code you trust"
    out(f"workers   {isolated}")
    out(f"limits    {'kept by ' + str(facts['limits']) if cgroups else 'measured every second'}")
    out("Ctrl-C stops it.")
