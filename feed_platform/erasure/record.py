"""`training.erasures`: what was erased when, not who, and what that means for models and versions."""

from dataclasses import dataclass

import duckdb

from feed_platform.erasure.pending import Pending
from feed_platform.lake.erased import suppression
from feed_platform.lake.tables import has_table

TABLE = "training.erasures"
# Versions of the lake before `readable_from` are gone, and with them what these models were trained on.
CREATE = f"""
create table if not exists {TABLE} (
  erased_at TIMESTAMP, people BIGINT, rows_deleted BIGINT, rows_anonymized BIGINT, log_records BIGINT,
  model_versions VARCHAR[], readable_from BIGINT)
"""
SUMMARY = f"""
select coalesce(list_distinct(flatten(list(model_versions))), []), max(readable_from) from {TABLE}
"""


@dataclass(frozen=True)
class Erasures:
    """All erasures of a home together.

    Attributes:
        people: how many were erased.
        model_versions: those that may have learned from them, in order.
        readable_from: the first lake version that can still be read; None where nobody was erased.
    """

    people: int
    model_versions: tuple[str, ...]
    readable_from: int | None


def record(con: duckdb.DuckDBPyConnection, done: Pending, version: int) -> None:
    """Write an erasure's row, once, inside the caller's transaction; `version` is the first readable one."""
    con.execute(CREATE)
    con.execute(f"delete from {TABLE} where erased_at = ?::timestamp", [done.begun_at])
    counts = [len(done.user_ids), done.deleted, done.anonymized, done.records]
    con.execute(
        f"insert into {TABLE} values (?::timestamp, ?, ?, ?, ?, ?, ?)",
        [done.begun_at, *counts, list(done.model_versions), version],
    )


def erasures(con: duckdb.DuckDBPyConnection) -> Erasures:
    """What this home's erasures leave to know."""
    row = con.execute(SUMMARY).fetchone() if has_table(con, TABLE) else None
    models, version = row or ([], None)
    return Erasures(len(suppression(con).hashes), tuple(sorted(models, key=int)), version)
