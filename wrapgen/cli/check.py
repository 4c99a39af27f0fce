"""`wrapgen check`: every mistake in a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wrapgen.cli.options import json_option
from wrapgen.cli.terminal import answer

if TYPE_CHECKING:
    from wrapgen.spec import Spec


@click.command("check")
@click.argument("spec", default="spec.yaml", type=click.Path())
@click.option("--explain", is_flag=True, help="Print the spec with the preset of its endpoint filled in.")
@json_option()
def command(spec: str, explain: bool, as_json: bool) -> None:
    """List every mistake in a spec: file, line, column, what is wrong and what to write instead.

    SPEC is a file, or a folder with spec.yaml in it. Exit code 0 means that it can be built (there may be
    warnings), 3 that it can't.
    """
    from wrapgen.spec import check  # imported here: --help must not load the model

    checked, found = check(spec)
    if explain:
        _explain(checked, as_json)
        return
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


def _explain(spec: Spec, as_json: bool) -> None:
    """Prints the spec as it is understood, as YAML or JSON."""
    import yaml

    from wrapgen.spec.expand import explained
    from wrapgen.spec.target import Target

    whole = spec.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    if spec.target.endpoint:
        made = explained(whole["target"], spec.expanded)
        whole["target"] = {key: made[key] for key in Target.model_fields if key in made}
    answer(whole, as_json, yaml.safe_dump(whole, sort_keys=False, width=100, allow_unicode=True).rstrip())
