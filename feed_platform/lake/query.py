"""SQL results for people and programs: a table, CSV or JSON, never truncated."""

import csv
import json
import sys
from typing import Literal, TextIO

import duckdb

from feed_platform.feed import FeedError
from feed_platform.lake.connection import Lake

Format = Literal["table", "csv", "json"]
BATCH = 10_000
NO_LIMIT = 2**31 - 1


def write_query(lake: Lake, sql: str, form: Format, out: TextIO = sys.stdout) -> None:
    """Run one read-only query and write its whole result.

    Raises:
        FeedError: DuckDB refuses the query; carries its message.
    """
    with lake.read() as con:
        try:
            result = con.sql(sql)
            if result is None:
                raise FeedError("the statement returns no rows: feed sql reads the lake")
            WRITERS[form](result, out)
        except duckdb.Error as error:
            raise FeedError(str(error)) from error


def _write_table(result: duckdb.DuckDBPyRelation, out: TextIO) -> None:
    result.show(max_width=NO_LIMIT, max_rows=NO_LIMIT, max_col_width=NO_LIMIT)


def _write_csv(result: duckdb.DuckDBPyRelation, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(result.columns)
    while rows := result.fetchmany(BATCH):
        writer.writerows(rows)


def _write_json(result: duckdb.DuckDBPyRelation, out: TextIO) -> None:
    separator = "["
    while rows := result.fetchmany(BATCH):
        for row in rows:
            out.write(separator + json.dumps(dict(zip(result.columns, row, strict=True)), default=str))
            separator = ",\n "
    out.write("[]\n" if separator == "[" else "]\n")


WRITERS = {"table": _write_table, "csv": _write_csv, "json": _write_json}
