"""Upserts of the service as versions of raw.posts and raw.users.

An upsert names some fields; the version that it makes takes the others from the version before it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from feed_platform.feed import Feed
from feed_platform.interactions.batch import Batch, Counts
from feed_platform.interactions.ingest import ingest_into
from feed_platform.interactions.log_tails import Logged
from feed_platform.interactions.merge import add_attribute_columns
from feed_platform.interactions.schemas import RAW, RawTable, payload_types, quoted
from feed_platform.interactions.upsert_log import UpsertRecord
from feed_platform.lake.erased import Suppression

POLARS: dict[str, pl.DataType] = {
    "VARCHAR": pl.String(),
    "DOUBLE": pl.Float64(),
    "TIMESTAMP": pl.Datetime("us"),
    "VARCHAR[]": pl.List(pl.String()),
}


def import_upserts(
    con: duckdb.DuckDBPyConnection,
    feed: Feed,
    logged: Sequence[Logged[UpsertRecord]],
    erased: Suppression,
    imported_at: datetime,
) -> Counts:
    """Bring upserts in as versions, in their order, inside the caller's write transaction.

    Args:
        erased: people whose upserts are passed over.
    """
    kept = sorted(
        (one for one in logged if one.record.owner != "users" or one.record.entity_id not in erased),
        key=lambda one: one.record.number,
    )
    if not kept:
        return Counts()
    frames = {name: _versions(con, feed, RAW[name], kept) for name in ("users", "posts")}
    # What one source says twice is no news; each run of upserts speaks for itself.
    source = f"upserts {kept[0].record.number}-{kept[-1].record.number}"
    return ingest_into(con, feed, [Batch(**frames)], mode="live", source=source, imported_at=imported_at)


def _versions(
    con: duckdb.DuckDBPyConnection, feed: Feed, table: RawTable, logged: Sequence[Logged[UpsertRecord]]
) -> pl.DataFrame | None:
    """Whole versions, one for each upsert of a table; None without any."""
    own = [one for one in logged if one.record.owner == table.name]
    if not own:
        return None
    add_attribute_columns(con, table, feed)
    types = payload_types(table, feed)
    current = _current(con, table, types, {one.record.entity_id for one in own})
    rows = []
    for one in own:
        record = one.record
        version = current.get(record.entity_id, {}) | _typed(record.fields, types)
        version |= {table.key: record.entity_id, "received_at": record.received_at}
        current[record.entity_id] = version
        rows.append({**version, "_file": one.file, "_row": one.byte})
    schema = {name: POLARS[kind] for name, kind in types.items()} | {"_file": pl.String(), "_row": pl.Int64()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _current(
    con: duckdb.DuckDBPyConnection, table: RawTable, types: dict[str, str], ids: Collection[str]
) -> dict[str, dict[str, Any]]:
    """The newest committed version of each entity."""
    columns = ", ".join(map(quoted, types))
    rows = con.execute(
        f"""select {columns} from raw.{table.name} where list_contains($ids, {table.key})
            qualify row_number() over (
                partition by {table.key}
                order by known_at desc, received_at desc nulls last, rowid desc) = 1""",
        {"ids": sorted(ids)},
    ).pl()
    return {row[table.key]: row for row in rows.iter_rows(named=True)}


def _typed(fields: dict[str, Any], types: dict[str, str]) -> dict[str, Any]:
    """The fields that the table has, instants as such."""
    known = {name: value for name, value in fields.items() if name in types}
    times = {
        name: datetime.fromisoformat(value)
        for name, value in known.items()
        if types[name] == "TIMESTAMP" and value is not None
    }
    return known | times
