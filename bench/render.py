"""RESULTS.md from what was measured, and from what is written about it in behind.md."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from bench import compare
from bench import growth_tables as growth
from bench.compare import many, whole
from bench.parts import registry
from bench.tables import Lines, spread, table
from bench.verdicts import verdicts

BEHIND = Path(__file__).with_name("behind.md")
"""Why some aims are missed, by hand: the figures that it argues with are in the page's tables."""


def render(data: dict[str, Any]) -> str:
    """The whole page."""
    parts = data["parts"]
    sections = [_head(data["about"])]
    if targets := verdicts(data):
        sections.append("## What was aimed at\n\n" + table(("aim", "measured", ""), targets))
        sections.append(BEHIND.read_text("utf-8").strip())
    if data.get("against"):
        sections.append(f"## Beside {data['about']['against']}\n\n{beside(data)}")
    failed = data["about"].get("failed", {})
    for name, (title, section) in PARTS.items():
        if parts.get(name) or name in failed:
            said = [f"failed: {failed[name]}"] if name in failed else []
            found = [section(parts[name], data["about"])] if parts.get(name) else []
            sections.append("\n\n".join([f"## {title}", *said, *found]))
    if missing := [title for name, (title, _) in PARTS.items() if not parts.get(name)]:
        sections.append(f"Not measured here: {', '.join(missing)}.")
    return "\n\n".join(sections) + "\n"


def beside(data: dict[str, Any]) -> str:
    """The working tree beside an older commit: a table for each part, and what became slower."""
    about, found = data["about"], compare.rows(data)
    head = ("", "", about["tree"], about["against"], "ratio", "spread", "")
    sections = [BESIDE, verdict(data)]
    for part, (title, _) in PARTS.items():
        if mine := [row for row in found if row.part == part]:
            sections.append(f"### {title}: beside {about['against']}\n\n{table(head, map(_compared, mine))}")
    if failed := compare.failures(data):
        sections.append(
            "\n".join([f"Not measured of {about['against']}:", "", *(f"- {each}" for each in failed)])
        )
    return "\n\n".join(sections)


BESIDE = (
    "Both in the same rounds, in turn, each in an environment of its own with the same versions of "
    "libraries, neither with a sandbox. A ratio is of speeds, the median of the rounds' ratios: 1.10 is 10 % "
    "faster. Its spread is how far the rounds' ratios lie apart, and at least what is usual in its part; "
    "what is within it around 1 is chance. **Slower** is what lost more than 5 % and more than the spread."
)


def verdict(data: dict[str, Any]) -> str:
    """What became slower, in a sentence."""
    found = compare.rows(data)
    slower = [f"{row.name} ({row.ratio:.2f})" for row in found if row.verdict == "slower"]
    judged = [row for row in found if row.spread is not None]
    within = sum(abs(row.ratio - 1) <= row.spread for row in judged)
    said = f"Slower: {'; '.join(slower)}." if slower else "Nothing became slower."
    return f"{said} Of {len(judged)} ratios {within} are within the spread around 1."


def _compared(row: compare.Row) -> list[str]:
    pattern = ",.0f" if min(row.ours + row.theirs) >= 100 else ",.2f"
    chance = "one round" if row.spread is None else f"± {row.spread:.2f}"
    marked = f"**{row.verdict}**" if row.verdict == "slower" else row.verdict
    figures = (spread(row.ours, pattern), spread(row.theirs, pattern))
    return [row.name, row.unit, *figures, f"{row.ratio:.2f}", chance, marked]


def _head(about: dict[str, Any]) -> str:
    peers = about.get("peers", {})
    versions = ", ".join(
        sorted({f"{n} {v}" for pins in peers.values() for n, v in pins.items()}, key=str.lower)
    )
    lines = [
        "# Results of the bench",
        "",
        "Written by `make bench`; how each part is measured is said in the module of that part in "
        "`bench/parts/`, and what each peer runs is one file in `bench/cases/`. Figures are medians, with "
        "the least and the most in brackets.",
        "",
        table(
            ("", "measured on"),
            [
                ("day", about.get("finished", "")),
                ("processors", f"{about.get('processors')} × {about.get('processor')}"),
                ("memory", f"{about.get('memory_gb')} GB"),
                ("kernel", about.get("kernel", "")),
                ("load before it began", about.get("load", "")),
                ("Python", about.get("python", "")),
                ("wrapgen", f"{about.get('wrapgen')}, commit {about.get('commit')}"),
                ("peers", versions),
                ("rounds", about.get("rounds", "")),
            ],
        ).replace("---:", "---"),
    ]
    return "\n".join(lines)


GROUPS = {
    "inline": "Scored where the program runs, or by the platform's own process",
    "one": "One text a call of the target",
    "lists": "Lists of 100 texts a call of the target",
    "chat": "Chat completions, one text a call",
}


def _batch(part: dict[str, Any], about: dict[str, Any]) -> str:
    items = about["items"]
    words = [
        f"{items:,} items: 4,200 tweets, repeated; VADER scores them. Start-up is the time for 16 items. "
        f"What has * was slower than {about['seconds']:g} s: it got fewer items, and its time is start-up "
        "plus all items at the speed it had. Processor time and memory are those of everything that takes "
        "part, servers included; lines of code are those that the user writes and the commands that they "
        "type, the target left out."
    ]
    head = (
        "",
        "items/s",
        "without start-up",
        "start-up s",
        "CPU ms an item",
        "peak MB",
        "client alone MB",
        "lines",
    )
    for group, title in GROUPS.items():
        rows = [_program(name, note, items) for name, note in part.items() if note["group"] == group]
        if rows:
            words += [f"### {title}", table(head, rows)]
    words += ["### What a million items cost", PRICED, table(("", *COSTS), _costs(part))]
    words += ["### Where the processor time goes", SHARED, table(("", *SHARES), _shares(part))]
    return "\n\n".join([*words, "![items per second](plots/batch.svg)"])


PRICE = 0.05
"""US dollars for an hour of one processor: about what on-demand machines of the large clouds cost."""

COSTS = ("processor seconds, all", "of them the client's", "US dollars")
PRICED = (
    "Processor seconds for a million items, start-up included, of everything that takes part; and what they "
    f"cost at {PRICE:.2f} US dollars for an hour of a processor."
)


def _costs(part: dict[str, Any]) -> Lines:
    for name, note in part.items():
        rounds = [each for each in note["rounds"] if "cpu" in each]
        if rounds and not note.get("failed"):
            seconds = [1e6 * each["cpu"] / each["items"] for each in rounds]
            own = [1e6 * each["shares"].get("client", 0.0) / each["items"] for each in rounds]
            money = [each * PRICE / 3600 for each in seconds]
            yield [name, spread(seconds), spread(own), spread(money, ".4f")]


SHARES = ("client", "server", "wrapper", "target", "all")
SHARED = (
    "Microseconds of processor time an item. The client is what the user starts; the server is the process "
    "that answers HTTP, with FastAPI the scoring too; wrapper and target are the platform's workers."
)


def _shares(part: dict[str, Any]) -> Lines:
    for name, note in part.items():
        spent = [
            {owner: 1e6 * seconds / each["items"] for owner, seconds in each["shares"].items()}
            for each in note["rounds"]
            if "shares" in each
        ]
        if spent:
            sums = [{**dict.fromkeys(SHARES, 0.0), **_by_kind(each)} for each in spent]
            yield [name, *(f"{statistics.median(each[owner] for each in sums):,.0f}" for owner in SHARES)]


def _by_kind(shares: dict[str, float]) -> dict[str, float]:
    """The shares of algorithms under what they are to the program; with all of them together."""
    found = {"all": sum(shares.values())}
    for owner, value in shares.items():
        kind = owner if owner in SHARES else "wrapper" if owner.startswith(("Bench", "Guide")) else "target"
        found[kind] = found.get(kind, 0.0) + value
    return found


def _program(name: str, note: dict[str, Any], items: int) -> list[str]:
    rounds = note["rounds"]
    if note.get("failed") or not rounds:
        return [name, f"failed: {note.get('failed')}", "", "", "", "", "", str(note["lines"])]
    seconds = whole(note, items)
    scaled = "*" if rounds[0]["items"] < items else ""
    bare = [items / max(0.001, each - note["startup"]) for each in seconds]
    return [
        name + scaled,
        spread([items / each for each in seconds]),
        f"{statistics.median(bare):,.0f}",
        f"{note['startup']:.1f}",
        spread([1000 * each["cpu"] / each["items"] for each in rounds], ".3f"),
        f"{max(each['peak_mb'] for each in rounds):,.0f}",
        f"{max(each['own_mb'] for each in rounds):,.0f}",
        str(note["lines"]),
    ]


def _serving(part: dict[str, Any], _: dict[str, Any]) -> str:
    loads = sorted(
        {key for note in part.values() for each in note["rounds"] for key in each if "/" in key},
        key=lambda key: [int(number) for number in key.split("/")],
    )
    sections = [
        "Every server has as many processes as the machine has processors; wrk on the same machine sends. A "
        "request of 100 texts is a list."
    ]
    rows = []
    for name, note in part.items():
        if note.get("failed"):
            rows.append([name, f"failed: {note['failed']}", ""])
        else:
            rounds = note["rounds"]
            rows.append(
                [
                    name,
                    spread([r["startup"] for r in rounds], ".1f"),
                    spread([r["memory_mb"] for r in rounds]),
                ]
            )
    sections.append(table(("", "start-up s", "memory MB"), rows))
    for key in loads:
        texts, connections = key.split("/")
        title = f"{many(texts, 'text')} a request, {many(connections, 'connection')}"
        rows = [_served(name, note, key) for name, note in part.items() if not note.get("failed")]
        sections.append(f"### {title}\n\n" + table(("", "requests/s", "p50 ms", "p99 ms", "failed"), rows))
    return "\n\n".join([*sections, "![requests per second](plots/serving.svg)"])


def _served(name: str, note: dict[str, Any], key: str) -> list[str]:
    found = [each[key] for each in note["rounds"] if key in each]
    return [
        name,
        spread([each["rate"] for each in found]),
        spread([each["p50"] for each in found], ",.1f"),
        spread([each["p99"] for each in found], ",.1f"),
        f"{sum(each['failed'] for each in found)}",
    ]


def _distance(part: dict[str, Any], _: dict[str, Any]) -> str:
    delays = sorted({int(key) for note in part.values() for key in note["delays"]})
    rows = []
    for name, note in part.items():
        row = [name]
        for delay in delays:
            found = note["delays"].get(str(delay), {})
            if "failed" in found or not found.get("rounds"):
                row += [f"failed: {found.get('failed', 'not measured')}", ""]
            else:
                rates = [each["items"] / each["seconds"] for each in found["rounds"]]
                share = statistics.median(each["ideal"] / each["seconds"] for each in found["rounds"])
                row += [spread(rates), f"{share:.2f}" if delay else ""]
        rows.append(row)
    head = [""]
    for delay in delays:
        head += [f"{delay} ms: items/s", "of ideal" if delay else ""]
    words = (
        "A delaying proxy on the loopback stands between caller and platform. The ideal of a row is "
        "what it takes without distance, or the delays of its calls as many at once as it makes, whichever "
        "is longer, and one delay more."
    )
    return "\n\n".join([words, table(head, rows), "![with distance](plots/distance.svg)"])


def _generation(part: dict[str, Any], _: dict[str, Any]) -> str:
    rows = []
    for name, note in part.items():
        if note.get("failed"):
            rows.append([name, f"failed: {note['failed']}", "", "", ""])
            continue
        every = {
            key: [ms for each in note["rounds"] for ms in each[key]]
            for key in ("cold", "warm", "import", "help")
        }
        rows.append([name, *(spread(every[key]) for key in ("cold", "warm", "import", "help"))])
    words = (
        "Milliseconds for the wrapper `SentimentLists` and, as a template, the same files; "
        "datamodel-code-generator makes the models of our spec's JSON Schema instead. Cold is a process of "
        "its own and an empty folder, warm the same once more within a process; import is the command line's "
        "module, less Python itself."
    )
    return f"{words}\n\n" + table(("", "cold", "warm", "import", "--help"), rows)


def _engines(part: dict[str, Any], _: dict[str, Any]) -> str:
    words = (
        "Alone, each connector has a wrapper that answers at once: what an item costs us. Whole, each engine "
        "is started as a user starts it, over the same wrapper around a target that does next to nothing, "
        "with an SQS server in memory; start-up counts, but not Spark's."
    )
    rows = []
    for name, note in part.items():
        if note.get("failed") or not note["rounds"]:
            rows.append([name, f"failed: {note.get('failed')}", "", ""])
            continue
        rates = [each["items"] / max(0.001, each["seconds"]) for each in note["rounds"]]
        costs = [1e6 * each["seconds"] / each["items"] for each in note["rounds"]]
        rows.append([name, f"{note['rounds'][0]['items']:,}", spread(rates), spread(costs, ",.1f")])
    return f"{words}\n\n" + table(("", "items", "items/s", "µs an item"), rows)


OWN = {
    "batch": ("The same tweets through everything", _batch),
    "serving": ("Serving", _serving),
    "distance": ("With distance", _distance),
    "generation": ("Generation", _generation),
    "growth": ("Growth", growth.section),
    "engines": ("Engines", _engines),
}
"""Title and table of the parts that make several tables."""

PARTS = {**OWN, **{part.PART: (part.title, part.section) for part in registry.TABLES}}
"""Title and table of each part, in the order of the page."""
