"""Every value that a template gets, finished. Templates decide nothing and compute nothing.

Text
    header          one line: the generator and the spec's digest; no version, no date
    headline        what the wrapper does, wrapped to lines, then the header: the main module's docstring
    owner, name     of the wrapper; `name` is the main module's too
    reference       owner/name
    target          owner/name/version, or `inline:./folder`
    mode            batch, log or both
    digest          `sha256:...` of the spec
    store, stores   where records go, for a reader: the required datastore (or ""), all of them

Flags
    datastore       records are written
    bare_lists      a bare list is a batch (form 2)
    inline          the target's code is in the wrapper
    sub_batches     the target is sent lists
    copies          records go to further datastores too
    redacted        parts of records are blanked
    key_env         name of the variable with the key that writes, or ""
    list_input      the target's single input is a list

For the main module (see `program`)
    imports         its import lines, in order
    constants       of config.py: triples (comment line or "", NAME with its type, value for `| literal`)
    connected       statements that connect to the platform, if that is needed
    serving         statements that hand it to the platform's runner
    opened          the expression for the wrapper with target, files and datastore
    assembled       the expression for the wrapper with what the spec asks for

For the files around it
    forms, facts    what README.md says: pairs (form, answer), and sentences
    curl, python    programs that call the wrapper
    input_policy    what a record holds of the item itself, in words
    reading         Markdown: how records are read with nothing of ours
    requirements    lines of requirements.txt
    project         what algorithmia.conf holds
    cases           what TEST_CASES.json holds
    environment     the runtime that the spec names, or ""
    release         which number a release raises: major, minor or revision
    examples        the items of `publish.examples`
    request_bytes, response_bytes, timeout, parallel, attempts, item_timeout, batch_size     whole numbers

Text is `Ready` where it can only be a name of the platform, a URL already checked, or our own; all else must
pass a filter: `literal`, `json`, `prose` or `shell` (see `literals`).
"""

from __future__ import annotations

import textwrap
from typing import Any

from wrapgen import protocol
from wrapgen.build import plan, program, readme, requirements, snippets
from wrapgen.build.header import header_of
from wrapgen.build.literals import Ready, prose
from wrapgen.spec import Spec

_RUNS = {"expected_output": None, "type": "NO_EXCEPTION"}
"""Any result will do. The action reads `expected_output` of every case (algorithmia_ci/test_algo.py)."""


def build_context(spec: Spec) -> dict[str, Any]:
    """The values for the templates of a spec, by name; the module's docstring lists them."""
    wrapper, store = spec.wrapper, spec.datastore
    header = header_of(spec)
    return {
        "header": header,
        "headline": Ready(f"{headline(spec)}\n\n{header}"),
        "owner": Ready(wrapper.owner),
        "name": Ready(wrapper.algorithm_name),
        "reference": Ready(wrapper.name),
        "target": prose(spec.target_reference),
        "mode": Ready(wrapper.mode),
        "digest": Ready(spec.digest),
        "store": prose(store.store.where) if store else Ready(""),
        "stores": [prose(each.where) for each in (store.store, *store.copy_stores)] if store else [],
        "datastore": plan.records(spec),
        "bare_lists": plan.bare_lists(spec),
        "inline": plan.inline(spec),
        "sub_batches": plan.sub_batches(spec),
        "copies": plan.has_copies(spec),
        "redacted": plan.redacts(spec),
        "key_env": Ready((store and store.key_env) or ""),
        "list_input": spec.target.input == "list",
        "imports": [Ready(line) for line in program.imports(spec)],
        "constants": [
            (Ready(program.comment(name)), Ready(program.annotated(name, value)), value)
            for name, value in program.constants(spec)
        ],
        "connected": [Ready(line) for line in program.connected(spec)],
        "serving": [Ready(line) for line in program.serving(spec)],
        "opened": Ready(program.opened(spec)),
        "assembled": Ready(program.assembled(spec)),
        **_readme(spec),
        "requirements": [Ready(line) for line in requirements.lines(spec)],
        "project": {"username": wrapper.owner, "algoname": wrapper.algorithm_name, "langauge": "python3"},
        "cases": test_cases(spec),
        "environment": prose(wrapper.environment or ""),
        "release": Ready(spec.publish.version),
        "examples": list(spec.publish.examples),
        **_numbers(spec),
    }


def _readme(spec: Spec) -> dict[str, Any]:
    return {
        "forms": readme.forms(spec),
        "facts": readme.facts(spec),
        "curl": snippets.program(spec, "curl"),
        "python": snippets.program(spec, "python"),
        "input_policy": readme.input_policy(spec),
        "reading": readme.reading(spec),
    }


def _numbers(spec: Spec) -> dict[str, int]:
    return {
        "request_bytes": spec.limits.request_bytes,
        "response_bytes": spec.limits.response_bytes,
        "timeout": spec.limits.timeout,
        "parallel": spec.parallel,
        "attempts": spec.dispatch.attempts,
        "item_timeout": spec.dispatch.item_timeout,
        "batch_size": spec.target.batch_size,
    }


def headline(spec: Spec) -> str:
    """What the wrapper does, in one sentence, broken where a line would be too long."""
    does = {
        "batch": "for one item or for a list of them",
        "log": "and records every call",
        "both": "for one item or for a list of them, and records each",
    }[spec.wrapper.mode]
    sentence = f"{spec.wrapper.name} calls {prose(spec.target_reference)} {does}."
    return textwrap.fill(sentence, 100, break_long_words=False, break_on_hyphens=False)


def test_cases(spec: Spec) -> list[dict[str, Any]]:
    """What can be expected of a wrapper without knowing its target, then the spec's own examples.

    None has the type EXCEPTION, which can't pass in the CI action.
    """
    found: list[dict[str, Any]] = [{"case_name": "describes itself", "input": {"$batch": []}, **_RUNS}]
    if plan.bare_lists(spec):
        found.append(
            {"case_name": "an empty list", "input": [], "expected_output": [], "type": "EXACT_MATCH"},
        )
    for number, item in enumerate(spec.publish.examples, 1):
        # A trial goes the whole way and leaves no record.
        tried = item if spec.datastore is None else {"$batch": [protocol.to_wire(item)], "$trial": True}
        found.append({"case_name": f"example {number}", "input": tried, **_RUNS})
    return found
