"""The tables of people and of what they sign in with. Secrets are there as hashes only."""

from typing import Final

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, Table, Text

_METADATA: Final = MetaData()

# Times are text of one width in UTC, so they sort as they should; see `activities.storage.rows.stamp`.
# `password` is an argon2id hash in the PHC format; null for who signs in by OpenID Connect or a key only.
PEOPLE: Final = Table(
    "access_people",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("password", Text),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("signed_in_at", Text),
)
ROLES: Final = Table(
    "access_roles",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("role", Text, primary_key=True),
)
GROUPS: Final = Table(
    "access_groups",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("member_of", Text, primary_key=True),
)
# Who somebody is at an OpenID Connect issuer.
LINKS: Final = Table(
    "access_links",
    _METADATA,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("name", Text, nullable=False),
)
KEYS: Final = Table(
    "access_keys",
    _METADATA,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text),
    Column("used_at", Text),
    Column("revoked_at", Text),
)
SESSIONS: Final = Table(
    "access_sessions",
    _METADATA,
    Column("sha256", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("csrf", Text, nullable=False),
    Column("opened_at", Text, nullable=False),
    Column("seen_at", Text, nullable=False),
    Column("ends_at", Text, nullable=False),
    Column("idle_seconds", Float, nullable=False),
)
# By the hash of a name: somebody may type a password where the name belongs.
FAILURES: Final = Table(
    "access_failures",
    _METADATA,
    Column("name_sha256", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Text, nullable=False),
    Column("again_at", Text, nullable=False),
)

TABLES: Final = (PEOPLE, ROLES, GROUPS, LINKS, KEYS, SESSIONS, FAILURES)
INDEXES: Final = (
    Index("access_links_of_person", LINKS.c.issuer, LINKS.c.name, unique=True),
    Index("access_keys_of_person", KEYS.c.name),
    Index("access_sessions_of_person", SESSIONS.c.name),
    Index("access_sessions_end", SESSIONS.c.ends_at),
    Index("access_failures_last", FAILURES.c.last_at),
)
