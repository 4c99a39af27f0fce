"""Mutation fuzzing: whatever is done to a spec, it is valid or refused with places; nothing else happens."""

from __future__ import annotations

import random
import time
from pathlib import Path

from wrapgen.errors import SpecError
from wrapgen.spec import parse

ROUNDS = 10_000
SEED = 20_211
GOLDEN = Path(__file__).resolve().parents[2] / "golden"
GOOD = [path.read_bytes() for path in sorted(GOLDEN.glob("*/spec.yaml"))]
BAD = [text for path in sorted((GOLDEN / "bad").glob("*.yaml")) if len(text := path.read_bytes()) < 2_000]
SNIPPETS = [
    *rb"- : ? | > & * ! % @ ` # [ ] { } , \' \" \\ ~ << --- ... {{ }} {% %}".split(b" "),
    *(b"\t", b"\n", b"\r\n", b"\0", b"\x1b", b"\xff", b"\xc3\x28", b": : :", b"!!binary x", b"<<: *a"),
    *(text.encode() for text in ("é", "\u2028", "\u202e", "😀", "\ufeff", "\ufffe")),
    *b"null true no 010 1:30 2020-01-01 .nan 1e999 0x -0 99999999999999999999999999 &a *a".split(b" "),
    *b"version target wrapper datastore algorithm: name: mode: url: data:// ../ $.a[*] [[[[[[ }}}".split(
        b" "
    ),
]


def mutated(chance: random.Random) -> bytes:
    """A spec, good or bad, after one to six mutations of its bytes, lines and words."""
    text = chance.choice(chance.choice([GOOD, BAD]))
    for _ in range(chance.randint(1, 6)):
        text = chance.choice(MUTATIONS)(text, chance)
    return text


def _cut(text: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(text) + 1)
    return text[:start] + text[start + chance.randint(1, 20) :]


def _insert(text: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(text) + 1)
    return text[:start] + chance.choice(SNIPPETS) + text[start:]


def _flip(text: bytes, chance: random.Random) -> bytes:
    if not text:
        return text
    place = chance.randrange(len(text))
    return text[:place] + bytes([chance.randrange(256)]) + text[place + 1 :]


def _lines(text: bytes, chance: random.Random) -> bytes:
    lines = text.splitlines(keepends=True) or [b""]
    line = chance.choice(lines)
    lines.insert(chance.randrange(len(lines) + 1), chance.choice([line, b" " * chance.randint(1, 4) + line]))
    if chance.random() < 0.5:
        lines.pop(chance.randrange(len(lines)))
    return b"".join(lines)


def _repeat(text: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(text) + 1)
    return (
        text[:start] + text[start : start + chance.randint(1, 30)] * chance.choice([2, 3, 50]) + text[start:]
    )


def _splice(text: bytes, chance: random.Random) -> bytes:
    other = chance.choice(chance.choice([GOOD, BAD]))
    return text[: chance.randrange(len(text) + 1)] + other[chance.randrange(len(other) + 1) :]


MUTATIONS = [_cut, _insert, _insert, _flip, _lines, _repeat, _splice]


def test_a_mutated_spec_is_valid_or_refused():
    """Ten thousand mutations end in a spec or a SpecError with places inside the file, quickly."""
    chance = random.Random(SEED)
    valid = 0
    started = time.perf_counter()
    for number in range(ROUNDS):
        text = mutated(chance)
        try:
            spec = parse(text)
        except SpecError as error:
            lines = (
                text.count(b"\n") + text.count(b"\r") + text.count(b"\xc2\x85") + text.count(b"\xe2\x80") + 2
            )
            assert error.problems, number
            assert all(1 <= p.line <= lines and p.column >= 1 and p.message for p in error.problems), (
                number,
                text,
            )
            assert all(str(p).isprintable() and len(str(p)) < 500 for p in error.problems), (number, text)
        else:
            valid += 1
            assert spec.digest
    assert 0 < valid < ROUNDS
    assert time.perf_counter() - started < 60
