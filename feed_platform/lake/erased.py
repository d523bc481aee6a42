"""Who was erased: a list of salted hashes that imports honour, so that nobody comes back with a file.

The salt is the home's own and lies beside the hashes: tables of common hashes are of no use, but
whoever has the lake can still test one id after another. What is kept is what a refusal needs.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from feed_platform.lake.tables import has_table
from feed_platform.lake.traces import is_distinctive_sql

TABLE = "raw.erased"
PREFIX = "erased-"
CREATE = f"create table if not exists {TABLE} (user_hash VARCHAR, salt VARCHAR, erased_at TIMESTAMP)"
# What may be an id in a row's JSON: a whole text, and a part of it between separators.
WORDS = (r'[^"\\]+', r"[^\s\"\\,;:|=(){}\[\]<>]+")


@dataclass(frozen=True)
class Suppression:
    """The ids that may not come in again, as SHA-256 of the home's salt and the id."""

    salt: str
    hashes: frozenset[str] = frozenset()

    def __contains__(self, user_id: str | None) -> bool:
        """Whether this person was erased."""
        return user_id is not None and bool(self.hashes) and self.hash(user_id) in self.hashes

    def hash(self, user_id: str) -> str:
        """The id's salted hash (64 hex digits)."""
        return hashlib.sha256((self.salt + user_id).encode()).hexdigest()

    def pseudonym(self, user_id: str) -> str:
        """What stands for the person where something of others hangs on them: a post's author."""
        return PREFIX + self.hash(user_id)[:32]


def suppression(con: duckdb.DuckDBPyConnection) -> Suppression:
    """The lake's list; empty, with a fresh salt, where nobody was erased yet."""
    rows = con.execute(f"select user_hash, salt from {TABLE}").fetchall() if has_table(con, TABLE) else []
    salt = rows[0][1] if rows else secrets.token_hex(16)
    return Suppression(salt, frozenset(user_hash for user_hash, _ in rows))


def suppress(con: duckdb.DuckDBPyConnection, user_ids: Collection[str]) -> Suppression:
    """Put people on the list, each once, inside the caller's write transaction; the list after it."""
    con.execute(CREATE)
    known = suppression(con)
    new = sorted({known.hash(user_id) for user_id in user_ids} - known.hashes)
    for user_hash in new:
        con.execute(f"insert into {TABLE} values (?, ?, now()::timestamp)", [user_hash, known.salt])
    return Suppression(known.salt, known.hashes | frozenset(new))


def erased_filter(con: duckdb.DuckDBPyConnection, column: str = "user_id") -> str:
    """SQL that is true of rows that may come in: their `column` names nobody who was erased.

    Just `true` where nobody was, so that an import pays only for what it needs.

    Example:
        >>> con.execute(f"select * from staged where {erased_filter(con)}")     # doctest: +SKIP
    """
    known = suppression(con)
    if not known.hashes:
        return "true"
    return f"({column} is null or sha256('{known.salt}' || {column}) not in (select user_hash from {TABLE}))"


def erased_name(con: duckdb.DuckDBPyConnection, column: str) -> str:
    """SQL of a text cell; where it is the id of someone who was erased, their pseudonym.

    An author's posts and an attribute such as `invited_by` stay as the erasure left them. Ids that may
    mean something else (`is_distinctive`) stay.
    """
    known = suppression(con)
    if not known.hashes:
        return column
    pseudonym = f"'{PREFIX}' || left(sha256('{known.salt}' || {column}), 32)"
    is_other = f"not ({is_distinctive_sql(column)}) or {erased_filter(con, column)}"
    return f"case when {column} is null or {is_other} then {column} else {pseudonym} end"


def names_erased(con: duckdb.DuckDBPyConnection, record: str) -> str:
    """SQL: does a row's JSON, misread or nested as it may be, hold the id of someone who was erased?

    An id counts that can't mean anything else, where quotes, blanks or the usual separators set it apart.
    """
    known = suppression(con)
    if not known.hashes:
        return "false"
    words = ", ".join(f"regexp_extract_all({record}, '{pattern}')" for pattern in WORDS)
    told_apart = f"list_filter(flatten([{words}]), lambda word: {is_distinctive_sql('word')})"
    hashed = f"list_transform({told_apart}, lambda word: sha256('{known.salt}' || word))"
    return f"coalesce(list_has_any({hashed}, (select list(user_hash) from {TABLE})), false)"


def is_somebodys(event_id: str) -> str:
    """SQL that is false of an erased person's events, which only count; `is_somebodys` in the dbt macros."""
    return f"{event_id} not like '{PREFIX}%'"
