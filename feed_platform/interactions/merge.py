"""Staged rows into the raw tables: bad ones to quarantine, the others where they stand as new.

All of it runs in DuckDB, inside the caller's write transaction. The view `incoming` holds a table's
good rows with their `known_at`; `events` and `versions` make of it the view `standing`: the rows that
are neither repeated nor known. The few that need a closer look are found by a hash of their key, so
that the many are scanned only, neither sorted nor joined.
"""

from dataclasses import dataclass
from datetime import datetime

import duckdb

from feed_platform.feed import Feed, FeedError
from feed_platform.interactions.batch import Mode, TableCounts
from feed_platform.interactions.events import stand_events
from feed_platform.interactions.quarantine import quarantine, reject, rejected
from feed_platform.interactions.schemas import (
    ATTRIBUTE_TYPES,
    RawTable,
    attributes_of,
    instant_literal,
    literal,
    payload_types,
    quoted,
)
from feed_platform.interactions.staging import Staging
from feed_platform.interactions.versions import stand_versions
from feed_platform.lake import seal
from feed_platform.lake.erased import erased_filter, erased_name
from feed_platform.lake.seal import reopen
from feed_platform.lake.tables import columns_of

Days = tuple[datetime, datetime]

STAGED = """
create or replace temp view staged as
select * replace (coalesce(_row, file_row_number + 1) as _row{renamed})
from read_parquet({files}, file_row_number = true)
"""
INCOMING = """
create or replace temp view incoming as
select * exclude ({own}), greatest(said_at, {floor}) as known_at
from (select * replace ({received_at} as received_at), {said_at} as said_at from staged)
where _reason is null and {is_welcome}
"""
# An engagement from inside an impression's row shares that row's fate.
NOT_FALLEN = """
not (_in_row and (_file, _row) in (select (file, row) from rejects where raw_table = 'impressions'))
"""
# Whether the rows lie by time already, as logs do: then they are found by day without a sort.
IS_CLUSTERED = """
select coalesce(sum(last - first) <= 2 * (max(last) - min(first)), true) from (
  select epoch(stats_min_value::timestamp) as first, epoch(stats_max_value::timestamp) as last
  from parquet_metadata({files}) where path_in_schema = '{time}'
)
"""
INSERT = """
insert into raw.{table} ({columns}, known_at, source)
select {columns}, known_at, $source from standing where {in_days} {order}
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
        files = staging.files(table.name)
        if files is None:
            return TableCounts()
        self._show(table, files)
        read = rejected(self.con, table.name)[0] + self._count("incoming", "true")
        self._stand(table)
        self._look_below_seal(table)
        elsewhere = self._count("standing", f"not ({self._in_days(table)})") if self.days else 0
        inserted = self._insert(table, files)
        bad, rules = rejected(self.con, table.name)
        if bad:
            quarantine(self.con, table.name, self.source, self.imported_at)
        return TableCounts(read, inserted, read - inserted - elsewhere - bad, bad, rules)

    def _show(self, table: RawTable, files: str) -> None:
        """Make the views `staged` and `incoming`, without people that were erased; reject bad rows."""
        person = "user_id" if table.name != "posts" else "author_id"
        self.con.execute(STAGED.format(files=literal(files), renamed=self._renamed(table)))
        is_known = erased_filter(self.con, f"(_record->>'{person}')")
        reject(self.con, table.name, f"staged where _reason is not null and {is_known}", "_reason", "_record")
        floor = seal(self.con, self.feed) if self.mode == "live" else self.feed.start_at
        view = INCOMING.format(
            own="_reason, _record" if table.is_event else "_reason, _record, known_at",
            floor=instant_literal(floor),
            received_at=self._received_at(),
            said_at=self._said_at(table),
            is_welcome=self._is_welcome(table, person),
        )
        self.con.execute(view)

    def _renamed(self, table: RawTable) -> str:
        """Pseudonyms for people that were erased, in what is told of others: authors, attributes."""
        if table.is_event:
            return ""
        types = payload_types(table, self.feed)
        texts = [quoted(name) for name, kind in types.items() if kind == "VARCHAR" and name != table.key]
        return "".join(f", {erased_name(self.con, name)} as {name}" for name in texts)

    def _is_welcome(self, table: RawTable, person: str) -> str:
        is_welcome = erased_filter(self.con) if person == "user_id" else "true"
        has_rejects = table.name == "engagements" and rejected(self.con, "impressions")[0] > 0
        return f"{is_welcome} and {NOT_FALLEN}" if has_rejects else is_welcome

    def _received_at(self) -> str:
        if self.mode == "history":
            return "received_at"
        return f"coalesce(received_at, {instant_literal(self.imported_at)})"

    def _said_at(self, table: RawTable) -> str:
        """SQL of the instant that a row claims for itself."""
        if self.mode == "live":
            received = self._received_at()
            return f"greatest({table.time}, {received})" if table.is_event else received
        if table.is_event:
            return str(table.time)
        return f"coalesce(known_at, {instant_literal(self.feed.start_at)})"

    def _stand(self, table: RawTable) -> None:
        if table.is_event:
            stand_events(self.con, table, self.feed)
        else:
            stand_versions(self.con, table, self.feed, self.source, self.mode == "live")

    def _in_days(self, table: RawTable) -> str:
        if self.days is None or not table.is_event:
            return "true"
        first, end = map(instant_literal, self.days)
        return f"known_at >= {first} and known_at < {end}"

    def _look_below_seal(self, table: RawTable) -> None:
        """Refuse a history's new rows below the seal, or note that they reopen it."""
        if self.mode == "live":
            return
        sealed_until = seal(self.con, self.feed)
        below = f"{self._in_days(table)} and known_at < {instant_literal(sealed_until)}"
        row = self.con.execute(f"select count(*), min(known_at) from standing where {below}").fetchone()
        rows, first = row or (0, None)
        if rows and not self.as_history:
            raise FeedError(
                f"{rows} new rows of {table.name} from {self.source} lie before {sealed_until} UTC, "
                "up to which the past is closed: import them with --mode live, so that they count from now "
                "on, or with --as-history, which rebuilds from there"
            )
        if rows:
            reopen(self.con, first)

    def _insert(self, table: RawTable, files: str) -> int:
        columns = ", ".join(map(quoted, payload_types(table, self.feed)))
        order = "" if self._is_clustered(table, files) else f"order by known_at, {table.key}"
        sql = INSERT.format(table=table.name, columns=columns, in_days=self._in_days(table), order=order)
        row = self.con.execute(sql, {"source": self.source}).fetchone()
        return int(row[0]) if row else 0

    def _is_clustered(self, table: RawTable, files: str) -> bool:
        if not table.is_event:
            return False
        row = self.con.execute(IS_CLUSTERED.format(files=literal(files), time=table.time)).fetchone()
        return bool(row and row[0])

    def _count(self, relation: str, condition: str) -> int:
        row = self.con.execute(f"select count(*) from {relation} where {condition}").fetchone()
        assert row is not None
        return int(row[0])


def add_attribute_columns(con: duckdb.DuckDBPyConnection, table: RawTable, feed: Feed) -> None:
    """Give a raw table a column for each attribute that the feed declares."""
    stored = columns_of(con, f"raw.{table.name}")
    for name, kind in attributes_of(table, feed).items():
        if name not in stored:
            con.execute(f"alter table raw.{table.name} add column {quoted(name)} {ATTRIBUTE_TYPES[kind]}")
