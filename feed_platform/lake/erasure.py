"""A person's rows out of every table: which rows, found from the catalog, and what becomes of them.

Rows of a person alone go. Raw events also count for posts, topics and authors: they stay, without
the person, their ids, their request and their context, so that these sums never change. Where
the id stands as an author, in a composed id or in JSON, a pseudonym takes its place.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import polars as pl

from feed_platform.lake.erased import PREFIX, Suppression
from feed_platform.lake.erased_keys import Tables, gather_keys
from feed_platform.lake.traces import distinctive_forms, forms, is_distinctive, sql_pattern

TEXT = ("VARCHAR", "JSON", "VARCHAR[]")
PEOPLE = "(select user_id from erased_people)"
COLUMNS = """
select schema_name || '.' || table_name, column_name, data_type
from duckdb_columns() semi join duckdb_tables() using (database_name, schema_name, table_name)
where database_name = 'lake' order by 1, column_index
"""
# What tables without a user_id hang on.
OWNED = {"impression_id": "erased_impressions", "request_id": "erased_requests"}
EVENT_ID = f"'{PREFIX}' || replace(uuid()::varchar, '-', '')"


@dataclass(frozen=True)
class Change:
    """Rows of one table and what becomes of them: `to` is the SET clause of an UPDATE."""

    where: str
    to: str


@dataclass(frozen=True)
class Treatment:
    """One table: the condition of the rows that are deleted, if any, and the changes of others."""

    table: str
    deleted: str | None
    changes: tuple[Change, ...]

    def counts(self, con: duckdb.DuckDBPyConnection) -> list[int]:
        """Rows to delete, rows to change, and the rows of each change, in one scan."""
        marks = [self.deleted or "false", *(change.where for change in self.changes)]
        marked = ", ".join(f"coalesce({mark}, false) as m{place}" for place, mark in enumerate(marks))
        each = [f"m{place} and not m0" for place in range(1, len(marks))]
        counted = ", ".join(f"count_if({one})" for one in ["m0", " or ".join(each) or "false", *each])
        scan = f"select {counted} from (select {marked} from {self.table})"
        return list(con.execute(scan).fetchone() or ())

    def apply(self, con: duckdb.DuckDBPyConnection) -> tuple[int, int]:
        """Delete and change; how many rows of each."""
        deleted, changed, *each = self.counts(con)
        if deleted:
            con.execute(f"delete from {self.table} where {self.deleted}")
        for change, rows in zip(self.changes, each, strict=True):
            if rows:
                con.execute(f"update {self.table} set {change.to} where {change.where}")
        return deleted, changed


@dataclass(frozen=True)
class Found:
    """Rows to delete and rows to change, by table."""

    deleted: Mapping[str, int]
    changed: Mapping[str, int]

    @property
    def is_empty(self) -> bool:
        """Whether the lake holds nothing of these people."""
        return not self.deleted and not self.changed


def find(con: duckdb.DuckDBPyConnection, user_ids: Collection[str], known: Suppression) -> Found:
    """What an erasure would do to each table, without doing it. Creates temporary tables."""
    counts = {one.table: one.counts(con) for one in _treatments(con, user_ids, known)}
    return _found({table: (deleted, changed) for table, (deleted, changed, *_) in counts.items()})


def erase_rows(con: duckdb.DuckDBPyConnection, user_ids: Collection[str], known: Suppression) -> Found:
    """Erase people from every table, inside the caller's write transaction."""
    return _found({one.table: one.apply(con) for one in _treatments(con, user_ids, known)})


def named_people(con: duckdb.DuckDBPyConnection, user_ids: Collection[str]) -> set[str]:
    """Those of the ids that stand in a column `user_id` of any table."""
    tables = [name for name, columns in _tables(con).items() if "user_id" in columns]
    _people(con, {user_id: "" for user_id in user_ids})
    found = " union ".join(f"select user_id from {name} where user_id in {PEOPLE}" for name in tables)
    return {user_id for (user_id,) in con.execute(found).fetchall()}


def _found(counts: Mapping[str, tuple[int, int]]) -> Found:
    return Found(
        {table: deleted for table, (deleted, _) in counts.items() if deleted},
        {table: changed for table, (_, changed) in counts.items() if changed},
    )


def _treatments(
    con: duckdb.DuckDBPyConnection, user_ids: Collection[str], known: Suppression
) -> list[Treatment]:
    """What becomes of every table; the temporary tables that the conditions refer to are filled first."""
    tables = _tables(con)
    pseudonyms = {user_id: known.pseudonym(user_id) for user_id in sorted(set(user_ids))}
    text = Text(pseudonyms)
    _people(con, pseudonyms)
    _owned(con, tables)
    gather_keys(con, tables, text.redacted)
    found = (_treatment(name, columns, text) for name, columns in tables.items())
    return [one for one in found if one.deleted or one.changes]


def _treatment(name: str, columns: Mapping[str, str], text: "Text") -> Treatment:
    changes = (*_renamed_keys(columns), *text.changes(columns))
    if _is_event(name, columns):
        return Treatment(name, None, (Change(f"user_id in {PEOPLE}", _anonymous(columns)), *changes))
    return Treatment(name, " or ".join(_belonging(name, columns, text)) or None, changes)


def _tables(con: duckdb.DuckDBPyConnection) -> Tables:
    tables: Tables = {}
    for table, column, kind in con.execute(COLUMNS).fetchall():
        tables.setdefault(table, {})[column] = kind
    return tables


def _people(con: duckdb.DuckDBPyConnection, pseudonyms: Mapping[str, str]) -> None:
    people = pl.DataFrame(list(pseudonyms.items()), ["user_id", "pseudonym"], orient="row")
    con.register("given_people", people.cast(pl.String))
    con.execute("create or replace temp table erased_people as from given_people")
    con.unregister("given_people")


def _owned(con: duckdb.DuckDBPyConnection, tables: Tables) -> None:
    """The impressions and requests of these people; a request that others share is not theirs."""
    for column, owned in OWNED.items():
        named = [name for name, columns in tables.items() if {"user_id", column} <= columns.keys()]
        mine, others = (
            " union all ".join(f"select {column} from {name} where {is_theirs}" for name in named)
            for is_theirs in (f"user_id in {PEOPLE}", f"user_id not in {PEOPLE}")
        )
        con.execute(
            f"create or replace temp table {owned} as select distinct {column} from ({mine}) "
            f"where {column} is not null"
        )
        con.execute(
            f"delete from {owned} where {column} in (select {column} from ({others}) "
            f"where {column} in (from {owned}))"
        )


def _is_event(name: str, columns: Mapping[str, str]) -> bool:
    return name.startswith("raw.") and {"user_id", "post_id"} <= columns.keys()


def _anonymous(columns: Mapping[str, str]) -> str:
    """An event that happened to a post, and to nobody: its own id is random, others and JSON are gone."""
    own, *others = [name for name in columns if name.endswith("_id") and name not in ("post_id", "author_id")]
    empty = [*others, *(name for name, kind in columns.items() if kind == "JSON")]
    return ", ".join([f"{own} = {EVENT_ID}", *(f"{name} = null" for name in empty)])


def _belonging(name: str, columns: Mapping[str, str], text: "Text") -> Iterator[str]:
    """Conditions that make a row a person's own."""
    if "user_id" in columns:
        yield f"user_id in {PEOPLE}"
    else:
        yield from (f"{column} in (from {owned})" for column, owned in OWNED.items() if column in columns)
    yield from (f"{key} in ({_keys_of(group, 'is null')})" for group, key in _groups(columns))
    if _has_entities(columns):
        yield "(entity_group, entity_key) in (select grp, old from erased_keys where new is null)"
    if name.startswith("quarantine."):
        yield from (
            f"json_extract_string({column}, '$.user_id') in {PEOPLE}"
            for column, kind in columns.items()
            if kind == "JSON"
        )
        yield from (text.where(column) for column, kind in columns.items() if kind in TEXT and text.forms)


def _renamed_keys(columns: Mapping[str, str]) -> Iterator[Change]:
    for group, key in _groups(columns):
        new = f"(select new from erased_keys where grp = '{group}' and old = {key})"
        yield Change(f"{key} in ({_keys_of(group, 'is not null')})", f"{key} = {new}")
    if _has_entities(columns):
        new = "(select new from erased_keys where grp = entity_group and old = entity_key)"
        renamed = "(entity_group, entity_key) in (select grp, old from erased_keys where new is not null)"
        yield Change(renamed, f"entity_key = {new}")


def _keys_of(group: str, condition: str) -> str:
    return f"select old from erased_keys where grp = '{group}' and new {condition}"


def _groups(columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Entity groups and their key columns: `user_topic` and `user_topic_key`."""
    keys = [name for name in columns if name.endswith("_key") and columns[name] == "UBIGINT"]
    return [(name.removesuffix("_key"), name) for name in keys if name != "entity_key"]


def _has_entities(columns: Mapping[str, str]) -> bool:
    return {"entity_group", "entity_key"} <= columns.keys()


class Text:
    """Where these people's ids stand in text, and what stands there afterwards.

    Only ids that can't mean anything else (`is_distinctive`) are looked for.
    """

    def __init__(self, pseudonyms: Mapping[str, str]) -> None:
        self.forms = distinctive_forms(pseudonyms)
        self._pseudonyms = pseudonyms

    def where(self, column: str) -> str:
        """SQL: does the column's text hold one of the ids?"""
        cell = f"{quoted(column)}::varchar"
        tests = (
            f"(contains({cell}, {literal(form)}) and regexp_matches({cell}, {literal(sql_pattern(form))}))"
            for form in self.forms
        )
        return "(" + " or ".join(tests) + ")"

    def redacted(self, text: str) -> str:
        """SQL of a text with pseudonyms for ids; twice, since neighbours share what stands between them."""
        for user_id, pseudonym in self._pseudonyms.items():
            for form in forms(user_id) if is_distinctive(user_id) else []:
                for _ in range(2):
                    new = literal(rf"\1{pseudonym}\2")
                    text = f"regexp_replace({text}, {literal(sql_pattern(form))}, {new}, 'g')"
        return text

    def changes(self, columns: Mapping[str, str]) -> Iterator[Change]:
        """The changes of one table's texts."""
        for column, kind in columns.items() if self.forms else ():
            if kind in TEXT and column != "user_id":
                yield Change(self.where(column), f"{quoted(column)} = {self._replacement(column, kind)}")

    def _replacement(self, column: str, kind: str) -> str:
        if kind == "VARCHAR[]":
            return f"list_transform({quoted(column)}, lambda x: {self.redacted('x')})"
        return f"cast({self.redacted(f'{quoted(column)}::varchar')} as {kind})"


def quoted(name: str) -> str:
    """A column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
