"""The record of feature builds that ended well: what training and publishing may read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import duckdb

from feed_platform.feed import FeedError


@dataclass(frozen=True)
class Build:
    """A build of every feature table, complete for all that was known before `sealed_until`."""

    lake_version: int
    sealed_until: datetime
    built_at: datetime


def last_build(con: duckdb.DuckDBPyConnection) -> Build:
    """The newest build that ended well.

    Raises:
        FeedError: there is none yet.
    """
    build = find_last_build(con)
    if build is None:
        raise FeedError("no features have been built: run dagster job execute -j build_features")
    return build


def find_last_build(con: duckdb.DuckDBPyConnection) -> Build | None:
    """The newest build that ended well, if any."""
    row = con.execute(
        "select lake_version, sealed_until, built_at from features.builds order by lake_version desc limit 1"
    ).fetchone()
    return Build(*row) if row else None


def record_build(
    con: duckdb.DuckDBPyConnection,
    lake_version: int,
    sealed_until: datetime,
    definitions: Mapping[str, str] | None = None,
) -> None:
    """Note a build that ended well, and by which definitions, inside the caller's write transaction."""
    con.execute("insert into features.builds values (?, ?, now()::timestamp)", [lake_version, sealed_until])
    if definitions:
        con.execute("delete from features.definitions")
        con.executemany("insert into features.definitions values (?, ?)", list(definitions.items()))


def changed_models(con: duckdb.DuckDBPyConnection, definitions: Mapping[str, str]) -> list[str]:
    """The models that the last build made by other definitions; none before the first build."""
    built = dict(con.execute("select model, definition from features.definitions").fetchall())
    return [model for model, definition in definitions.items() if built and built.get(model) != definition]


def definitions_hash(con: duckdb.DuckDBPyConnection) -> str | None:
    """One hash of all dbt models' definitions in the newest build; None where it recorded none.

    dbt's manifest as a file holds times and paths, so that two parses of one project differ; this is of what
    it says of the models: their SQL, macros, vars and parents.
    """
    row = con.execute(
        "select string_agg(model || definition, '' order by model) from features.definitions"
    ).fetchone()
    return sha256(row[0].encode()).hexdigest()[:16] if row and row[0] else None
