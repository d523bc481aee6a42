"""A table of the lake, or part of it, as a CSV or Parquet file."""

import os
import shutil
import sys
from pathlib import Path
from typing import Literal

import duckdb

from feed_platform.feed import FeedError
from feed_platform.lake.connection import Lake

Format = Literal["csv", "parquet"]
OPTIONS: dict[Format, str] = {"csv": "format csv, header", "parquet": "format parquet, compression zstd"}


def export_table(
    lake: Lake, table: str, form: Format, out: Path | None = None, where: str | None = None
) -> int:
    """Write a table's rows to a file, whole or not at all, or CSV to standard output; gives their number.

    Lists are JSON arrays in CSV, so that an import reads them again.

    Args:
        table: such as raw.impressions.
        where: SQL condition of the rows.

    Raises:
        FeedError: DuckDB refuses the table or the condition, or the file can't be written.
    """
    if out is None and form == "parquet":
        raise FeedError("parquet goes to a file: name it with -o")
    draft = (lake.temp / "export" if out is None else out).with_suffix(f".{os.getpid()}.draft")
    with lake.read() as con:
        try:
            rows = _copy(con, _select(con, table, form, where), form, draft)
            if out is None:
                _print(draft)
            else:
                os.replace(draft, out)
            return rows
        except (duckdb.Error, OSError) as error:
            raise FeedError(" ".join(str(error).split())) from error
        finally:
            draft.unlink(missing_ok=True)


def _print(file: Path) -> None:
    with file.open("rb") as source:
        shutil.copyfileobj(source, sys.stdout.buffer)
    sys.stdout.flush()


def _select(con: duckdb.DuckDBPyConnection, table: str, form: Format, where: str | None) -> str:
    source = ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))
    relation = con.sql(f"from {source}")
    lists = [
        name for name, kind in zip(relation.columns, relation.types, strict=True) if str(kind).endswith("[]")
    ]
    shown = ", ".join(f'to_json("{name}") as "{name}"' for name in lists) if form == "csv" else ""
    chosen = f"* replace ({shown})" if shown else "*"
    return f"select {chosen} from {source}" + (f" where ({where}\n)" if where else "")


def _copy(con: duckdb.DuckDBPyConnection, select: str, form: Format, out: Path) -> int:
    path = str(out).replace("'", "''")
    row = con.execute(f"copy ({select}) to '{path}' ({OPTIONS[form]})").fetchone()
    assert row is not None
    return int(row[0])
