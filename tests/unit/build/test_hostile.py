"""No string of a spec becomes code: hostile text wherever a spec takes text, and what comes of it."""

from __future__ import annotations

import ast
import json
import re
import shlex
from functools import cache

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wrapgen import protocol
from wrapgen.build import generate
from wrapgen.spec import parse
from wrapgen.spec.names import Refused, check_source, check_variable, check_wrapper_name
from wrapgen.spec.store import parse_store

BASE = {
    "version": 1,
    "target": {"algorithm": "nlp/SentimentAnalysis/1.0.5"},
    "wrapper": {"name": "acme/SentimentBatch", "mode": "both"},
    "datastore": {"url": "data://acme/sentiment"},
}


def spec_of(**sections):
    """A valid spec with these sections laid over the shortest."""
    return parse(_as_yaml({**BASE, **sections}).encode("ascii"))


def _as_yaml(document):
    """JSON as YAML reads it: every text in quotes, characters beyond the first plane as one escape."""

    def escape(found):
        if not found[1]:
            return found[0]
        pair = bytes.fromhex(found[1] + found[2]).decode("utf-16-be")
        return f"\\U{ord(pair):08x}"

    text = json.dumps(document).replace("\x7f", "\\x7f")
    return re.sub(r"\\(?:u(d[89ab]..)\\u(d[c-f]..)|.)", escape, text)


hostile = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff\ufffe\uffff"), min_size=1, max_size=40
) | st.sampled_from(
    [
        '"""',
        "'''",
        '"; import os; "',
        "\\",
        "{{ 7*7 }}",
        "{% raw %}",
        "{#",
        "%(x)s",
        "{0.__class__}",
        "\n\r\t",
        "\0",
        "#}",
        "${x}",
        "`x`",
    ]
)
keys = hostile.filter(lambda text: not set(text) & set("'\\]"))


@settings(max_examples=300, deadline=None)
@given(
    item=st.recursive(
        hostile | st.integers(-10, 10) | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile, inner, max_size=3),
        max_leaves=8,
    ),
    key=keys,
    digits=st.integers(0, 99),
)
def test_no_string_of_a_spec_becomes_code(item, key, digits):
    """Any text in examples and paths: the output parses, and its literals are the values of the spec."""
    path = f"$.a['{key}'][{digits}][*]"
    spec = spec_of(
        datastore={"url": "data://acme/sentiment", "redact": [path]},
        record={"id": f"$['{key}']"},
        publish={"examples": [item]},
    )
    wrapper = generate(spec)
    constants = _constants(wrapper["src/config.py"])
    assert constants["RECORDS"]["redact"] == [["a", key, digits, None]]
    assert constants["RECORDS"]["id"] == [key]
    tried = {"$batch": [protocol.to_wire(item)], "$trial": True}
    assert json.loads(wrapper["TEST_CASES.json"])[-1]["input"] == tried
    harmless = _harmless()
    assert _shape(wrapper["src/config.py"]) == _shape(harmless["src/config.py"])
    assert wrapper["src/SentimentBatch.py"].isascii()
    page, program, shell = _readme(wrapper)
    assert page.isascii() and page.count("\n") == _readme(harmless)[0].count("\n")
    assert _shape_of(program, {"items": [item]}) == _shape_of(_readme(harmless)[1], {"items": ["c"]})
    assert json.loads(shlex.split(shell, comments=True)[-1])["$batch"] == [item]


def _readme(wrapper):
    """A README without the Python program that calls the wrapper, that program, and the shell's."""
    page = wrapper["README.md"].decode()
    before, _, rest = page.partition("```python\n")
    program, _, after = rest.partition("\n```\n")
    return before + after, program, before.partition("```sh\n")[2].partition("\n```\n")[0]


def _shape_of(program, values):
    """A program without the values of its constants, which are these."""
    tree = ast.parse(program)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and _name(node) in values:
            assert ast.literal_eval(node.value) == values[_name(node)]
            node.value = ast.Constant(None)
    return ast.dump(tree)


@cache
def _harmless():
    """The wrapper of the same spec with plain words in it."""
    return generate(
        spec_of(
            datastore={"url": "data://acme/sentiment", "redact": ["$.a['b'][1][*]"]},
            record={"id": "$['b']"},
            publish={"examples": ["c"]},
        )
    )


def _name(node):
    """What is assigned to, with or without an annotation."""
    return getattr(node.target if isinstance(node, ast.AnnAssign) else node.targets[0], "id", "")


def _constants(source):
    return {
        _name(node): ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and _name(node).isupper()
    }


def _shape(source):
    """The program without its strings and numbers."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, int)):
            node.value = "x"
    return ast.dump(tree)


def _accepted(check):
    """Whether a check of the spec lets a text pass."""

    def passes(text):
        try:
            check(text)
        except Refused:
            return False
        return True

    return passes


tails = st.text(
    st.characters(codec="ascii", categories=["L", "N", "P", "S"], exclude_characters="\"'`<>\\{}|^"),
    min_size=1,
    max_size=30,
) | st.sampled_from(
    ["%(x)s", "$(id)", "*/", "-->", "[x](y)", "%7B%7B7*7%7D%7D", "!r", "%22%22%22", "%0Aimport%20os", "&amp;"]
)
words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True)
heads = [
    "s3://",
    "s3+archive://",
    "azureblob+a.b-c://x/",
    "gs://",
    "postgresql://db.example/r?x=",
    "mysql://user@db.example:3306/",
    "sqlite:////tmp/",
]
stores = (
    st.builds("{}{}".format, st.sampled_from(heads), tails)
    | st.builds("data://acme/{}".format, words)
    | st.builds("sqs://eu-west-1/1/{}".format, words)
).filter(_accepted(parse_store))
variables = (
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,40}", fullmatch=True)
    | st.sampled_from(["__import__", "os", "None", "exec", "DATASTORE"])
).filter(_accepted(check_variable))
any_name = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,29}", fullmatch=True) | st.sampled_from(
    ["eval", "exec", "apply", "load", "RECORDS", "A__class__"]
)
own_names = any_name.filter(_accepted(lambda name: check_wrapper_name(f"acme/{name}")))
environments = st.from_regex(r"python3([6-9]|1[0-3])?([-_.][A-Za-z0-9._-]{1,20})?", fullmatch=True)
folders = st.builds(
    "./{}".format,
    st.text("ab0_./ -\u00e9\u0416\u8868", min_size=1, max_size=30)
    | st.sampled_from(["__import__", "a -- b"]),
).filter(_accepted(check_source))


@settings(max_examples=300, deadline=None)
@given(
    urls=st.lists(stores, min_size=1, max_size=3, unique_by=lambda url: parse_store(url).url),
    url_env=st.none() | variables,
    key_env=variables,
    file=st.builds("data://acme/{}/{}".format, words, words),
    name=own_names,
    target=any_name,
    environment=environments,
)
def test_text_that_passes_a_check_becomes_nothing_but_literals(
    urls, url_env, key_env, file, name, target, environment
):
    """URLs, variables, credentials, names and environments change nothing of the code but its literals."""
    first, *copies = urls
    copies.append("data://acme/for_the_key")
    assume("data://acme/for_the_key" not in urls)
    store = {"url": first} if url_env is None else {"url_env": url_env}
    spec = spec_of(
        target={"algorithm": f"nlp/{target}/1.0.5"},
        wrapper={"name": f"acme/{name}", "mode": "both", "environment": environment},
        datastore={**store, "copies": copies, "key_env": key_env, "credentials": file},
    )
    wrapper = generate(spec)
    constants = _constants(wrapper["src/config.py"])
    opened = [constants["DATASTORE"], *constants["COPIES"]]
    wanted = [spec.datastore.store, *spec.datastore.copy_stores]
    assert [each["url"] for each in opened] == [each.url for each in wanted]
    assert constants["DATASTORE"].get("url_env") == url_env
    keys = {each["key_env"] for each, store in zip(opened, wanted, strict=True) if store.kind != "sql"}
    assert keys == {key_env}
    assert (constants["CREDENTIALS"], constants["WRAPPER"]) == (file, f"acme/{name}")
    assert constants["TARGET"]["reference"] == f"nlp/{target}/1.0.5"
    harmless = _of_kinds(url_env is None, *(each.kind for each in wanted))
    assert _programs(wrapper, name) == _programs(harmless, "SentimentBatch")
    assert wrapper["README.md"].isascii()


@cache
def _of_kinds(by_url, *kinds):
    """The wrapper of a spec with plain words in it, and datastores of these kinds."""
    plain = {"data": "data://acme/a{}", "sql": "sqlite:////a{}", "sqs": "sqs://eu-west-1/1/a{}"}
    first, *copies = (plain[kind].format(number) for number, kind in enumerate(kinds))
    more = {"copies": copies, "key_env": "KEY", "credentials": "data://acme/a/b"}
    return generate(spec_of(datastore={"url" if by_url else "url_env": first if by_url else "URL", **more}))


def _programs(wrapper, name):
    """Every Python file of a wrapper: the shape of the two made from the spec, the others as they are."""
    files = {path: text for path, text in wrapper.items() if path.endswith(".py")}
    return _shape(files.pop(f"src/{name}.py")), _shape(files.pop("src/config.py")), files


@settings(max_examples=100, deadline=None)
@given(folder=folders)
def test_an_inline_folders_name_becomes_nothing_but_a_literal(folder):
    """Whatever folder a check lets pass, only literals of the wrapper tell it from another."""
    constants = _constants(_inline(folder)["src/config.py"])
    assert constants["TARGET"]["reference"] == f"inline:{folder}"
    assert _programs(_inline(folder), "SentimentBatch") == _programs(_inline("./plain"), "SentimentBatch")


@cache
def _inline(folder):
    spec = spec_of(target={"source": folder})
    spec._source_files = {"src/A.py": b"def apply(input):\n    return input\n"}
    return generate(spec)
