"""Rows that may not come in: kept with the reason, the file and the row, each once."""

from collections import Counter
from datetime import datetime

import duckdb

from feed_platform.lake.append import append
from feed_platform.lake.erased import names_erased

NAMES_ERASED = "names someone who was erased"
CREATE_REJECTS = """
create or replace temp table rejects (
  raw_table VARCHAR, file VARCHAR, row BIGINT, reason VARCHAR, record VARCHAR)
"""
WITHOUT_VALUES = "regexp_replace(regexp_replace(reason, '''.*?'' ', '', 'g'), ', row .* kept', '', 'g')"
RULES = f"unnest(string_split({WITHOUT_VALUES}, '; '))"
QUARANTINE_ID = "md5(concat_ws(chr(31), $source, file, row, record))"
# Said of a row beside the one that was kept in its stead: `kept_file`, `kept_row`.
DUPLICATE = """
format('duplicate {key}, row {{}}{{}} kept', kept_row,
       case when kept_file is distinct from _file then ' of ' || kept_file else '' end)
"""


def create_rejects(con: duckdb.DuckDBPyConnection) -> None:
    """The temporary table that gathers an import's bad rows."""
    con.execute(CREATE_REJECTS)


def reject(con: duckdb.DuckDBPyConnection, table: str, rows: str, reason: str, record: str) -> None:
    """Gather bad rows of a table: a relation with `_file` and `_row`, SQL of the reason and of the cells.

    Of a row that names someone who was erased neither reason nor cells are kept.
    """
    found = f"select _file, _row, {reason} as reason, {record} as record from {rows}"
    named = names_erased(con, "record")
    kept = f"if({named}, '{NAMES_ERASED}', reason), if({named}, null, record)"
    append(con, "rejects", f"select $table, _file, _row, {kept} from ({found})", {"table": table})


def quarantine(con: duckdb.DuckDBPyConnection, table: str, source: str, at: datetime) -> None:
    """Bring a table's bad rows into quarantine, those not yet there."""
    con.execute(
        f"""insert into quarantine.{table}
            select {QUARANTINE_ID} as id, $source, file, row, min(reason), any_value(record), $at
            from rejects where raw_table = $table
              and {QUARANTINE_ID} not in (select quarantine_id from quarantine.{table})
            group by id, file, row order by file, row""",
        {"table": table, "source": source, "at": at},
    )


def rejected(con: duckdb.DuckDBPyConnection, table: str) -> tuple[int, Counter[str]]:
    """How many rows of a table were rejected in this import, and how often each rule was broken."""
    row = con.execute("select count(*) from rejects where raw_table = ?", [table]).fetchone()
    assert row is not None
    rules = con.execute(
        f"select rule, count(*) from (select {RULES} as rule from rejects where raw_table = ?) group by 1",
        [table],
    )
    return row[0], Counter(dict(rules.fetchall()))


def quarantined_rules(con: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, int]]:
    """The rules that a table's quarantined rows broke, most frequent first."""
    return con.execute(
        f"""select rule, count(*) from (select {RULES} as rule from quarantine.{table})
            group by 1 order by 2 desc, 1"""
    ).fetchall()
