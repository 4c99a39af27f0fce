"""Endpoints of algorithms' secrets (platform contract, section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from wrapgen.platform.api.endpoint import Ask, endpoint
from wrapgen.platform.domain.model import Secret
from wrapgen.platform.domain.secrets import PROVIDER_ID
from wrapgen.platform.storage.database import iso

if TYPE_CHECKING:
    from wrapgen.platform import Platform


class SecretFields(Struct):
    """What a request says of a secret."""

    short_name: str | None = None
    secret_key: str | None = None
    secret_value: str | None = None
    description: str | None = None


class SecretObject(Struct):
    """A secret, without its value."""

    id: str
    owner_type: str
    owner_id: str
    short_name: str
    secret_key: str
    provider_id: str
    description: str
    created: str
    modified: str


class SecretList(Struct):
    """Secrets, under both names that upstream material uses."""

    results: list[SecretObject]
    secrets: list[SecretObject]


class SecretProvider(Struct):
    """Where values are kept."""

    id: str
    name: str
    description: str


class SecretApi:
    """Secrets."""

    def __init__(self, platform: Platform) -> None:
        self._algorithms = platform.state.algorithms
        self._secrets = platform.state.secrets

    @endpoint("GET", "/v1/secret-provider")
    def secret_providers(self, ask: Ask) -> list[SecretProvider]:  # noqa: ARG002 - every endpoint's signature
        """Lists where values are kept."""
        return [SecretProvider(PROVIDER_ID, "internal", "kept by this platform")]

    @endpoint("GET", "{algorithm}/secrets")
    def secrets(self, ask: Ask) -> SecretList:
        """Lists an algorithm's secrets."""
        found = [_secret(each) for each in self._secrets.of_algorithm(self._own(ask))]
        return SecretList(found, found)

    @endpoint("POST", "{algorithm}/secrets")
    def add_secret(self, ask: Ask, body: SecretFields) -> SecretObject:
        """Adds a secret."""
        made = self._secrets.create(
            self._own(ask), body.secret_key, body.secret_value, body.short_name or "", body.description or ""
        )
        return _secret(made)

    @endpoint("PUT", "{algorithm}/secrets/{secret_id}")
    def update_secret(self, ask: Ask, body: SecretFields) -> SecretObject:
        """Changes a secret's value, short name or description."""
        changed = self._secrets.update(
            self._own(ask), ask["secret_id"], body.secret_value, body.short_name, body.description
        )
        return _secret(changed)

    @endpoint("DELETE", "{algorithm}/secrets/{secret_id}")
    def delete_secret(self, ask: Ask) -> None:
        """Removes a secret."""
        self._secrets.delete(self._own(ask), ask["secret_id"])

    def _own(self, ask: Ask) -> str:
        found = self._algorithms.named(ask.caller, ask.request.path_params)
        return self._algorithms.owned(ask.caller, found).id


APIS = (SecretApi,)


def _secret(secret: Secret) -> SecretObject:
    return SecretObject(
        id=secret.id,
        owner_type="algorithm",
        owner_id=secret.algorithm_id,
        short_name=secret.short_name,
        secret_key=secret.variable,
        provider_id=PROVIDER_ID,
        description=secret.description,
        created=iso(secret.created_at),
        modified=iso(secret.modified_at),
    )
