"""The schema of the platform's database, as numbered scripts: append only.

A script that was released is never edited.
"""

from __future__ import annotations

_FIRST = """
CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'organization')),
    name TEXT NOT NULL,
    details TEXT NOT NULL,
    created_at REAL NOT NULL
);
CREATE UNIQUE INDEX account_names ON accounts (lower(name));

CREATE TABLE members (
    organization_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    role TEXT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);

CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    label TEXT NOT NULL,
    admin INTEGER NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    mask TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at REAL NOT NULL
);

CREATE TABLE algorithms (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES accounts,
    name TEXT NOT NULL,
    details TEXT NOT NULL,
    settings TEXT NOT NULL,
    sample_input TEXT NOT NULL,
    first_commit TEXT NOT NULL,
    secrets_revision INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL
);
CREATE UNIQUE INDEX algorithm_names ON algorithms (owner_id, lower(name));

CREATE TABLE builds (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    algorithm_id TEXT NOT NULL REFERENCES algorithms ON DELETE CASCADE,
    git_hash TEXT NOT NULL,
    environment TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('in-progress', 'succeeded', 'failed')),
    interpreter TEXT NOT NULL DEFAULT '',
    started_at REAL NOT NULL,
    finished_at REAL
);
CREATE INDEX builds_of_algorithm ON builds (algorithm_id, number);

CREATE TABLE versions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    algorithm_id TEXT NOT NULL REFERENCES algorithms ON DELETE CASCADE,
    build_id TEXT NOT NULL UNIQUE REFERENCES builds (id),
    major INTEGER NOT NULL,
    minor INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    callability TEXT NOT NULL CHECK (callability IN ('public', 'private')),
    notes TEXT NOT NULL,
    published_at REAL NOT NULL,
    UNIQUE (algorithm_id, major, minor, revision)
);

CREATE TABLE secrets (
    id TEXT PRIMARY KEY,
    algorithm_id TEXT NOT NULL REFERENCES algorithms ON DELETE CASCADE,
    short_name TEXT NOT NULL,
    variable TEXT NOT NULL,
    value TEXT NOT NULL,
    description TEXT NOT NULL,
    created_at REAL NOT NULL,
    modified_at REAL NOT NULL,
    UNIQUE (algorithm_id, variable)
);

CREATE TABLE collections (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL REFERENCES accounts,
    name TEXT NOT NULL,
    readers TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (owner_id, name)
);

CREATE TABLE failures (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    algorithm_id TEXT NOT NULL,
    account TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    entry TEXT NOT NULL
);
CREATE INDEX failures_of_algorithm ON failures (algorithm_id, number);
CREATE INDEX failures_of_account ON failures (account, number);

CREATE TABLE interpreters (
    path TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    version TEXT NOT NULL,
    executable TEXT NOT NULL
)
"""

_CONNECTORS = """
CREATE TABLE connectors (
    account_id TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (account_id, name)
)
"""

_SESSIONS = """
CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES keys ON DELETE CASCADE,
    expires_at REAL NOT NULL
);
CREATE INDEX sessions_of_key ON sessions (key_id)
"""

_HOSTS = """
CREATE TABLE scms (
    id TEXT PRIMARY KEY,
    facts TEXT NOT NULL,
    chosen INTEGER NOT NULL
);
CREATE TABLE default_collections (
    algorithm_id TEXT PRIMARY KEY REFERENCES algorithms ON DELETE CASCADE,
    collection_id TEXT NOT NULL REFERENCES collections ON DELETE CASCADE
)
"""

_KINDS = """
ALTER TABLE keys ADD COLUMN kind TEXT NOT NULL DEFAULT 'AlgorithmKey';
UPDATE keys SET kind = 'PlatformAdminKey' WHERE admin
"""

_UNIQUE = """
CREATE INDEX account_emails ON accounts (lower(json_extract(details, '$.email')));
CREATE INDEX account_foreign_emails ON accounts (id) WHERE json_extract(details, '$.email') GLOB '*[^ -~]*';
CREATE INDEX account_external_ids ON accounts (json_extract(details, '$.external_id'))
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _CONNECTORS, _SESSIONS, _HOSTS, _KINDS, _UNIQUE)
"""Script n brings a database from version n to n + 1 (SQLite's `user_version`)."""
