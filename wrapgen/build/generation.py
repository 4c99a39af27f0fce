"""Generation: a pure function from spec to wrapper. Touches no disk but to read our own templates."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping

from wrapgen.build import mapping, plan, serving
from wrapgen.build.context import build_context
from wrapgen.build.inline import copied_files
from wrapgen.build.literals import json_text
from wrapgen.build.plan import HOOKS
from wrapgen.build.render import render
from wrapgen.build.templates import read_templates
from wrapgen.errors import UsageError
from wrapgen.files import MANIFEST
from wrapgen.spec import Spec
from wrapgen.wrapper import Wrapper


def generate(
    spec: Spec, templates: Mapping[str, bytes] | None = None, serve: frozenset[str] = frozenset()
) -> Wrapper:
    """The wrapper that a spec describes: same spec, same bytes, on every machine.

    Args:
        spec: a valid spec.
        templates: by path, as `templates.overlaid` reads them; None takes ours.
        serve: what to serve it with, of `serving.KINDS`.

    Raises:
        BadTemplate: a template can't be rendered; never with ours.
        SpecError: an inline target has no module to call, or a file with a name that no wrapper can hold.
        UsageError: a user's template has such a name.
    """
    templates = read_templates() if templates is None else templates
    context = build_context(spec)
    files = dict(copied_files(spec))
    for path, template in plan.plan(spec, templates).items():
        content = templates[template]
        files[path] = render(template, content, context) if template.endswith(".jinja") else content
    if plan.endpoint(spec):
        files[mapping.PATH] = mapping.mapping_module(spec)
    files |= serving.served_files(spec, serve)
    files["spec.yaml"] = spec.source_text
    for name, content in spec.attached.items():
        place = posixpath.normpath(name)
        if place in {*files, MANIFEST}:
            hint = "rename the file, and write its new name in the spec"
            raise UsageError(f"{name}, which the spec names, is a file of every wrapper", hint=hint)
        files[place] = content
    files[MANIFEST] = manifest(files, spec.digest)
    try:
        return Wrapper(files)
    except ValueError as error:  # the name of a user's template
        raise UsageError(f"no wrapper can hold these files: {error}", hint="rename the file") from None


def manifest(files: Mapping[str, bytes], digest: str) -> bytes:
    """What was generated, by the digest of each file: a later build tells from it what was edited by hand."""
    listed = {path: hashlib.sha256(files[path]).hexdigest() for path in sorted(files) if path != HOOKS}
    return f"{json_text({'generator': 'wrapgen', 'spec': digest, 'files': listed})}\n".encode("ascii")
