"""Where a command repeats a list so that it starts without what the list is about, the copy is true."""

from __future__ import annotations

import click

from wrapgen.build import serving
from wrapgen.build.engines import ENGINES
from wrapgen.cli import build, doctor
from wrapgen.doctor import discovery
from wrapgen.local import examination
from wrapgen.spec.preset import built_in
from wrapgen.spec.queue import CONSUMERS


def options(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option)]


def test_build_offers_every_engine_and_every_way_to_serve():
    """`build` has a flag for each engine, and `--serve` takes each kind of server, in the table's order."""
    assert {each.flag_value for each in options(build.command) if each.name == "engine"} == set(ENGINES)
    assert tuple(serving.KINDS) == build.SERVED


def test_doctor_offers_every_consumer_of_a_queue():
    """`doctor --consumer` takes who may read a queue."""
    chosen = next(each for each in options(doctor.command) if each.name == "consumer")
    assert isinstance(chosen.type, click.Choice)
    assert tuple(chosen.type.choices) == CONSUMERS


def test_protocols_that_the_examinations_know_are_presets():
    """Whatever asks a server by its protocol names one that a spec may name."""
    assert set(examination._ENTRY) <= set(built_in())
    assert discovery._FINDERS
