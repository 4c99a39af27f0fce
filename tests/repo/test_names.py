"""Names and words: one class for one name, and plain technical English (docs/glossary.md)."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "wrapgen").rglob("*.py"))
READ = {".py", ".md", ".jinja", ".html", ".js", ".css", ".yaml"}
PLACES = ("wrapgen", "templates", "docs", "examples", "README.md")

WORDS = {
    r"\bloan\b|\blenders?\b": "lease, acquire, release",
    r"\bclass Wall\b|\bwalled\b": "sandbox, sandboxed",
    r"\bwatchman\b": "process reaper",
    r"\bclass Family\b|\bfamily of\b": "process tree",
    r"\b_suffer\b|\b_spoil\b": "inject_fault, corrupt_response",
    r"\bclass Quiet\b": "SharedBackoff",
    r"\bclass Standing\b|\b_came_back\b": "RunState, apply_reply",
    r"\bUNFIT\b": "CORRUPT_ENTRY_ERRORS",
    r"\blanes?\b": "call threads",
    r"\bspare (import|\.)": "name what it ensures, such as ensure_output_writable",
    r"\bclass Survey\b|\bdef survey\b": "scan_input; the ledger's field keeps its name",
    r"\b_feel\b|\b_felt\b": "adapt_limits, timing_fields",
    r"\bcarried\b": "vendored modules",
    r"\bdoors?\b": "say what it does, such as root_redirect",
    r"\bholders\b": "resolve and authorize the account in the URL",
    r"\bkind_and_words\b": "error_type_and_message",
    r"\bmend(s|ed|ing)?\b": "fix, repair",
    r"\bTOGETHER\b|\bLINGER\b|\bWAITING\b": "COLLECT_MAX, COLLECT_WAIT_SECONDS, MAX_BACKLOG_PER_THREAD",
    r"\b_halves\b|\b_insist\b": "_requeued, write_with_retry",
    r"\bwhoever\b": "the caller, the reader: say who",
    r"\bpieces?\b": "part",
    r"\bnobody could have fared better\b|\bmakes no spec\b|\bis not you\b": "a sentence that is read once",
    r"\bworthless\b": "invalid, revoked",
    r"\bamiss\b": "wrong",
    r"\bfor ever\b": "forever, or never changes",
}
"""What is not written, as a regular expression without case, and what to say instead."""


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace")


def test_no_two_classes_have_one_name():
    """A class name means one class in the whole package, so that a search for it ends there."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not {name: at for name, at in places.items() if len(at) > 1}


def test_no_module_has_a_name_that_needs_a_guide():
    """Files and folders are named by nouns of the field, never by a word that is replaced elsewhere."""
    names = {part for path in MODULES for part in (*path.relative_to(ROOT).parts[:-1], path.stem)}
    assert not {name: word for name in names for word in WORDS if re.search(word, name)}


def test_the_glossary_is_short_and_says_one_word_for_one_thing():
    """docs/glossary.md defines each word once, and leaves out what is not to be written."""
    rows = re.findall(r"^\| (?!word|---)([^|]+) \|", _text(ROOT / "docs" / "glossary.md"), re.MULTILINE)
    words = [word.strip() for row in rows for word in row.split(",")]
    assert len(rows) <= 25 and len(words) == len(set(words))
    assert not [word for word in words for banned in WORDS if re.search(banned, word)]
    assert "(glossary.md)" in _text(ROOT / "docs" / "architecture.md")


@pytest.mark.parametrize("word", WORDS)
def test_no_word_of_ours_stands_where_a_term_of_the_field_does(word, tracked):
    """Code, messages, pages and documentation use the terms that a reader would search for."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in tracked
        if path.suffix in READ and str(path.relative_to(ROOT)).startswith(PLACES)
        for number, line in enumerate(_text(path).splitlines(), start=1)
        if re.search(word, line, re.IGNORECASE if word == word.lower() else 0)
    ]
    assert not found, f"say {WORDS[word]}:\n" + "\n".join(found)
