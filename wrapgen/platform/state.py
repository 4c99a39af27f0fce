"""The platform's home folder opened: every service over one database, in the order they need each other.

    HOME/credentials.json   first keys and address (mode 0600)
    HOME/platform.sqlite    everything with rows
    HOME/repositories/      one bare git repository per algorithm
    HOME/builds/            the checked-out source and log of each build
    HOME/venvs/             virtual environments, shared by builds with equal requirements
    HOME/data/              hosted files

Nothing here serves, calls or prints.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from wrapgen.errors import NotAuthorized, UsageError
from wrapgen.files import make_folder
from wrapgen.platform.building.builds import Builds
from wrapgen.platform.building.environments import Environments
from wrapgen.platform.domain.accounts import Accounts
from wrapgen.platform.domain.algorithms import Algorithms
from wrapgen.platform.domain.bounds import Bounds
from wrapgen.platform.domain.connectors import Connectors
from wrapgen.platform.domain.credentials import read_credentials, write_credentials
from wrapgen.platform.domain.data import Data
from wrapgen.platform.domain.files import Files
from wrapgen.platform.domain.model import ADMIN_KEY, FIRST_ACCOUNT, STANDARD_KEY
from wrapgen.platform.domain.scms import Scms
from wrapgen.platform.domain.secrets import Secrets
from wrapgen.platform.observe.error_log import ErrorLog
from wrapgen.platform.storage.account_table import AccountTable
from wrapgen.platform.storage.algorithm_table import AlgorithmTable, BuildTable, SecretTable
from wrapgen.platform.storage.data_table import CollectionTable, ConnectorTable
from wrapgen.platform.storage.database import Database
from wrapgen.platform.storage.folder_store import FolderStore
from wrapgen.platform.storage.objects import ObjectStore
from wrapgen.platform.storage.platform_tables import ErrorTable, InterpreterTable, ScmTable
from wrapgen.platform.storage.repositories import Repositories
from wrapgen.platform.workers.ceilings import Ceilings
from wrapgen.platform.workers.cgroups import Cgroups
from wrapgen.platform.workers.sandbox import Isolation, Sandbox


@dataclass(frozen=True)
class State:
    """The services of one home; all thread-safe.

    Args:
        home: the folder.
        database, accounts, environments, repositories, builds: services, in the order they need each other.
        secrets, algorithms, data, connectors, errors: those that stand on them.
        lock: keeps a second server off the same home.
        made: the first keys that this opening made, by their names in `credentials.json`; mostly none.
    """

    home: Path
    database: Database
    accounts: Accounts
    environments: Environments
    repositories: Repositories
    builds: Builds
    secrets: Secrets
    algorithms: Algorithms
    data: Data
    connectors: Connectors
    files: Files
    scms: Scms
    errors: ErrorLog
    sandbox: Sandbox | None
    lock: IO[str]
    made: Mapping[str, str]

    def close(self) -> None:
        """Stops what runs (a build in progress starts again at the next opening) and closes the database."""
        self.builds.close()
        self.errors.close()
        self.database.close()
        self.lock.close()


def open_platform_state(
    home: Path,
    *,
    clock: Callable[[], float] = time.time,
    variables: Mapping[str, str] | None = None,
    bounds: Bounds | None = None,
    isolation: Isolation | None = None,
    ceilings: Ceilings | None = None,
    cgroups: Cgroups | None = None,
) -> State:
    """Opens a home, made when missing: with the user `local`, a standard key and an admin key.

    Args:
        home: the folder that holds everything.
        clock: gives epoch seconds.
        variables: environment variables; None takes the process's.
        bounds: what one request may cost.
        isolation: what is asked of the sandbox; None for no sandbox.
        ceilings: what the commands of builds may use; None for no ceilings.
        cgroups: limit them, or None.

    Raises:
        UsageError: there can be no sandbox, another server has this home open, or a newer wrapgen wrote it.
    """
    home = home.absolute()
    make_folder(home)
    home.chmod(0o700)  # one that was there may have been open to all, and secrets come to lie in it
    lock = _lock(home)
    try:
        sandbox = Sandbox.find(home, isolation or Isolation())
        known = os.environ if variables is None else variables
        bounds = bounds or Bounds()
        limited = ceilings and replace(ceilings, disk=bounds.build_bytes)
        state = _open(home, lock, clock, known, bounds, (sandbox, limited, cgroups))
        state.algorithms.catch_up()
        return state
    except BaseException:
        lock.close()
        raise


def _open(
    home: Path,
    lock: IO[str],
    clock: Callable[[], float],
    variables: Mapping[str, str],
    bounds: Bounds,
    confinement: tuple[Sandbox | None, Ceilings | None, Cgroups | None],
) -> State:
    database = Database(home / "platform.sqlite")
    algorithm_table = AlgorithmTable(database)
    accounts = Accounts(AccountTable(database), clock)
    environments = Environments(InterpreterTable(database), variables)
    repositories = Repositories(home / "repositories", variables, bounds)
    builds = Builds(BuildTable(database), home, environments, repositories, clock, variables, *confinement)
    secrets = Secrets(SecretTable(database), clock)
    algorithms = Algorithms(algorithm_table, accounts, environments, repositories, builds, secrets, clock)
    store = FolderStore(home / "data")
    data = Data(CollectionTable(database), algorithm_table, store, accounts, clock)
    connectors = Connectors(ConnectorTable(database), accounts, _connect, clock)
    errors = ErrorLog(ErrorTable(database), clock, bounds.errors)
    made = _first_keys(home, accounts)
    return State(
        home=home,
        database=database,
        accounts=accounts,
        environments=environments,
        repositories=repositories,
        builds=builds,
        secrets=secrets,
        algorithms=algorithms,
        data=data,
        connectors=connectors,
        files=Files(data, connectors),
        scms=Scms(ScmTable(database)),
        errors=errors,
        sandbox=confinement[0],
        lock=lock,
        made=made,
    )


def _connect(settings: dict[str, Any]) -> ObjectStore:
    from wrapgen.platform.storage.s3 import S3Store

    return S3Store(settings)


def _lock(home: Path) -> IO[str]:
    lock = (home / "lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UsageError(
            f"the platform of {home} is already running", hint="stop it first, or use another --home"
        ) from None
    return lock


def _first_keys(home: Path, accounts: Accounts) -> dict[str, str]:
    """Makes the keys that were never written down (a crash between the steps), or were revoked since."""
    if not any(account.name == FIRST_ACCOUNT for account in accounts.all("user")):
        accounts.create("user", FIRST_ACCOUNT, {})
    known, kinds = read_credentials(home), {"api_key": STANDARD_KEY, "admin_key": ADMIN_KEY}
    labels = {"api_key": "first", "admin_key": "first admin"}
    made = {
        name: accounts.create_key(FIRST_ACCOUNT, label=labels[name], kind=kind)[0]
        for name, kind in kinds.items()
        if not _works(accounts, known.get(name))
    }
    if made:
        write_credentials(home, {"account": FIRST_ACCOUNT, **made})
    return made


def _works(accounts: Accounts, key: str | None) -> bool:
    try:
        return bool(key) and bool(accounts.caller(str(key)))
    except NotAuthorized:
        return False
