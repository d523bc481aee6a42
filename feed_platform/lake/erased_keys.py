"""The integer keys under which derived tables know people, alone and together with another entity."""

from collections.abc import Callable, Mapping

import duckdb

Tables = dict[str, dict[str, str]]

ENTITIES = {"post": "post_id", "author": "author_id", "topic": "topic"}
# `pair_key` of the dbt macros, and the one that tables built by an earlier release have.
PAIR_KEYS = (
    "xor(md5_number_lower({user}), md5_number_lower({other}) >> 1)",
    "md5_number_lower({user} || chr(31) || {other})",
)
CREATE = """
create or replace temp table erased_keys as
select 'user' as grp, md5_number_lower(user_id) as old, cast(null as ubigint) as new from erased_people
"""
VALUES = """
create or replace temp table erased_values as
select value, {renamed} as new_value from ({values}) where value is not null
"""
GONE = """
insert into erased_keys select 'user_{group}', {pair}, null from erased_people, erased_values
"""
RENAMED = """
insert into erased_keys select '{group}', md5_number_lower(value), md5_number_lower(new_value)
from erased_values where value <> new_value
"""
RENAMED_PAIRS = """
insert into erased_keys select 'user_{group}', {old}, {new}
from (select user_id from ({users}) where user_id not in (select user_id from erased_people)), erased_values
where value <> new_value
"""


def gather_keys(con: duckdb.DuckDBPyConnection, tables: Tables, renamed: Callable[[str], str]) -> None:
    """Fill the temporary table `erased_keys`: group, old key, and the new one of what is renamed, else null.

    Args:
        con: where `erased_people` is filled.
        tables: the lake's tables with their columns.
        renamed: SQL of an id after the erasure, where it holds one of these people's.
    """
    con.execute(CREATE)
    for group, column in ENTITIES.items():
        values = _union(tables, {column}, f"select {column} as value")
        if values:
            con.execute(VALUES.format(renamed=renamed("value"), values=values))
            _gather(con, group, _union(tables, {"user_id", "post_id"}, "select user_id"))


def _gather(con: duckdb.DuckDBPyConnection, group: str, users: str) -> None:
    con.execute(RENAMED.format(group=group))
    for pair in PAIR_KEYS:
        old, new = (pair.format(user="user_id", other=other) for other in ("value", "new_value"))
        con.execute(GONE.format(group=group, pair=old))
        if users:
            con.execute(RENAMED_PAIRS.format(group=group, old=old, new=new, users=users))


def _union(tables: Mapping[str, Mapping[str, str]], wanted: set[str], select: str) -> str:
    """The distinct rows of a query over all raw tables that have certain columns."""
    raw = [name for name, columns in tables.items() if name.startswith("raw.") and wanted <= columns.keys()]
    found = " union all ".join(f"{select} from {name}" for name in raw)
    return f"select distinct * from ({found})" if found else ""
