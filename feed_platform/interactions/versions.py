"""Which rows of users and posts come in: versions that say something new."""

import duckdb

from feed_platform.feed import Feed
from feed_platform.interactions.quarantine import DUPLICATE, reject
from feed_platform.interactions.schemas import RawTable, literal, payload_types, quoted, record_sql

# Who stands once in the import and not at all in the lake is new; the others are told apart below.
CONTESTED = """
create or replace temp table contested as
select hash({key}) as key_hash from incoming group by 1 having count(*) > 1
union
select hash({key}) from raw.{table} where {key} in (select {key} from incoming)
"""
RANKED = """
create or replace temp table ranked as
select *, row_number() over least_first as place,
       {payload} is distinct from first_value({payload}) over least_first as is_other,
       first_value(_file) over least_first as kept_file, first_value(_row) over least_first as kept_row
from incoming where hash({key}) in (from contested)
window least_first as (partition by {key}, said_at order by received_at, _file, _row)
"""
# A later version of the same instant replaces the earlier one; news received before what is
# committed is no news; versions received live follow the committed ones.
DATED = """
create or replace temp table dated as
select s.* exclude (known_at), case when {is_live}
         then greatest(s.known_at, latest.known_at + interval 1 microsecond) else s.known_at end as known_at
from ranked s left join (
  select {key}, max(known_at) as known_at, max(received_at) as received_at from raw.{table} group by 1
) latest using ({key})
where place = 1 and not ({is_live} and coalesce(s.said_at <= latest.received_at, false))
qualify row_number() over (partition by s.{key}, s.known_at order by s.said_at desc) = 1
"""
# A version is news if it differs from what anyone, and from what its own source, said before.
JUDGED = """
create or replace temp table judged as
with versions as (
  select {key}, known_at, source, {payload} as payload, false as is_new
  from raw.{table} where {key} in (select {key} from dated)
  union all
  select {key}, known_at, {source}, {payload}, true from dated
), told as (
  select {key}, known_at, is_new,
         payload is not distinct from lag(payload) over by_all
         or payload is not distinct from lag(payload) over by_source as is_repeated,
         not is_repeated and lag(known_at) over by_all is not distinct from known_at as is_conflict
  from versions
  window by_all as (partition by {key} order by known_at, is_new),
         by_source as (partition by {key}, source order by known_at, is_new)
)
select d.*, is_repeated, is_conflict from told join dated d using ({key}, known_at) where is_new
"""
STANDING = """
create or replace temp view standing as
select {columns}, known_at from incoming where hash({key}) not in (from contested)
union all
select {columns}, known_at from judged where not is_repeated and not is_conflict
"""


def stand_versions(
    con: duckdb.DuckDBPyConnection, table: RawTable, feed: Feed, source: str, is_live: bool
) -> None:
    """Make the view `standing` of `incoming`; reject repeated and conflicting versions."""
    types = payload_types(table, feed)
    said = ", ".join(f"{quoted(name)}::varchar" for name in types if name != "received_at")
    names = {
        "table": table.name,
        "key": table.key,
        "payload": f"row({said})",
        "columns": ", ".join(map(quoted, types)),
        "source": literal(source),
        "is_live": is_live,
    }
    for step in (CONTESTED, RANKED, DATED, JUDGED, STANDING):
        con.execute(step.format(**names))
    record = record_sql(types)
    repeated = "ranked where place > 1 and is_other"
    reject(con, table.name, repeated, DUPLICATE.format(key=table.key), record)
    reject(con, table.name, "judged where is_conflict", "'conflicts with the committed row'", record)
