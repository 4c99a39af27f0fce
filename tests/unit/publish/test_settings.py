"""Which environment an algorithm is built in, of those that platforms offer in their different ways."""

from __future__ import annotations

from typing import Any

import pytest

from wrapgen.client import Environment
from wrapgen.errors import UsageError
from wrapgen.publish.settings import environment


class Offered:
    """A platform's languages and environments, as its API objects."""

    def __init__(self, offer: dict[str, list[dict[str, Any]]]) -> None:
        self.offer = offer

    def languages(self) -> list[str]:
        return list(self.offer)

    def environments(self, language: str) -> list[Environment]:
        return [Environment.read(each, language) for each in self.offer[language]]


def entry(label: str, machine: str = "CPU") -> dict[str, Any]:
    return {"id": f"id of {label}", "display_name": label, "machine_type": machine}


CLUSTER = Offered(
    {
        "java": [entry("Java 11")],
        "python3": [
            entry("Python 3.8 - TensorFlow 2.3", "GPU"),
            entry("Python 3.8 - TensorFlow"),
            entry("Python 3.8"),
            entry("Python 3.6"),
            entry("Python 3.9 - GPU", "GPU"),
        ],
    }
)
PER_VERSION = Offered({"python37": [entry("x")], "python38": [entry("y")], "python310": [entry("z")]})


@pytest.mark.parametrize(
    ("offer", "language", "name", "chosen"),
    [
        (CLUSTER, "python3", None, "Python 3.8"),
        (CLUSTER, "python3-1", None, "Python 3.8"),
        (CLUSTER, "python3", "python36", "Python 3.6"),
        (CLUSTER, "python3", "Python38", "Python 3.8"),
        (CLUSTER, "python3", "python 3.8 - tensorflow", "Python 3.8 - TensorFlow"),
        (CLUSTER, "python3", "python39", "Python 3.9 - GPU"),
        (CLUSTER, "java", None, "Java 11"),
        (PER_VERSION, "python3", None, "y"),
        (PER_VERSION, "python3", "python310", "z"),
        (Offered({"python3": [entry("Python 3.12"), entry("Python 3.11")]}), "python3", None, "Python 3.12"),
    ],
)
def test_the_newest_plain_hosted_environment_is_taken_or_the_named_one(
    offer: Offered, language: str, name: str | None, chosen: str
) -> None:
    """Hosted Pythons come before later ones, machines without a GPU before those with one."""
    assert environment(offer, language, name).id == f"id of {chosen}"  # type: ignore[arg-type]


@pytest.mark.parametrize(("language", "name"), [("python3", "python27"), ("ruby", None)])
def test_what_is_not_offered_lists_what_is(language: str, name: str | None) -> None:
    """The error names each environment of the language once."""
    with pytest.raises(UsageError) as caught:
        environment(CLUSTER, language, name)  # type: ignore[arg-type]
    assert caught.value.hint == f"it offers: {'python36, python38, python39' if name else 'none'}"
