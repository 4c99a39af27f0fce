"""Generated wrappers, loaded so that their clock, chance, threads and network are the world's."""

from __future__ import annotations

import importlib
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace

from wrapgen.build import generate
from wrapgen.spec.load import parse

ALGORITHM, DATA = "algorithm: nlp/S/1.0.0", "datastore: {url: data://acme/records}"
ENDPOINT = "endpoint: http://models.test/score, protocol: "
SPECS = {
    "both": (ALGORITHM, DATA, 3),
    "serial": (ALGORITHM, DATA, 1),
    "lists": (f"{ALGORITHM}, batch_size: 3", DATA, 2),
    "batch": (ALGORITHM, "", 3),
    "sql": (ALGORITHM, "datastore: {url: sqlite:////replaced}", 3),
    "endpoint": (f"{ENDPOINT}json", DATA, 3),
    "endpoint lists": (f"{ENDPOINT}kserve-v1, batch_size: 3", DATA, 2),
}
"""The target, the datastore and the parallel calls of each kind of wrapper."""

SPEC = """version: 1
target: {{{}}}
wrapper: {{name: acme/W, mode: {}}}
limits: {{timeout: 60}}
{}
dispatch: {{parallel: {}}}
"""
WORLDLY = ("threading", "time", "random")
"""Names in the modules of a runtime whose places the world's take."""


@cache
def load(kind: str):
    """The main module of a wrapper of one kind, as it is generated."""
    place = Path(tempfile.mkdtemp(prefix="wrapgen-simulated-"))
    package = f"simulated_{kind.replace(' ', '_')}"
    target, datastore, parallel = SPECS[kind]
    spec = SPEC.format(target, "both" if datastore else "batch", datastore, parallel)
    generate(parse(spec.encode())).write(place / package)
    (place / package / "__init__.py").touch()
    sys.path.insert(0, str(place))
    try:
        module = importlib.import_module(f"{package}.src.W")
    finally:
        sys.path.remove(str(place))
    module.config.LOG = "off"
    facts = sys.modules[f"{package}.src.runtime.wrapper"]
    facts._digest = cache(facts._digest)
    return module


@cache
def runtime_of(module):
    """The modules of a wrapper's runtime by name."""
    prefix = module.__name__.rpartition(".")[0] + ".runtime."
    return {name.removeprefix(prefix): part for name, part in sys.modules.items() if name.startswith(prefix)}


@cache
def named(module, name: str):
    """What has a name in one of the modules of a wrapper's runtime; None where it has no such part."""
    found = (vars(part)[name] for part in runtime_of(module).values() if name in vars(part))
    return next(found, None)


def assembled(module, world, system):
    """A wrapper in the world, as it loads itself.

    Args:
        module: its main module.
        world: gives it clock, chance and threads.
        system: answers its requests (`transport`) and takes its records (`store`).
    """
    send = SimpleNamespace(
        send=lambda method, path, body=b"", *_: system.transport(SimpleNamespace(path=path, body=body))
    )
    stand_ins = {"Transport": lambda *_: send, **{name: getattr(world, name) for name in WORLDLY}}
    for part in runtime_of(module).values():
        for name, stand_in in stand_ins.items():
            if hasattr(part, name):
                setattr(part, name, stand_in)
    runtime_of(module)["platform"].connect = lambda: SimpleNamespace(_replace=lambda **_: None)
    if database := runtime_of(module).get("datastore_sql"):
        module.config.DATASTORE["url"] = system.database
        write = _write_of(database)
        database.Datastore.write = lambda *given: system.store(lambda: write(*given))
    wrapper = module.load()
    deadline = named(module, "Deadline")
    wrapper.deadline = lambda seconds: deadline(seconds, world.time.monotonic)
    return wrapper


@cache
def _write_of(database):
    """How a wrapper really writes records into its database."""
    return database.Datastore.write
