"""The same call as a program: with the vendor's clients for Python and Node, and with curl. Pure.

The input may be anything, so every value goes through its language's own quoting. An API key never stands in
a program; it comes from the environment.
"""

from __future__ import annotations

import json
import pprint
import shlex
from dataclasses import dataclass

LONGEST = 4000
"""Characters of an input that stand in a program; a longer one is read from a file."""

FILES = {"json": "input.json", "text": "input.txt", "binary": "input.bin"}
"""What that file is called."""

TYPES = {"json": "application/json", "text": "text/plain", "binary": "application/octet-stream"}
"""Content types of the kinds of input."""


@dataclass(frozen=True)
class Snippet:
    """A program: its language's name, its text, and the file that it reads (empty if none)."""

    language: str
    text: str
    reads: str = ""


def snippets(address: str, reference: str, kind: str, text: str) -> list[Snippet]:
    """The call of an algorithm as programs.

    Args:
        address: of the platform, without a path.
        reference: `owner/name/version`.
        kind: `json`, `text` or `binary`.
        text: the input; of JSON its text, of bytes nothing.
    """
    whole = kind != "binary" and len(text) <= LONGEST and "\0" not in text and _is_good(kind, text)
    reads = "" if whole else FILES[kind]
    return [
        Snippet("Python", _python(address, reference, kind, text, reads), reads),
        Snippet("curl", _curl(address, reference, kind, text, reads), reads),
        Snippet("JavaScript", _javascript(address, reference, kind, text, reads), reads),
    ]


def _is_good(kind: str, text: str) -> bool:
    if kind != "json":
        return True
    try:
        json.dumps(json.loads(text), allow_nan=False)
    except (ValueError, RecursionError):
        return False
    return True


def _python(address: str, reference: str, kind: str, text: str, reads: str) -> str:
    imports, made = "import os\n\nimport Algorithmia\n", ""
    if reads:
        made = f'open("{reads}", "rb").read()'
        if kind == "json":
            imports, made = f"import json\n{imports}", f"json.loads({made})"
        elif kind == "text":
            made += '.decode("utf-8")'
    else:
        value = json.loads(text) if kind == "json" else text
        # Strings at full width: pprint would break them into parts.
        made = repr(value) if isinstance(value, str) else pprint.pformat(value, width=88, sort_dicts=False)
    return (
        f"{imports}\n"
        f'client = Algorithmia.client(os.environ["ALGORITHMIA_API_KEY"], {_quoted(address)})\n'
        f"algo = client.algo({_quoted(reference)})\n"
        f"print(algo.pipe({made}).result)\n"
    )


def _quoted(text: str) -> str:
    """A text in double quotes, as people write them, where Python and JSON agree about it."""
    return json.dumps(text) if text.isascii() else repr(text)


def _curl(address: str, reference: str, kind: str, text: str, reads: str) -> str:
    body = f"--data-binary @{reads}" if reads else f"--data-raw {shlex.quote(text)}"
    return (
        f"curl -sS {shlex.quote(f'{address}/v1/algo/{reference}')} \\\n"
        '  -H "Authorization: Simple $ALGORITHMIA_API_KEY" \\\n'
        f"  -H {shlex.quote(f'Content-Type: {TYPES[kind]}')} \\\n"
        f"  {body}\n"
    )


def _javascript(address: str, reference: str, kind: str, text: str, reads: str) -> str:
    method, begin = "pipe", ""
    if reads:
        begin = 'const fs = require("fs");\n'
        made = f'fs.readFileSync("{reads}"' + (")" if kind == "binary" else ', "utf8")')
        method = "pipeJson" if kind == "json" else "pipe"
    elif kind == "json" and '"__proto__"' not in text:  # in a literal that would set the prototype
        made = json.dumps(json.loads(text), indent=2)
    else:
        made = json.dumps(text)
        method = "pipeJson" if kind == "json" else "pipe"
    return (
        f'{begin}const algorithmia = require("algorithmia");\n\n'
        f"const client = algorithmia.client(process.env.ALGORITHMIA_API_KEY, {json.dumps(address)});\n"
        f"client.algo({json.dumps(reference)}).{method}({made})\n"
        "  .then((response) => console.log(response.get()));\n"
    )
