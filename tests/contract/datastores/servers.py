"""Real servers for the contract suite: PostgreSQL, MariaDB and an SQS as processes of the tests, and a door.

Each has a data folder of its own that goes with it, listens on a free loopback port, and runs as a user that
it accepts. `Missing` says what a machine lacks.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import requests

START_SECONDS = 60.0

SECURED = "secured"
"""The user of PostgreSQL who is asked for a password."""


class Missing(Exception):
    """This machine has not got the server."""


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process; `ready` is what it prints when it takes connections."""

    def __init__(self, ready: str) -> None:
        self.port = free_port()
        self.ready_line = ""
        self._ready = ready
        self._process: subprocess.Popen[str] | None = None

    def command(self) -> list[str]:
        """What to run."""
        raise NotImplementedError

    def options(self) -> dict[str, object]:
        """How to run it: user and the like."""
        return {}

    def start(self) -> None:
        """Returns when it takes connections."""
        self._process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self.options(),  # type: ignore[call-overload]
        )
        up = threading.Event()
        said: list[str] = []
        threading.Thread(target=self._listen, args=(self._process, up, said), daemon=True).start()
        if not up.wait(START_SECONDS) or self._process.poll() is not None:
            self.kill()
            raise RuntimeError(f"{self.command()[0]} did not start:\n" + "".join(said[-20:]))

    def _listen(self, process: subprocess.Popen[str], up: threading.Event, said: list[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if not up.is_set():
                    said.append(line)
                if self._ready in line:
                    self.ready_line = line
                    up.set()
        up.set()

    def kill(self) -> None:
        """Ends it at once, as a crash would; its data stay."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """Ends it for good."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class Postgres(Server):
    """A PostgreSQL server; `url` takes SQLAlchemy there."""

    def __init__(self) -> None:
        super().__init__("ready to accept connections")
        self._bin = _postgres_folder()
        self._user = _ordinary_user()
        self._folder = Path(tempfile.mkdtemp(prefix="wrapgen-pg-"))
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        arguments = [
            "-D",
            str(self._folder / "data"),
            "-A",
            "trust",
            "-N",
            "-U",
            "wrapgen",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(
            [str(self._bin / "initdb"), *arguments],
            check=True,
            capture_output=True,
            **self.options(),  # type: ignore[call-overload]
        )

        rules = self._folder / "data" / "pg_hba.conf"
        asked = f"host all {SECURED} 127.0.0.1/32 scram-sha-256\n"
        rules.write_text(asked + rules.read_text())

    def url(self, port: int) -> str:
        """Reaches it through a port."""
        return f"postgresql://wrapgen:secret@127.0.0.1:{port}/postgres"

    def options(self) -> dict[str, object]:
        if self._user is None:
            return {"cwd": self._folder}
        # Its programs refuse to run as root.
        return {
            "cwd": self._folder,
            "user": self._user.pw_uid,
            "group": self._user.pw_gid,
            "extra_groups": [],
        }

    def command(self) -> list[str]:
        settings = ["fsync=off", "listen_addresses=127.0.0.1", "shared_buffers=16MB", "max_connections=50"]
        chosen = [part for setting in settings for part in ("-c", setting)]
        place = ["-D", str(self._folder / "data"), "-k", str(self._folder), "-p", str(self.port)]
        return [str(self._bin / "postgres"), *place, *chosen]

    def kill(self) -> None:
        """As a crash: open transactions are lost; on its next start it recovers what was committed."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class MariaDB(Server):
    """A MariaDB server without accounts, whose packets are at most 1 MiB."""

    def __init__(self) -> None:
        super().__init__("ready for connections")
        found = shutil.which("mariadbd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if found is None:
            raise Missing("no mariadbd on this machine; Debian's package mariadb-server-core has it")
        self._folder = Path(tempfile.mkdtemp(prefix="wrapgen-my-"))
        self._start = [found, "--no-defaults", f"--datadir={self._folder}"]
        if os.geteuid() == 0:
            self._start.append("--user=root")
        subprocess.run(
            [*self._start, "--bootstrap"], input=b"CREATE DATABASE wrapgen;", check=True, capture_output=True
        )

    def url(self, port: int) -> str:
        """Reaches it through a port."""
        return f"mysql://wrapgen:secret@127.0.0.1:{port}/wrapgen"

    def command(self) -> list[str]:
        place = [f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self._folder / 'socket'}"]
        limits = ["--skip-grant-tables", "--max-allowed-packet=1M", "--innodb-flush-log-at-trx-commit=0"]
        return [*self._start, *place, *limits]

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
        shutil.rmtree(self._folder, ignore_errors=True)


class Sqs(Server):
    """moto's server, which speaks SQS and S3 over HTTP; all it holds is in memory."""

    def __init__(self) -> None:
        super().__init__("Running on")

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]


class Platform(Server):
    """The platform that wrapgen ships; `facts` is what it says when it is ready."""

    def __init__(self) -> None:
        super().__init__('"credentials"')
        self.bucket = ""
        self._folder = Path(tempfile.mkdtemp(prefix="wrapgen-home-"))

    @property
    def facts(self) -> dict[str, str]:
        """Address, account and api_key."""
        return dict(json.loads((self._folder / "credentials.json").read_text()))

    def start(self) -> None:
        super().start()
        self.port = int(self.facts["address"].rpartition(":")[2])

    def connect(self, address: str) -> None:
        """Gives the account an s3:// connector to the server at that address."""
        admin_key = json.loads((self._folder / "credentials.json").read_text())["admin_key"]
        settings = {
            "endpoint_url": address,
            "bucket": self.bucket,
            "access_key_id": "x",
            "secret_access_key": "x",
        }
        where = f"{self.facts['address']}/v1/admin/users/{self.facts['account']}/connectors/s3"
        requests.put(
            where, json=settings, headers={"Authorization": admin_key}, timeout=60
        ).raise_for_status()

    def command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "wrapgen",
            "serve",
            "--home",
            str(self._folder),
            "--port",
            "0",
            "--json",
            "--allow-root-workers",
        ]

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self._folder, ignore_errors=True)


class Door:
    """A TCP way to a server that can be shut and opened: connections break, new ones are refused.

    `hold` lets requests through but no answers back, so that what was written is not acknowledged.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.open()

    def open(self) -> None:
        """Take connections (again)."""
        listener = socket.create_server(("127.0.0.1", self.port))
        with self._lock:
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Break every connection and refuse new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
            ends, self._open = self._open, set()
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._server_port), timeout=10)
            except OSError:
                near.close()
                continue
            with self._lock:
                shut = self._listener is not listener
                if not shut:
                    self._open |= {near, far}
            if shut:
                near.close()
                far.close()
                return
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        """Both ways in one thread, until either side ends."""
        others = {near: far, far: near}
        with near, far:
            try:
                while True:
                    for end in select.select(list(others), [], [])[0]:
                        piece = end.recv(65536)
                        if not piece:
                            return
                        others[end].sendall(piece)
            except (OSError, ValueError):
                return
            finally:
                with self._lock:
                    self._open -= {near, far}


@contextlib.contextmanager
def running(make: Callable[[], Server]) -> Iterator[Server]:
    """A started server, stopped afterwards. Raises Missing."""
    server = make()
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _postgres_folder() -> Path:
    """The folder of the newest PostgreSQL programs."""
    on_path = shutil.which("initdb")
    places = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name), reverse=True
    )
    for place in [*places, *([Path(on_path).resolve().parent] if on_path else [])]:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise Missing("no PostgreSQL server on this machine; Debian's package postgresql has it")


def _ordinary_user() -> pwd.struct_passwd | None:
    """Whom to run as where we are root; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise Missing("PostgreSQL refuses to run as root, and there is no user postgres or nobody")
