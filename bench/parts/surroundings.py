"""What programs need around them: servers, started when the first program asks for one, and interpreters."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import hosting, measure, peers
from bench.hosting import Server
from bench.measure import Failed
from bench.options import Bench
from bench.parts.apps import chat, fastapi, mlserver
from bench.parts.programs import CASES, OURS, Program

TARGET = CASES.parent.parent / "examples" / "sentiment" / "target"


class Surroundings:
    """Servers and interpreters for programs.

    Args:
        bench: the bench.
        stack: ends the servers when it is left.
    """

    def __init__(self, bench: Bench, stack: ExitStack) -> None:
        self.bench, self._stack = bench, stack
        self._home = bench.work / "home"
        self._servers: dict[str, Server | Failed] = {}
        self._wrappers: dict[str, str] = {}
        self._targets: set[Path] = set()

    def command(self, program: Program) -> list[str]:
        """The words that run a program, to which input and output are added."""
        file = str(CASES / program.file)
        return ["sh", file] if file.endswith(".sh") else [str(self._python(program)), file]

    def variables(self, program: Program) -> dict[str, str]:
        """Environment variables that say where the servers are; starts them if need be."""
        found = dict(word.split("=", 1) for word in program.words)
        found["PATH"] = f"{self._python(program).parent}{os.pathsep}{os.environ['PATH']}"
        for name in program.needs:
            server = self.server(name)
            if name == "platform":
                found.update(ALGORITHMIA_API=server.address, ALGORITHMIA_API_KEY=server.key)
            if program.hosted and program.hosted not in self._wrappers:
                self._wrappers[program.hosted] = hosting.publish(
                    self.bench.tree, self._home, CASES / program.hosted, "--release", "1.0.0"
                )
            found[name.upper()] = server.place if name == "mlserver" else server.address
            found["HOST"] = server.place
        if program.wrapper:
            found["WRAPPER"] = self._wrapper(program.wrapper)
            found["PYTHONPATH"] = str(self.bench.tree.root)
        return found

    def servers(self, program: Program) -> list[int]:
        """Processes whose use counts with the program's."""
        return [self.server(name).pid for name in program.needs]

    def idle(self, program: Program) -> float:
        """Megabytes that a program's servers have now."""
        return round(sum(measure.memory(pid) for pid in self.servers(program)), 1)

    def server(self, name: str) -> Server:
        """A server that runs until the end.

        Raises:
            Failed: it can't be started; the same again for everybody who asks.
        """
        if name not in self._servers:
            start: Callable[[], Server] = getattr(self, f"_start_{name}")
            try:
                self._servers[name] = start()
            except Failed as error:
                self._servers[name] = error
        found = self._servers[name]
        if isinstance(found, Failed):
            raise found
        return found

    @contextmanager
    def platform(self, name: str, *words: str) -> Iterator[tuple[Path, Server]]:
        """A platform of one's own, and its home; in a smoke the one that there is."""
        if self.bench.smoke:
            yield self._home, self.server("platform")
            return
        home = self.bench.work / name
        with hosting.platform(self.bench.tree, home, *words) as server:
            yield home, server

    def target(self, home: Path) -> None:
        """Publishes the target, nlp/SentimentAnalysis/1.0.5."""
        if home not in self._targets:
            self._targets.add(home)
            hosting.publish(self.bench.tree, home, TARGET, "--release", "1.0.5")

    def _python(self, program: Program) -> Path:
        if program.peer == OURS:
            return self.bench.tree.python
        if self.bench.smoke:
            return Path(sys.executable)
        return peers.python(program.peer)

    def _wrapper(self, name: str) -> str:
        """The reference of a wrapper, which is generated and published on first use."""
        if name not in self._wrappers:
            spec, folder = CASES / "wrapgen" / f"{name}.yaml", self.bench.work / "wrappers" / name
            if "STORE" in (text := spec.read_text("utf-8")):
                spec = self.bench.work / spec.name
                spec.write_text(text.replace("STORE", f"sqlite:///{spec.with_suffix('.db')}"), "utf-8")
            hosting.build(self.bench.tree, spec, folder)
            self._wrappers[name] = hosting.publish(self.bench.tree, self._home, folder)
        return self._wrappers[name]

    def _start_platform(self) -> Server:
        server = self._stack.enter_context(hosting.platform(self.bench.tree, self._home))
        self.target(self._home)
        return server

    def _start_fastapi(self) -> Server:
        return self._stack.enter_context(fastapi(self.bench))

    def _start_chat(self) -> Server:
        return self._stack.enter_context(chat(self.bench))

    def _start_mlserver(self) -> Server:
        return self._stack.enter_context(mlserver(self.bench))
