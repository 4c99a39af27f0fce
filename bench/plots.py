"""The plots of RESULTS.md, from results.json: python plots.py FOLDER. Runs where matplotlib is."""

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "wrapgen", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
from matplotlib import pyplot  # noqa: E402

OURS, THEIRS = "#1f5fa8", "#b0b7bf"


def main() -> None:
    """Draws what there is data for."""
    folder = Path(sys.argv[1])
    data = json.loads((folder / "results.json").read_text("utf-8"))
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    parts = data["parts"]
    for name, draw in (("batch", batch), ("serving", serving), ("distance", distance)):
        if parts.get(name):
            save(draw(parts[name], data["about"]), plots / f"{name}.svg")
    kinds = {"items": items, "connections": connections, "algorithms": algorithms}
    kinds.update(accounts=home, versions=home, history=home)
    for kind, draw in kinds.items():
        found = {
            int(size): middle(note["rounds"])
            for size, note in parts.get("growth", {}).get(kind, {}).items()
            if "failed" not in note
        }
        if found:
            save(draw(dict(sorted(found.items()))), plots / f"{kind}.svg")


def middle(rounds):
    """The median of each figure."""
    numbers = [key for key, value in rounds[0].items() if not isinstance(value, dict)]
    return {key: statistics.median(each[key] for each in rounds) for key in numbers}


def save(figure, path):
    """The same data give the same file."""
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def ours(name):
    """Whether a row is ours."""
    return name.startswith(("wrapgen", "our "))


def batch(part, about):
    """Items per second, start-up included, one bar a program."""
    names, rates = [], []
    for name, note in part.items():
        if note["rounds"] and not note.get("failed"):
            last = [
                each["items"] / each["seconds"]
                if each["items"] >= about["items"]
                else about["items"]
                / (note["startup"] + (each["seconds"] - note["startup"]) * about["items"] / each["items"])
                for each in note["rounds"]
            ]
            names.append(name)
            rates.append(statistics.median(last))
    figure, axes = pyplot.subplots(figsize=(7.5, 0.28 * len(names) + 0.8))
    axes.barh(names, rates, color=[OURS if ours(name) else THEIRS for name in names])
    axes.invert_yaxis()
    axes.set_xlabel(f"items per second, {about['items']:,} items, start-up included")
    return figure


def serving(part, _):
    """Requests per second by connections, one panel for each size of request."""
    good = {name: note["rounds"] for name, note in part.items() if note["rounds"] and not note.get("failed")}
    loads = sorted(
        {tuple(map(int, key.split("/"))) for rounds in good.values() for key in rounds[0] if "/" in key}
    )
    texts = sorted({text for text, _ in loads})
    figure, panels = pyplot.subplots(1, len(texts), figsize=(7.5, 3.2), squeeze=False)
    for axes, text in zip(panels[0], texts, strict=True):
        counts = [count for each, count in loads if each == text]
        for name, rounds in good.items():
            rates = [
                statistics.median(each[f"{text}/{count}"]["rate"] for each in rounds) for count in counts
            ]
            wide = 2.5 if ours(name) else 1.2
            axes.plot(range(len(counts)), rates, marker="o", markersize=3, linewidth=wide, label=name)
        axes.set_xticks(range(len(counts)), counts)
        axes.set_yscale("log")
        axes.set_xlabel(f"connections, {text} text{'s' * (text > 1)} a request")
        axes.set_ylabel("requests per second")
    panels[0][0].legend(fontsize=7)
    return figure


def distance(part, _):
    """Items per second by distance."""
    figure, axes = pyplot.subplots(figsize=(7.5, 4))
    for name, note in part.items():
        found = {int(delay): each["rounds"] for delay, each in note["delays"].items() if each["rounds"]}
        delays = sorted(found)
        rates = [statistics.median(r["items"] / r["seconds"] for r in found[delay]) for delay in delays]
        style = "-" if ours(name) else "--"
        axes.plot([str(delay) for delay in delays], rates, style, marker="o", markersize=3, label=name)
    axes.set_yscale("log")
    axes.set_xlabel("milliseconds added to every call")
    axes.set_ylabel("items per second")
    axes.legend(fontsize=7)
    return figure


def items(found):
    """Time and memory by items in a run."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(7.5, 3))
    left.loglog(list(found), [note["seconds"] for note in found.values()], marker="o", color=OURS)
    left.set_xlabel("items")
    left.set_ylabel("seconds")
    right.semilogx(
        list(found), [note["own_mb"] for note in found.values()], marker="o", color=OURS, label="run"
    )
    right.semilogx(
        list(found),
        [note["server_mb"] for note in found.values()],
        marker="o",
        color=THEIRS,
        label="platform",
    )
    right.set_ylim(bottom=0)
    right.set_xlabel("items")
    right.set_ylabel("peak memory, MB")
    right.legend(fontsize=7)
    return figure


def connections(found):
    """Requests and latency by connections."""
    return pair(found, ("rate", "requests per second"), ("p99", "99th percentile, ms"), "connections")


def algorithms(found):
    """Memory and latency by algorithms hosted."""
    return pair(found, ("memory_mb", "memory, MB"), ("p50", "median latency, ms"), "algorithms hosted")


def home(found):
    """Latency of calls and of a listing by what a home holds."""
    figure, panels = pyplot.subplots(1, 2, figsize=(7.5, 3))
    for axes, keys in zip(panels, (("p50", "list_ms"), ("memory_mb",)), strict=True):
        for key, colour in zip(keys, (OURS, THEIRS), strict=False):
            axes.plot(
                list(found), [note[key] for note in found.values()], marker="o", color=colour, label=key
            )
        axes.set_xscale("symlog")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("how many")
        axes.legend(fontsize=7)
    panels[0].set_ylabel("milliseconds")
    panels[1].set_ylabel("platform's memory, MB")
    return figure


def pair(found, first, second, what):
    """Two panels over the same sizes."""
    figure, panels = pyplot.subplots(1, 2, figsize=(7.5, 3))
    for axes, (key, label) in zip(panels, (first, second), strict=True):
        axes.plot(list(found), [note[key] for note in found.values()], marker="o", color=OURS)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(what)
        axes.set_ylabel(label)
    return figure


if __name__ == "__main__":
    main()
