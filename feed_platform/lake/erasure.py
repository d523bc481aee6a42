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
from feed_platform.lake.traces import distinctive_forms, forms, is_distinctive, sql_pattern

Tables = dict[str, dict[str, str]]

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
SEPARATOR = "chr(31)"


@dataclass(frozen=True)
class Step:
    """One statement: rows of `table` are deleted, or changed by `change`, the SET clause of an UPDATE."""

    table: str
    where: str
    change: str | None = None

    @property
    def count(self) -> str:
        """SQL of how many rows it concerns."""
        return f"select count(*) from {self.table} where {self.where}"

    @property
    def sql(self) -> str:
        """The statement."""
        if self.change is None:
            return f"delete from {self.table} where {self.where}"
        return f"update {self.table} set {self.change} where {self.where}"


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
    return _found([(step, _count(con, step)) for step in _steps(con, user_ids, known)])


def erase_rows(con: duckdb.DuckDBPyConnection, user_ids: Collection[str], known: Suppression) -> Found:
    """Erase people from every table, inside the caller's write transaction."""
    done = []
    for step in _steps(con, user_ids, known):
        count = _count(con, step)
        done.append((step, count))
        if count:
            con.execute(step.sql)
    return _found(done)


def named_people(con: duckdb.DuckDBPyConnection, user_ids: Collection[str]) -> set[str]:
    """Those of the ids that stand in a column `user_id` of any table."""
    tables = [name for name, columns in _tables(con).items() if "user_id" in columns]
    _people(con, {user_id: "" for user_id in user_ids})
    found = " union ".join(f"select user_id from {name} where user_id in {PEOPLE}" for name in tables)
    return {user_id for (user_id,) in con.execute(found).fetchall()}


def _found(steps: list[tuple[Step, int]]) -> Found:
    deleted = {step.table: count for step, count in steps if count and step.change is None}
    changed: dict[str, int] = {}
    for step, count in steps:
        if count and step.change is not None:
            changed[step.table] = changed.get(step.table, 0) + count
    return Found(deleted, changed)


def _count(con: duckdb.DuckDBPyConnection, step: Step) -> int:
    row = con.execute(step.count).fetchone()
    return int(row[0]) if row else 0


def _steps(con: duckdb.DuckDBPyConnection, user_ids: Collection[str], known: Suppression) -> Iterator[Step]:
    """Every statement, in order; what they refer to is gathered before the first."""
    tables = _tables(con)
    pseudonyms = {user_id: known.pseudonym(user_id) for user_id in sorted(set(user_ids))}
    _people(con, pseudonyms)
    _owned(con, tables)
    text = Text(pseudonyms)
    _keys(con, tables, text)
    for name, columns in tables.items():
        if _is_event(name, columns):
            yield Step(name, f"user_id in {PEOPLE}", _anonymous(columns))
        elif where := " or ".join(_belonging(name, columns, text)):
            yield Step(name, where)
        yield from _renamed_keys(name, columns)
        yield from text.steps(name, columns)


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


def _renamed_keys(name: str, columns: Mapping[str, str]) -> Iterator[Step]:
    for group, key in _groups(columns):
        new = f"(select new from erased_keys where grp = '{group}' and old = {key})"
        yield Step(name, f"{key} in ({_keys_of(group, 'is not null')})", f"{key} = {new}")
    if _has_entities(columns):
        new = "(select new from erased_keys where grp = entity_group and old = entity_key)"
        renamed = "(entity_group, entity_key) in (select grp, old from erased_keys where new is not null)"
        yield Step(name, renamed, f"entity_key = {new}")


def _keys_of(group: str, condition: str) -> str:
    return f"select old from erased_keys where grp = '{group}' and new {condition}"


def _groups(columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Entity groups and their key columns: `user_topic` and `user_topic_key`."""
    keys = [name for name in columns if name.endswith("_key") and columns[name] == "UBIGINT"]
    return [(name.removesuffix("_key"), name) for name in keys if name != "entity_key"]


def _has_entities(columns: Mapping[str, str]) -> bool:
    return {"entity_group", "entity_key"} <= columns.keys()


def _keys(con: duckdb.DuckDBPyConnection, tables: Tables, text: "Text") -> None:
    """`erased_keys`: integer keys of these people, alone and with each other entity, and those renamed."""
    con.execute("create or replace temp table erased_keys (grp VARCHAR, old UBIGINT, new UBIGINT)")
    con.execute(f"insert into erased_keys select 'user', md5_number_lower(user_id), null from {PEOPLE}")
    for group, column in _entities(tables).items():
        holders = [name for name, columns in tables.items() if name.startswith("raw.") and column in columns]
        values = " union ".join(f"select {column} as value from {name}" for name in holders)
        con.execute(
            "create or replace temp table erased_values as "
            f"select value, {text.redacted('value')} as new_value from ({values}) where value is not null"
        )
        con.execute(PAIRS, {"grp": f"user_{group}"})
        if text.forms:
            _rename_keys(con, tables, group)


PAIRS = f"""
insert into erased_keys
select $grp, md5_number_lower(user_id || {SEPARATOR} || value), null from {PEOPLE}, erased_values
"""
RENAMED = """
insert into erased_keys
select $grp, md5_number_lower(value), md5_number_lower(new_value) from erased_values where value <> new_value
"""
RENAMED_PAIRS = """
insert into erased_keys
select $grp, md5_number_lower(user_id || {separator} || value),
       md5_number_lower(user_id || {separator} || new_value)
from (select user_id from ({users}) where user_id is not null and user_id not in {people}), erased_values
where value <> new_value
"""


def _rename_keys(con: duckdb.DuckDBPyConnection, tables: Tables, group: str) -> None:
    con.execute(RENAMED, {"grp": group})
    events = [name for name, columns in tables.items() if _is_event(name, columns)]
    users = " union ".join(f"select user_id from {name}" for name in events)
    sql = RENAMED_PAIRS.format(separator=SEPARATOR, users=users, people=PEOPLE)
    con.execute(sql, {"grp": f"user_{group}"})


def _entities(tables: Tables) -> dict[str, str]:
    """The entities that raw posts name besides the person, by group: `author` in `author_id`."""
    posts = tables.get("raw.posts", {})
    return {name.removesuffix("_id"): name for name in ("post_id", "author_id", "topic") if name in posts}


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

    def steps(self, name: str, columns: Mapping[str, str]) -> Iterator[Step]:
        """The changes of one table's texts."""
        for column, kind in columns.items() if self.forms else ():
            if kind in TEXT and column != "user_id":
                new = self._replacement(quoted(column), kind)
                yield Step(name, self.where(column), f"{quoted(column)} = {new}")

    def _replacement(self, column: str, kind: str) -> str:
        if kind == "VARCHAR[]":
            return f"list_transform({column}, lambda x: {self.redacted('x')})"
        return f"cast({self.redacted(f'{column}::varchar')} as {kind})"


def quoted(name: str) -> str:
    """A column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
