"""Endpoints of the vendor's openapispec.yml that are not here, and what to use instead of each."""

from __future__ import annotations

import re

_NAME = "/[^/]+"

_ALGORITHM = f"/v1/algorithms({_NAME}){{1,2}}"

_MISSING = (
    ("", "/v1/admin/insights-connection", "insights are kept in the platform's own log"),
    ("", f"/v1/admin/invites({_NAME})?", "register users with POST /v1/users"),
    (
        "",
        f"/v1/admin/reservations({_NAME})?",
        "options of `wrapgen serve` say how many workers there are",
    ),
    ("", "/v1/admin/(usage(/algorithms|/users)?|legacy-algorithms)", "GET /metrics counts calls and seconds"),
    ("", f"/v1/admin/features({_NAME})?", "every feature of this platform is always on"),
    ("", f"/v1/admin/organization_host_information({_NAME})?", "every account works on this one host"),
    ("", f"/v1/organizations{_NAME}/algorithms-host-usernames({_NAME})?", "all algorithms run as one user"),
    ("", f"/v1/organizations{_NAME}/utility-algorithms", "GET /v1/users/:user/algorithms lists algorithms"),
    ("POST", "/v1/organization/types", "GET /v1/organization/types lists the types there are"),
    ("", f"/v1/organization/types{_NAME}", "GET /v1/organization/types lists the types there are"),
    (
        "",
        f"/v1/admin/(plugins/)?secret-provider({_NAME}){{0,2}}",
        "GET /v1/secret-provider names the only one",
    ),
    ("", f"{_ALGORITHM}/scm/webhook", "push to this platform's git: a push starts a build"),
    ("", f"{_ALGORITHM}/versions{_NAME}/registry", "versions run here, and are pushed to no registry"),
    ("", f"/v1/registries({_NAME})?", "versions run here, and are pushed to no registry"),
    ("", f"/v1/scms{_NAME}/(oauth/(start|finish)|token/(connect|status))", "push to this platform's own git"),
    ("", f"/v1/config/(favicon|logo|frontend({_NAME})?)", "the web page at /web can't be configured"),
    ("POST", f"/v1/users{_NAME}/connectors", "PUT /v1/users/:user/connectors/:connector makes one"),
    (
        "",
        f"/v1/users{_NAME}/event-listeners({_NAME})?",
        "`wrapgen worker sqs` takes messages from a queue",
    ),
    ("", f"/v1/users{_NAME}/notifications", "the web page shows what happened"),
)
"""Method (empty: every one), path, and what to use instead."""


def instead_of(method: str, path: str) -> str | None:
    """What to use instead of an endpoint that only the vendor's platform has; None for any other path."""
    for wanted, pattern, instead in _MISSING:
        if wanted in ("", method) and re.fullmatch(pattern, path.rstrip("/")):
            return f"this endpoint of the vendor's API is not implemented here; {instead}"
    return None
