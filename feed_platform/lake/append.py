"""Rows into a temporary table."""

from collections.abc import Mapping
from typing import Any

import duckdb


def append(
    con: duckdb.DuckDBPyConnection, table: str, query: str, parameters: Mapping[str, Any] | None = None
) -> None:
    """Insert a query's rows into a temporary table, or do nothing where it has none.

    DuckDB 1.5 loses an insert of more than 122,880 rows, a row group, if the table's first insert in
    the same transaction was of no rows: so there is never one of none.
    """
    given = dict(parameters or {})
    if con.execute(f"select 1 from ({query}) limit 1", given).fetchone():
        con.execute(f"insert into {table} {query}", given)
