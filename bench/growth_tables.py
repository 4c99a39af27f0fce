"""The tables of growth in RESULTS.md: one for each thing that there is more and more of."""

from __future__ import annotations

from typing import Any

from bench.tables import spread, table

HOME = ("call p50 ms", "call p99 ms", "listing ms", "platform's memory MB")


def section(part: dict[str, Any], _: dict[str, Any]) -> str:
    """A table and a plot for each kind of growth."""
    sections = ["A target that does nothing: what is left is our own work."]
    titles = {
        "items": (
            "Items in a run",
            ("items", "seconds", "items/s", "run's memory MB", "platform's memory MB"),
        ),
        "connections": ("Connections", ("connections", "requests/s", "p50 ms", "p99 ms", "failed")),
        "algorithms": (
            "Algorithms hosted, each called",
            ("algorithms", "memory MB", "MB an algorithm", "p50 ms", "p99 ms", "publishing s each"),
        ),
        "accounts": ("Accounts", ("accounts", *HOME, "adding ms each")),
        "versions": ("Versions of one algorithm", ("versions", *HOME)),
        "history": ("Finished calls in the home", ("calls", *HOME, "home MB")),
    }
    for kind, (title, head) in titles.items():
        found = part.get(kind)
        if found:
            rows = [_grown(kind, int(size), found[size]) for size in sorted(found, key=int)]
            rows = [row + [""] * (len(head) - len(row)) for row in rows]
            plot = f"![{title}](plots/{kind}.svg)"
            sections.append(f"### {title}\n\n{table(head, rows)}\n\n{plot}")
    return "\n\n".join(sections)


def _grown(kind: str, size: int, note: dict[str, Any]) -> list[str]:
    return (
        [f"{size:,}", f"failed: {note['failed']}"] if "failed" in note else GROWN[kind](size, note["rounds"])
    )


def _grown_items(size: int, rounds: list[dict[str, Any]]) -> list[str]:
    return [
        f"{size:,}",
        _spread(rounds, "seconds", ",.1f"),
        spread([size / each["seconds"] for each in rounds]),
        _spread(rounds, "own_mb"),
        _spread(rounds, "server_mb"),
    ]


def _grown_connections(size: int, rounds: list[dict[str, Any]]) -> list[str]:
    return [
        str(size),
        _spread(rounds, "rate"),
        _spread(rounds, "p50", ",.2f"),
        _spread(rounds, "p99", ",.2f"),
        f"{sum(each['failed_calls'] for each in rounds)}",
    ]


def _grown_algorithms(size: int, rounds: list[dict[str, Any]]) -> list[str]:
    return [
        str(size),
        _spread(rounds, "memory_mb"),
        spread([each["memory_mb"] / size for each in rounds], ".1f"),
        _spread(rounds, "p50", ",.2f"),
        _spread(rounds, "p99", ",.2f"),
        _spread(rounds, "publish", ",.2f"),
    ]


def _spread(rounds: list[dict[str, Any]], key: str, pattern: str = ",.0f") -> str:
    return spread([each[key] for each in rounds], pattern)


def _grown_home(size: int, rounds: list[dict[str, Any]]) -> list[str]:
    figures = [("p50", ",.2f"), ("p99", ",.2f"), ("list_ms", ",.2f"), ("memory_mb", ",.0f")]
    figures += [(key, ",.1f") for key in ("add_ms", "home_mb") if key in rounds[0]]
    return [f"{size:,}", *(_spread(rounds, key, pattern) for key, pattern in figures)]


GROWN = {
    "items": _grown_items,
    "connections": _grown_connections,
    "algorithms": _grown_algorithms,
    **dict.fromkeys(("accounts", "versions", "history"), _grown_home),
}
