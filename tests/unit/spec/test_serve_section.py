"""The section `serve` of a spec: what it allows, and that it changes neither the wrapper nor its digest."""

from __future__ import annotations

import pytest

from wrapgen.build import generate
from wrapgen.errors import SpecError
from wrapgen.spec import parse

BASE = """version: 1
target: {algorithm: nlp/Sentiment/1.0.0}
wrapper: {name: acme/Batch, mode: batch}
"""


def _read(serve):
    return parse((BASE + serve).encode())


def test_a_deployment_s_numbers_change_no_wrapper():
    """With and without the section the digest and the generated code are the same: a run can go on."""
    plain, sized = _read(""), _read("serve: {max_replicas: 9, cpus: 0.5, memory_mib: 2048}\n")
    assert plain.digest == sized.digest and sized.serve.cpus == 0.5
    changed = {path for path, text in generate(sized).items() if generate(plain)[path] != text}
    assert changed == {"spec.yaml", ".wrapgen.json"}


@pytest.mark.parametrize(("text", "calls"), [("", 4), ("serve: {calls: 7}\n", 7)])
def test_calls_at_once_have_a_default(text, calls):
    """Four calls at once, or as many as the spec says."""
    assert _read(text).calls_at_once == calls


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        ("{min_replicas: 5}", "min_replicas is 5, more than max_replicas, 4"),
        ("{calls: 0}", "calls is 0, and the least is 1"),
        ("{memory_mib: many}", "memory_mib must be a whole number"),
        ("{image: 'Bad Image'}", "is not a container image"),
        ("{replicas: 3}", "replicas"),
    ],
)
def test_what_can_t_be_deployed_is_refused(serve, said):
    """Each mistake is an error with its place."""
    with pytest.raises(SpecError, match=said):
        _read(f"serve: {serve}\n")
