"""What the raw days hold, as hashes: the same rows give the same hash, in whichever order they came."""

from datetime import datetime
from typing import Any

import duckdb

# The sum of a day's row hashes, modulo 2^64.
RAW_DAYS = """
select cast(known_at as date) as day, source, count(*) as rows,
    format('{{:016x}}', cast(sum(cast(hash(one) as hugeint)) % 18446744073709551616 as ubigint)) as content
from raw.{table} as one where known_at >= $first and known_at < $until
group by 1, 2 order by 1, 2
"""
TABLES = ("impressions", "engagements")
NAMES = ("day", "source", "rows", "content")
RawDays = dict[str, list[dict[str, Any]]]


def raw_days(con: duckdb.DuckDBPyConnection, first: datetime, until: datetime) -> RawDays:
    """Each day and source of the impressions and engagements known in [first, until): rows and content hash.

    Hashes are DuckDB's: comparable as long as its version is the same.
    """
    span = {"first": first, "until": until}
    return {
        f"raw.{table}": [
            dict(zip(NAMES, row, strict=True))
            for row in con.execute(RAW_DAYS.format(table=table), span).fetchall()
        ]
        for table in TABLES
    }
