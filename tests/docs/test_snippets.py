"""What README.md and docs/ print and nobody runs is true too: YAML, JSON, extras, targets, pictures."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from printed import PAGES, ROOT, blocks, name

from wrapgen.spec import parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHORTEST = """
version: 1
target: {algorithm: nlp/SentimentAnalysis/1.0.5}
wrapper: {name: acme/SentimentBatch, mode: both}
datastore: {url: data://acme/sentiment}
"""
LANGUAGES = {"sh", "python", "yaml", "json", "text"}
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[(?P<said>[^\]]*)\]\((?P<picture>[^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_says_what_it_is(page: Path) -> None:
    """No block escapes the tests by having no language, or one that nobody looks at."""
    assert {block.language for block in blocks(page)} <= LANGUAGES


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_yaml_is_a_spec_or_a_part_of_one(page: Path) -> None:
    """Each YAML block is a whole spec that is accepted, or sections that the shortest spec accepts."""
    for block in blocks(page):
        if block.language == "yaml":
            printed = yaml.safe_load(block.body) or {}
            whole = block.body if "version" in printed else _with(printed)
            parse(whole.encode("utf-8"), "spec.yaml")


def _with(part: dict[str, dict[str, object]]) -> str:
    """The shortest spec with a part of one laid over it, section by section."""
    spec = yaml.safe_load(SHORTEST)
    for section, keys in part.items():
        spec[section] = {**spec.get(section, {}), **keys}
    return yaml.safe_dump(spec)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_json_is_json(page: Path) -> None:
    """Each JSON block is one value, or JSON Lines."""
    for block in blocks(page):
        if block.language == "json":
            try:
                json.loads(block.body)
            except ValueError:
                assert [json.loads(line) for line in block.body.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_is_installed_and_made_exists(page: Path) -> None:
    """`pip install 'wrapgen[EXTRA]'` names extras that there are, `make TARGET` targets that there are."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = page.read_text("utf-8")
    for listed in re.findall(r"wrapgen\[([\w,]+)\]", text):
        assert set(listed.split(",")) <= set(extras), listed
    for target in re.findall(r"(?:^|`)make ([a-z]+)(?=`|$|  )", text, re.MULTILINE):
        assert target in targets, target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere_as_plain_markdown_too(page: Path) -> None:
    """A link in a page names a file of the checkout, and a picture says what it shows."""
    for match in LINK.finditer(page.read_text("utf-8")):
        target = match["target"] or match["picture"]
        if not re.match(r"[a-z]+:|#", target):
            assert (page.parent / target.partition("#")[0]).is_file(), target
        assert match["picture"] is None or len(match["said"]) > 10, f"{target} has no text"


def test_the_picture_of_the_layers_is_true() -> None:
    """docs/images/architecture.svg shows the layers that import-linter holds, from top to bottom."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    svg = (ROOT / "docs" / "images" / "architecture.svg").read_text("utf-8")
    drawn: dict[str, set[str]] = {}
    for below, names in re.findall(r'class="name" x="\d+" y="(\d+)"[^>]*>([^<]+)<', svg):
        drawn.setdefault(below, set()).update(names.split(", "))
    assert list(drawn.values()) == [set(layer.replace("wrapgen.", "").split(" | ")) for layer in layers]


def test_the_tree_of_the_package_is_true() -> None:
    """docs/architecture.md names every folder and every module at the top of the package, and no other."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = text.partition("<!-- tree")[2].partition("<!-- /tree -->")[0]
    named = {name for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in row.split(", ")}
    package = ROOT / "wrapgen"
    folders = {f"{path.parent.relative_to(package)}/" for path in package.rglob("__init__.py")} - {
        "./",
        "platform/",
    }
    modules = {path.stem for path in package.glob("*.py")} - {"__init__", "__main__"}
    assert {name.strip("`") for name in named} == folders | modules


FOREIGN = {
    "--app-dir",
    "--from-literal",
    "--array",
    "--checkpoint",
    "--column",
    "--dependency",
    "--fail",
    "--follow",
    "--for",
    "--job",
    "--parsable",
    "--read-only",
    "--show-error",
    "--silent",
    "--tmpfs",
    "--wrap",
}
"""Flags of the emitted Spark job, of curl, uvicorn and Docker."""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_says_of_commands_is_in_their_help(page: Path) -> None:
    """Every command and flag that a page mentions is on the page made from the commands' own help."""
    text, helped = page.read_text("utf-8"), (ROOT / "docs" / "cli.md").read_text("utf-8")
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert flags <= FOREIGN | set(re.findall(r"--[a-z][a-z-]+", helped))
    commands = set(re.findall(r"^## wrapgen ([a-z]+)$", helped, re.MULTILINE))
    assert set(re.findall(r"`wrapgen ([a-z]+)", text)) <= commands
