"""What one request may cost this server, with any key; what is beyond is refused.

What calls may take is in `call.Limits`, what workers may in `Ceilings`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from wrapgen.errors import UsageError


@dataclass(frozen=True)
class Bounds:
    """The bounds of one server; `wrapgen serve --limit NAME=NUMBER` sets one, with `-` for `_`.

    Args:
        head_bytes: of a request's line with its headers, and of chunk extensions and trailers.
        head_lines: headers of a request.
        connections: open at the same time; one more takes the place of an idle one, or is refused.
        pipelined: requests that a connection has sent ahead of their answers.
        body_bytes: of a management request.
        form_fields: of a form of the web page.
        sign_in_bytes: of the form that signs in, which comes from nobody yet.
        push_bytes: of what a git push sends.
        push_unpacked: of all files of a pushed commit.
        push_files, push_depth: files and folders of it; folders in each other.
        push_references: branches and tags of one push.
        build_bytes: that a build may have on disk, what it installs included.
        git_seconds: that a git process may run, waiting for the client included.
        git_memory: bytes that it may use.
        git_processes, git_account: that serve clients, and those of one account, at the same time; further
            ones wait.
        page_threads: pages whose facts are gathered at the same time.
        pages_open: pages that are made at the same time, waiting ones included; one more is refused.
        page_bytes: of a JSON text with the spaces that lay it out for reading; beyond it is shown as it is.
        colour_seconds: of processor time that colouring a file of source may take; beyond it stays plain.
        key_patterns: in the list of what a key may call, which every call looks through.
        metric_versions, metric_errors: versions that are counted for `/metrics`, and error types of each.
        error_bytes: characters of a message that the error log keeps.
        errors: entries of the error log, of all algorithms together.
        stranger_log_bytes: of lines about requests without a key that the server's log takes at once.
        stranger_log_rate: bytes a second that it takes of them in the long run.
    """

    head_bytes: int = 64 * 1024
    head_lines: int = 100
    connections: int = 4096
    pipelined: int = 100
    body_bytes: int = 1024 * 1024
    form_fields: int = 100
    sign_in_bytes: int = 8 * 1024
    push_bytes: int = 512 * 1024 * 1024
    push_unpacked: int = 1024 * 1024 * 1024
    push_files: int = 20_000
    push_depth: int = 32
    push_references: int = 100
    build_bytes: int = 32 * 1024 * 1024 * 1024
    git_seconds: int = 600
    git_memory: int = 2 * 1024 * 1024 * 1024
    git_processes: int = 16
    git_account: int = 8
    page_threads: int = 2
    pages_open: int = 32
    page_bytes: int = 1024 * 1024
    colour_seconds: int = 1
    key_patterns: int = 100
    metric_versions: int = 1000
    metric_errors: int = 32
    error_bytes: int = 4000
    errors: int = 100_000
    stranger_log_bytes: int = 1024 * 1024
    stranger_log_rate: int = 256

    @classmethod
    def read(cls, words: Iterable[str]) -> Bounds:
        """Bounds from `NAME=NUMBER` words.

        Raises:
            UsageError: there is no bound of that name, or the number can't be.
        """
        known = {each.name.replace("_", "-"): each.name for each in fields(cls)}
        given: dict[str, int] = {}
        for word in words:
            name, _, number = word.partition("=")
            if name not in known:
                raise UsageError(f"there is no limit {name!r}", hint=f"one of {', '.join(sorted(known))}")
            if not (number.isascii() and number.isdigit() and 0 < len(number) < 16 and int(number)):
                raise UsageError(f"--limit {name} needs a whole number from 1 on, not {number!r}")
            given[known[name]] = int(number)
        return replace(cls(), **given)
