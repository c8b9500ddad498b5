"""The tables. Statements are written for both SQLite and PostgreSQL."""

from __future__ import annotations

SCHEMA_VERSION = 1

TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS run (
        id TEXT PRIMARY KEY, project TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
        root TEXT NOT NULL, parent TEXT, state TEXT NOT NULL, waiting TEXT, environment TEXT,
        actor TEXT NOT NULL, labels TEXT NOT NULL, next_seq BIGINT NOT NULL DEFAULT 0, leaf_head TEXT NOT NULL,
        owner TEXT, epoch BIGINT NOT NULL DEFAULT 0, lease_until BIGINT NOT NULL DEFAULT 0, wake_at BIGINT,
        inbox_next BIGINT NOT NULL DEFAULT 0, inbox_done BIGINT NOT NULL DEFAULT 0,
        created_at BIGINT NOT NULL, ended_at BIGINT)""",
    "CREATE INDEX IF NOT EXISTS run_claim ON run (state, wake_at)",
    "CREATE INDEX IF NOT EXISTS run_root ON run (root)",
    """CREATE TABLE IF NOT EXISTS record (
        run TEXT NOT NULL, seq BIGINT NOT NULL, epoch BIGINT NOT NULL, kind TEXT NOT NULL,
        body TEXT, blob TEXT, salt TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (run, seq))""",
    """CREATE TABLE IF NOT EXISTS audit_leaf (
        run TEXT NOT NULL, seq BIGINT NOT NULL, leaf TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (run, seq))""",
    """CREATE TABLE IF NOT EXISTS inbox (
        run TEXT NOT NULL, n BIGINT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, idem_key TEXT NOT NULL,
        at BIGINT NOT NULL, PRIMARY KEY (run, n), UNIQUE (run, idem_key))""",
    """CREATE TABLE IF NOT EXISTS effect (
        run TEXT NOT NULL, action BIGINT NOT NULL, attempt BIGINT NOT NULL, state TEXT NOT NULL,
        epoch BIGINT NOT NULL, permit TEXT, PRIMARY KEY (run, action, attempt))""",
    """CREATE TABLE IF NOT EXISTS submission (
        project TEXT NOT NULL, caller TEXT NOT NULL, key TEXT NOT NULL, run TEXT NOT NULL, at BIGINT NOT NULL,
        PRIMARY KEY (project, caller, key))""",
    """CREATE TABLE IF NOT EXISTS approval (
        id TEXT PRIMARY KEY, project TEXT NOT NULL, run TEXT NOT NULL, action BIGINT NOT NULL, role TEXT NOT NULL,
        digest TEXT NOT NULL, question TEXT NOT NULL, state TEXT NOT NULL, created_at BIGINT NOT NULL,
        expires_at BIGINT, answered_at BIGINT, answered_by TEXT, reason TEXT)""",
    """CREATE TABLE IF NOT EXISTS budget (
        scope TEXT PRIMARY KEY, cap BIGINT, reserved BIGINT NOT NULL DEFAULT 0, settled BIGINT NOT NULL DEFAULT 0,
        overrun BIGINT NOT NULL DEFAULT 0)""",
    """CREATE TABLE IF NOT EXISTS reservation (
        run TEXT NOT NULL, action BIGINT NOT NULL, attempt BIGINT NOT NULL, scope TEXT NOT NULL,
        amount BIGINT NOT NULL, settled BIGINT, PRIMARY KEY (run, action, attempt, scope))""",
    """CREATE TABLE IF NOT EXISTS outbox (
        id TEXT PRIMARY KEY, project TEXT NOT NULL, run TEXT NOT NULL, action BIGINT NOT NULL, channel TEXT NOT NULL,
        body TEXT NOT NULL, dedupe_key TEXT NOT NULL, state TEXT NOT NULL, result TEXT, created_at BIGINT NOT NULL,
        UNIQUE (channel, dedupe_key))""",
    """CREATE TABLE IF NOT EXISTS memory (
        project TEXT NOT NULL, scope TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
        labels TEXT NOT NULL, run TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (project, scope, kind, key))""",
)
