"""What `wrapgen init` writes: a commented spec, or the folder of an algorithm of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wrapgen.build.literals import Ready, prose
from wrapgen.build.render import render
from wrapgen.build.templates import read_templates
from wrapgen.errors import UsageError
from wrapgen.spec.names import Refused, check_wrapper_name
from wrapgen.wrapper import Wrapper


def starting_algorithm(reference: str) -> Wrapper:
    """The files of a new algorithm, which publish as they are: a greeting, to be replaced by a model.

    Args:
        reference: `owner/Name`.

    Raises:
        UsageError: no algorithm can be called that.
    """
    try:
        check_wrapper_name(reference)
    except Refused as error:
        raise UsageError(error.message, hint=error.hint) from error
    owner, _, name = reference.partition("/")
    context = {"owner": owner, "name": name, "title": prose(name)}
    files = {}
    for path, content in read_templates("hosted").items():
        made = render(f"hosted/{path}", content, context) if path.endswith(".jinja") else content
        files[path.removesuffix(".jinja").replace("__Name__", name)] = made
    return Wrapper(files)


def starting_spec(
    *,
    target: str | Mapping[str, Any],
    wrapper: str,
    mode: str,
    datastore: str | None,
    examples: list[Any] | None = None,
    learned: list[str] | None = None,
) -> str:
    """A spec with its defaults as comments. Checks nothing: `wrapgen.spec.parse` does.

    Args:
        target: `owner/name/version`, a folder beside the spec that starts with `./`, or an endpoint's keys.
        wrapper: `owner/Name`.
        mode: `batch`, `log` or `both`.
        datastore: a URL; None in mode `batch`.
        examples: items to try before a release.
        learned: what is known of the target, a line each, for a comment.
    """
    if isinstance(target, str):
        target = {"source" if target.startswith(".") else "algorithm": target}
    context = {
        "target": [(Ready(key), value) for key, value in target.items()],
        "endpoint": "endpoint" in target,
        "wrapper": wrapper,
        "mode": prose(mode),
        "datastore": datastore is not None,
        "store": datastore or "data://owner/collection",
        "store_comment": Ready("" if datastore else "# "),
        "examples": examples or [],
        "learned": [prose(line) for line in learned or []],
    }
    template = read_templates("spec")["spec.yaml.jinja"]
    return render("spec/spec.yaml.jinja", template, context).decode("utf-8")
