"""Colours one file of source, as a process of its own: `python -I colour.py NAME SECONDS MIB < text > html`.

Some lexers of Pygments take hours for a small text that was made for it, and hold Python's lock meanwhile: in
the server that would stop every call. Here the kernel ends them. Nothing of wrapgen is imported.
"""

from __future__ import annotations

import os
import resource
import sys


def main() -> None:
    """Writes the coloured text as HTML, each line an element of its own; fails where it can't."""
    name, seconds, mib = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (mib << 20, mib << 20))
    os.nice(19)  # calls are served meanwhile
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_for_filename

    lexer = get_lexer_for_filename(name, stripnl=False, ensurenl=True)
    formatter = HtmlFormatter(cssclass="source", linespans="L", wrapcode=True, encoding="utf-8")
    highlight(sys.stdin.buffer.read().decode("utf-8", "replace"), lexer, formatter, sys.stdout.buffer)


if __name__ == "__main__":
    main()
