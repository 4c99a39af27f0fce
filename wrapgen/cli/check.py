"""`wrapgen check`: every mistake in a spec."""

from __future__ import annotations

import click

from wrapgen.cli.options import json_option
from wrapgen.cli.terminal import answer


@click.command("check")
@click.argument("spec", default="spec.yaml", type=click.Path())
@json_option()
def command(spec: str, as_json: bool) -> None:
    """List every mistake in a spec: file, line, column, what is wrong and what to write instead.

    SPEC is a file, or a folder with spec.yaml in it. Exit code 0 means that it can be built (there may be
    warnings), 3 that it can't.
    """
    from wrapgen.spec import check  # imported here: --help must not load the model

    checked, found = check(spec)
    if checked.source_files:  # the one thing that a build may still refuse
        from wrapgen.build import generate, left_out

        generate(checked)
        found = sorted([*found, *left_out(checked)], key=lambda problem: (problem.line, problem.column))
    facts = {"path": spec, "digest": checked.digest, "warnings": [vars(problem) for problem in found]}
    wrapper = checked.wrapper
    answer(
        facts,
        as_json,
        *(f"{spec}:{problem.as_warning()}" for problem in found),
        f"{spec}: valid; {wrapper.name} wraps {checked.target_reference}, mode {wrapper.mode}",
    )
