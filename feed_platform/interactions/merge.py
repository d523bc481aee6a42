"""Staged rows into the raw tables: who wins among duplicates, what is known already, since when.

Each table goes through two temporary tables: `ranked` (the import's rows; `place` 1 wins) and
`judged` (the winners with their `known_at`, marked known or conflicting). All of it runs in
DuckDB, inside the caller's write transaction.
"""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from feed_platform.feed import Feed, FeedError
from feed_platform.interactions.batch import Mode, TableCounts
from feed_platform.interactions.quarantine import quarantine, reject_staged, rejected
from feed_platform.interactions.schemas import ATTRIBUTE_TYPES, RawTable, attributes_of, payload_types
from feed_platform.interactions.staging import Staging
from feed_platform.lake import seal

Days = tuple[datetime, datetime]

# An engagement from inside an impression's row shares that row's fate.
RANK = """
create or replace temp table ranked as
select *, row_number() over least_first as place, {is_other} as is_other,
       first_value(_file) over least_first as kept_file, first_value(_row) over least_first as kept_row
from (
  select * replace (coalesce(received_at, $received_at) as received_at), {said_at} as said_at
  from read_parquet($files)
) s
where not (_in_row and exists (
  select 1 from rejects where raw_table = 'impressions' and file = s._file and row = s._row))
window least_first as (partition by {grain} order by received_at, _file, _row)
"""
REJECT_DUPLICATES = """
insert into rejects
select $table, _file, _row, format('duplicate {key}, row {{}}{{}} kept', kept_row,
       case when kept_file is distinct from _file then ' of ' || kept_file else '' end), {record}
from ranked where place > 1 and is_other
"""
JUDGE_EVENTS = """
create or replace temp table judged as
select s.*, greatest(s.said_at, $floor) as known_at, r.{key} is not null as is_known,
       is_known and {payload_s} is distinct from {payload_r} as is_conflict
from ranked s left join raw.{table} r using ({key}) where place = 1
"""
# A later version of the same instant replaces the earlier one; news received before what is
# committed is no news; versions received live follow the committed ones.
DATE_VERSIONS = """
create or replace temp table dated as
select s.* exclude (known_at), case when $is_live
         then greatest(s.said_at, $floor, latest.known_at + interval 1 microsecond)
         else greatest(s.said_at, $floor) end as known_at
from ranked s left join (
  select {key}, max(known_at) as known_at, max(received_at) as received_at from raw.{table} group by 1
) latest using ({key})
where place = 1 and not ($is_live and coalesce(s.said_at <= latest.received_at, false))
qualify row_number() over (partition by s.{key}, greatest(s.said_at, $floor) order by s.said_at desc) = 1
"""
# A version is news if it differs from what anyone, and from what its own source, said before.
JUDGE_VERSIONS = """
create or replace temp table judged as
with versions as (
  select {key}, known_at, source, {payload} as payload, false as is_new
  from raw.{table} where {key} in (select {key} from dated)
  union all
  select {key}, known_at, $source, {payload}, true from dated
), told as (
  select {key}, known_at, is_new,
         payload is not distinct from lag(payload) over by_all
         or payload is not distinct from lag(payload) over by_source as is_repeated,
         not is_repeated and lag(known_at) over by_all is not distinct from known_at as is_conflict
  from versions
  window by_all as (partition by {key} order by known_at, is_new),
         by_source as (partition by {key}, source order by known_at, is_new)
)
select d.*, is_repeated or is_conflict as is_known, is_conflict
from told join dated d using ({key}, known_at) where is_new
"""
REJECT_CONFLICTS = """
insert into rejects select $table, _file, _row, 'conflicts with the committed row', {record}
from judged where is_conflict
"""
INSERT = """
insert into raw.{table} ({columns}, known_at, source)
select {columns}, known_at, $source from judged where not is_known and {in_days} order by known_at, {key}
"""


@dataclass(frozen=True)
class Merge:
    """One import on an open write transaction.

    `days` limits events to those known in [first, last); `as_history` accepts rows below the seal.
    """

    con: duckdb.DuckDBPyConnection
    feed: Feed
    mode: Mode
    source: str
    imported_at: datetime
    as_history: bool = False
    days: Days | None = None

    def run(self, table: RawTable, staging: Staging) -> TableCounts:
        """Merge one table.

        Raises:
            FeedError: a history has rows below the seal.
        """
        add_attribute_columns(self.con, table, self.feed)
        reject_staged(self.con, table.name, staging.files(table.name, "bad"))
        read, _ = rejected(self.con, table.name)
        inserted = elsewhere = 0
        files = staging.files(table.name, "good")
        if files is not None:
            self._rank(table, files)
            self._judge(table)
            self._refuse_below_seal(table)
            read += self._count("ranked", "true")
            elsewhere = self._count("judged", f"not is_known and not ({self._in_days(table)})")
            inserted = self._insert(table)
        bad, rules = rejected(self.con, table.name)
        if bad:
            quarantine(self.con, table.name, self.source, self.imported_at)
        return TableCounts(read, inserted, read - inserted - elsewhere - bad, bad, rules)

    def _rank(self, table: RawTable, files: str) -> None:
        key, payload = table.key, self._payload(table)
        other = f"{payload} is distinct from first_value({payload}) over least_first"
        grain, is_other = (key, "true") if table.is_event else (f"{key}, said_at", other)
        received_at = self.imported_at if self.mode == "live" else None
        sql = RANK.format(said_at=self._said_at(table), grain=grain, is_other=is_other)
        self.con.execute(sql, {"files": files, "received_at": received_at})
        self._reject(REJECT_DUPLICATES, table)

    def _judge(self, table: RawTable) -> None:
        floor = seal(self.con, self.feed) if self.mode == "live" else self.feed.start_at
        names = {"table": table.name, "key": table.key, "payload": self._payload(table)}
        if table.is_event:
            sides = {f"payload_{side}": self._payload(table, f"{side}.") for side in "sr"}
            self.con.execute(JUDGE_EVENTS.format(**names, **sides), {"floor": floor})
        else:
            dated = {"floor": floor, "is_live": self.mode == "live"}
            self.con.execute(DATE_VERSIONS.format(**names), dated)
            self.con.execute(JUDGE_VERSIONS.format(**names), {"source": self.source})
        self._reject(REJECT_CONFLICTS, table)

    def _said_at(self, table: RawTable) -> str:
        """SQL of the instant that a row claims for itself."""
        if self.mode == "live":
            received = "coalesce(received_at, $received_at)"
            return f"greatest({table.time}, {received})" if table.is_event else received
        return str(table.time) if table.is_event else f"coalesce(known_at, {_literal(self.feed.start_at)})"

    def _in_days(self, table: RawTable) -> str:
        if self.days is None or not table.is_event:
            return "true"
        first, end = map(_literal, self.days)
        return f"known_at >= {first} and known_at < {end}"

    def _refuse_below_seal(self, table: RawTable) -> None:
        if self.mode == "live" or self.as_history:
            return
        row = self.con.execute("select max(sealed_until) from raw.seals").fetchone()
        if row is None or row[0] is None:
            return
        below = self._count(
            "judged", f"not is_known and {self._in_days(table)} and known_at < {_literal(row[0])}"
        )
        if below:
            raise FeedError(
                f"{below} new rows of {table.name} from {self.source} lie before {row[0]} UTC, "
                "up to which the past is closed: import them with --mode live, so that they count from now "
                "on, or with --as-history, which rebuilds from there"
            )

    def _insert(self, table: RawTable) -> int:
        columns = ", ".join(map(quoted, payload_types(table, self.feed)))
        sql = INSERT.format(table=table.name, columns=columns, key=table.key, in_days=self._in_days(table))
        row = self.con.execute(sql, {"source": self.source}).fetchone()
        return int(row[0]) if row else 0

    def _reject(self, sql: str, table: RawTable) -> None:
        names = map(quoted, payload_types(table, self.feed))
        record = "to_json(struct_pack(" + ", ".join(f"{name} := {name}" for name in names) + "))"
        self.con.execute(sql.format(key=table.key, record=record), {"table": table.name})

    def _payload(self, table: RawTable, prefix: str = "") -> str:
        """SQL of what a row says, apart from when it came."""
        columns = [name for name in payload_types(table, self.feed) if name != "received_at"]
        return "row(" + ", ".join(f"{prefix}{quoted(name)}::varchar" for name in columns) + ")"

    def _count(self, relation: str, condition: str) -> int:
        row = self.con.execute(f"select count(*) from {relation} where {condition}").fetchone()
        assert row is not None
        return int(row[0])


def add_attribute_columns(con: duckdb.DuckDBPyConnection, table: RawTable, feed: Feed) -> None:
    """Give a raw table a column for each attribute that the feed declares."""
    stored = columns_of(con, table)
    for name, kind in attributes_of(table, feed).items():
        if name not in stored:
            con.execute(f"alter table raw.{table.name} add column {quoted(name)} {ATTRIBUTE_TYPES[kind]}")


def columns_of(con: duckdb.DuckDBPyConnection, table: RawTable) -> set[str]:
    """The columns that a raw table has in the lake."""
    found = con.execute(
        "select column_name from information_schema.columns "
        "where table_catalog = 'lake' and table_schema = 'raw' and table_name = ?",
        [table.name],
    ).fetchall()
    return {name for (name,) in found}


def quoted(name: str) -> str:
    """A column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _literal(instant: datetime) -> str:
    return f"timestamp '{instant.isoformat(sep=' ')}'"
