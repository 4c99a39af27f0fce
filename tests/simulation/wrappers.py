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

SPECS = {
    "both": "datastore: {url: data://acme/records}\ndispatch: {parallel: 3}",
    "serial": "datastore: {url: data://acme/records}\ndispatch: {parallel: 1}",
    "lists": "datastore: {url: data://acme/records}\ndispatch: {parallel: 2}",
    "batch": "dispatch: {parallel: 3}",
}
SPEC = """version: 1
target: {{algorithm: nlp/S/1.0.0{size}}}
wrapper: {{name: acme/W, mode: {mode}}}
limits: {{timeout: 60}}
{rest}
"""
WORLDLY = {"threading": "threading", "time": "time", "random": "random"}
"""Names in the modules of a runtime, and what of the world takes their place."""


@cache
def load(kind: str):
    """The main module of a wrapper of one kind, as it is generated."""
    folder = Path(tempfile.mkdtemp(prefix="wrapgen-simulated-"))
    size = ", batch_size: 3" if kind == "lists" else ""
    mode = "batch" if kind == "batch" else "both"
    spec = SPEC.format(size=size, mode=mode, rest=SPECS[kind])
    package = f"simulated_{kind}"
    generate(parse(spec.encode())).write(folder / package)
    (folder / package / "__init__.py").touch()
    sys.path.insert(0, str(folder))
    try:
        module = importlib.import_module(f"{package}.src.W")
    finally:
        sys.path.remove(str(folder))
    module.config.LOG = "off"
    return module


def runtime_of(module):
    """The modules of a wrapper's runtime by name."""
    prefix = module.__name__.rpartition(".")[0] + ".runtime."
    return {name.removeprefix(prefix): part for name, part in sys.modules.items() if name.startswith(prefix)}


def named(module, name: str):
    """What has a name in one of the modules of a wrapper's runtime; None where it has no such part."""
    found = (vars(part)[name] for part in runtime_of(module).values() if name in vars(part))
    return next(found, None)


def assembled(module, world, transport):
    """A wrapper in the world, as it loads itself; `transport(request)` answers its requests."""
    sends = SimpleNamespace(
        send=lambda method, path, body=b"", *_: transport(SimpleNamespace(path=path, body=body))
    )
    for part in runtime_of(module).values():
        stand_ins = {name: getattr(world, ours) for name, ours in WORLDLY.items()}
        for name, stand_in in {**stand_ins, "Transport": lambda *_: sends}.items():
            if hasattr(part, name):
                setattr(part, name, stand_in)
    runtime_of(module)["platform"].connect = lambda: SimpleNamespace(_replace=lambda **_: None)
    wrapper = module.load()
    deadline = named(module, "Deadline")
    wrapper.deadline = lambda seconds: deadline(seconds, world.clock)
    return wrapper
