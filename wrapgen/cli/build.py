"""`wrapgen build`: generate a wrapper, or say how a folder differs from what would be generated."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli.options import json_option
from wrapgen.cli.terminal import answer, data, err
from wrapgen.errors import DriftError, UsageError

if TYPE_CHECKING:
    from wrapgen.build import Placement
    from wrapgen.spec import Spec

SERVED = ("container", "kserve", "ray")
"""What `--serve` may be given."""


class _BuildCommand(click.Command):
    """Takes `--serve` without a value too: an optional value of click's would be a SPEC that follows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click, after a missing value is written out."""
        given = [
            "--serve=container" if word == "--serve" and following not in SERVED else word
            for word, following in zip(args, [*args, ""][1:], strict=True)
        ]
        return super().parse_args(ctx, given)


@click.command("build", cls=_BuildCommand)
@click.argument("spec", default="spec.yaml", type=click.Path())
@click.option("--output", type=click.Path(), help="The wrapper's own folder; default generated/NAME.")
@click.option("--check", is_flag=True, help="Write nothing; exit code 4 if a file differs.")
@click.option("--diff", is_flag=True, help="Write nothing; print how the files differ. Goes with --check.")
@click.option("--force", is_flag=True, help="Write over files that were edited by hand.")
@click.option("--templates", type=click.Path(), help="A folder of templates laid over ours, file by file.")
@click.option("--spark", "engine", flag_value="spark", help="Instead: a Spark job that calls the wrapper.")
@click.option("--ray", "engine", flag_value="ray", help="Instead: a job of Ray Data that scores rows.")
@click.option("--lambda", "engine", flag_value="lambda", help="Instead: an AWS Lambda function on a queue.")
@click.option("--sqs", "engine", flag_value="sqs", help="Instead: the queue for `wrapgen worker sqs`.")
@click.option(
    "--serve",
    type=click.Choice(SERVED),
    metavar="[KIND]",
    help="Also: what any ASGI server runs, and a Dockerfile; ray: as an application of Ray Serve too; "
    "kserve: with manifests for Kubernetes.",
)
@json_option()
def command(
    spec: str,
    output: str | None,
    check: bool,
    diff: bool,
    force: bool,
    templates: str | None,
    engine: str | None,
    serve: str | None,
    as_json: bool,
) -> None:
    """Generate the wrapper that SPEC describes.

    Files that were edited by hand are never written over without --force; src/hooks.py is yours and is never
    touched once it is there. What --serve added to a folder stays there in later builds.
    """
    # The process lives for a quarter of a second, of which garbage collection would take a tenth.
    gc.disable()
    click.get_current_context().call_on_close(gc.enable)
    from wrapgen.build import Placement, generate, left_out, overlaid  # not at the top: --help stays quick
    from wrapgen.build.serving import kinds_of
    from wrapgen.spec import load

    loaded = load(spec)
    if engine is None:
        folder = Path(output or default_folder(loaded, spec))
        kinds = kinds_of(folder) | ({serve} if serve else set())
        wrapper = generate(loaded, overlaid(templates) if templates else None, kinds)
        for problem in left_out(loaded):
            err(f"{spec}:{problem.line}:{problem.column}: warning: {problem.message}")
    else:
        if serve:
            raise UsageError(f"--serve is of the wrapper itself, --{engine} builds something else")
        from wrapgen.build.engines import generate_engine

        wrapper = generate_engine(loaded, engine)
        folder = Path("generated") / f"{loaded.wrapper.algorithm_name}-{engine}"
    placement = Placement.of(wrapper, output or folder)
    if placement.older:
        err(placement.older)
    shown = placement.unified() if diff else None
    if shown is not None and not as_json:
        data([shown.encode("utf-8", "replace")])
    if check:
        _check(placement, as_json, shown)
    elif diff:
        if as_json:
            _report(placement, as_json, "different" if placement.changes else "up to date", shown)
    else:
        _write(placement, force, as_json)


def default_folder(spec: Spec, path: str) -> Path:
    """The default folder of a wrapper: that of its spec if it lies in a wrapper, else generated/NAME."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    if (folder / ".wrapgen.json").is_file():
        return folder
    return Path("generated") / spec.wrapper.algorithm_name


def _check(placement: Placement, as_json: bool, shown: str | None) -> None:
    if placement.changes:
        listed = "\n".join(f"  {change.kind}: {change.path}" for change in placement.changes)
        raise DriftError(
            f"{placement.folder} is not what the spec generates:\n{listed}",
            hint="wrapgen build writes it, wrapgen build --diff shows the differences",
            diff=shown,
        )
    _report(placement, as_json, "up to date", shown)


def _write(placement: Placement, force: bool, as_json: bool) -> None:
    if placement.edited and not force and not as_json:
        shown = (change for change in placement.changes if change.path in placement.edited)
        texts = (change.unified(str(placement.folder), "generated") for change in shown)
        data(text.encode("utf-8", "replace") for text in texts)
    placement.write(force=force)
    _report(placement, as_json, "written" if placement.changes else "up to date")


def _report(placement: Placement, as_json: bool, state: str, shown: str | None = None) -> None:
    facts = {
        "folder": str(placement.folder),
        "state": state,
        "digest": placement.wrapper.digest,
        "changes": {change.path: change.kind for change in placement.changes},
        **({} if shown is None else {"diff": shown}),
    }
    answer(facts, as_json, f"{placement.folder}: {state}, {len(placement.wrapper)} files")
