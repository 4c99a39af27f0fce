"""A wrapper as an application of Ray Serve, beside a deployment written by hand.

Both score the same texts with the same model in one replica behind Ray's proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench import hosting, load, peers
from bench.parts.apps import RAY
from bench.parts.programs import CASES
from bench.parts.served import CONNECTIONS, DOCUMENT, wrapper_folder
from bench.parts.surroundings import Surroundings
from bench.rows import Case, Rows, at_least, ratio


def loaded(count: int, *, ours: bool) -> Callable[[Surroundings], Mapping[str, float]]:
    """Measures requests of so many texts, of which one is no list."""

    def figures(around: Surroundings) -> Mapping[str, float]:
        folder = wrapper_folder(around, "ray")
        port = hosting.free_port()
        program = CASES / ("ray_wrapped.py" if ours else "ray_served.py")
        variables = {**RAY, "WRAPPER_OPEN": "/", "PYTHONPATH": str(folder)}
        command = [str(peers.python("ray")), str(program), str(port)]
        body = DOCUMENT if count == 1 else [DOCUMENT] * count
        with hosting.served(command, ("/", DOCUMENT), port=port, variables=variables) as server:
            folder = around.bench.work / "load"
            found = load.wrk(server.address + "/", body, folder, connections=CONNECTIONS, seconds=5)
        return {"rate": found.rate, "p99": found.p99}

    return figures


def _share(texts: str) -> Callable[..., float]:
    return ratio("ray_serve", f"wrapgen build --serve ray, {texts}", f"Ray Serve by hand, {texts}", "rate")


PART = Rows(
    PART="ray_serve",
    title="A wrapper on Ray Serve",
    words=(
        "Requests a second and their times over 16 connections, one replica behind Ray's proxy: `ray_app.py` "
        "of `wrapgen build --serve ray`, and the same by hand: a thread, and a list in which a bad text "
        "fails alone. Neither asks for a token."
    ),
    columns={"rate": ("requests/s", ",.0f"), "p99": ("p99 ms", ",.1f")},
    cases=[
        Case("wrapgen build --serve ray, one item", loaded(1, ours=True)),
        Case("Ray Serve by hand, one item", loaded(1, ours=False)),
        Case("wrapgen build --serve ray, 100 items", loaded(100, ours=True)),
        Case("Ray Serve by hand, 100 items", loaded(100, ours=False)),
    ],
    seconds=120,
    AIMS=[
        (f"on Ray Serve, {texts}: at least 0.9 of a deployment by hand", _share(texts), at_least(0.9), ".2f")
        for texts in ("one item", "100 items")
    ],
)
