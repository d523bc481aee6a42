"""Which rows of impressions and engagements come in: one of each id, those not in the lake yet."""

import duckdb

from feed_platform.feed import Feed
from feed_platform.interactions.quarantine import DUPLICATE, reject
from feed_platform.interactions.schemas import RawTable, payload_types, quoted, record_sql
from feed_platform.lake.append import append

STANDING = """
create or replace temp table aside (_part INTEGER, file_row_number BIGINT);
create or replace temp view standing as
from incoming anti join aside using (_part, file_row_number)
"""
# Hashes meet by chance, so the window looks at the keys themselves.
DUPLICATES = """
create or replace temp table duplicates as
select * from (
  select *, row_number() over least_first as nth,
         first_value(_file) over least_first as kept_file, first_value(_row) over least_first as kept_row
  from incoming
  where hash({key}) in (select hash({key}) from incoming group by 1 having count(*) > 1)
  window least_first as (partition by {key} order by received_at, _file, _row)
) where nth > 1
"""
COMMITTED = """
create or replace temp table committed as
select {key}, hash({payload}) as said from raw.{table} where {key} in (select {key} from standing)
"""
MET = """
create or replace temp table met as
select _part, file_row_number, hash({payload}) <> said as is_conflict
from standing join committed using ({key})
"""
PLACES = "select _part, file_row_number from {rows}"


def stand_events(con: duckdb.DuckDBPyConnection, table: RawTable, feed: Feed) -> None:
    """Make the view `standing` of `incoming`; reject repeated ids and rows that conflict with the lake's.

    The least (received_at, file, row) of an id stands; a committed row stands above all.
    """
    con.execute(STANDING)
    con.execute(DUPLICATES.format(key=table.key))
    record = record_sql(payload_types(table, feed))
    reject(con, table.name, "duplicates", DUPLICATE.format(key=table.key), record)
    append(con, "aside", PLACES.format(rows="duplicates"))
    payload = ", ".join(quoted(name) for name in payload_types(table, feed) if name != "received_at")
    for step in (COMMITTED, MET):
        con.execute(step.format(table=table.name, key=table.key, payload=payload))
    conflicts = "incoming semi join (from met where is_conflict) using (_part, file_row_number)"
    reject(con, table.name, conflicts, "'conflicts with the committed row'", record)
    append(con, "aside", PLACES.format(rows="met"))
