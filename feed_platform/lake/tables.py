"""What tables a lake has.

Asked of the tables themselves: DuckDB's lists of all tables take ten times as long.
"""

import duckdb


def has_table(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether the lake has a table; `name` is schema.table."""
    return bool(columns_of(con, name))


def columns_of(con: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """A table's columns in their order, none where there is no such table; `name` is schema.table."""
    try:
        empty = con.execute(f"select * from lake.{name} limit 0")
    except duckdb.CatalogException:
        return []
    return [str(column[0]) for column in empty.description or ()]
