"""A log to import: impressions in time order, some repeated, some cells bad; the same at every call."""

from pathlib import Path

import duckdb

DAYS = 30
# One row in a thousand repeats the id of the row before it, one has a cell that isn't what it should be.
ROWS = """
select 'imp-' || lpad((i - (i % 1000 = 999)::int)::varchar, 9, '0') as impression_id,
       'req-' || lpad((i // 10)::varchar, 8, '0') as request_id,
       'user-' || lpad((hash(i // 10) % 200000)::varchar, 6, '0') as user_id,
       'post-' || lpad((hash(i * 7) % 20000)::varchar, 6, '0') as post_id,
       timestamp '2024-01-01' + to_microseconds((i * {span}::hugeint // {rows})::bigint) as shown_at,
       (case when i % 1000 = 500 then 0 else i % 10 + 1 end)::int as position,
       round(0.01 + (hash(i * 3) % 1000) / 1100, 6) as propensity, 'softmax' as policy
from range({rows}) t(i)
"""
TEXT_TIME = "strftime(shown_at, '%Y-%m-%dT%H:%M:%S.%fZ')"
MAPPING = """\
name: benchmark
impressions:
  - files: {name}
    columns: {{impression_id: impression_id, request_id: request_id, user_id: user_id, post_id: post_id,
              shown_at: shown_at, position: position, propensity: propensity, policy: policy}}
"""


def write_log(folder: Path, rows: int, form: str) -> Path:
    """Write the log as `csv` or `parquet` and a mapping for it; gives the log's path."""
    file = folder / f"log.{form}"
    sql = ROWS.format(rows=rows, span=DAYS * 86_400_000_000)
    if form == "csv":
        sql = f"select * replace ({TEXT_TIME} as shown_at) from ({sql})"
    with duckdb.connect() as con:
        con.execute(f"copy ({sql}) to '{file}'")
    (folder / "mapping.yaml").write_text(MAPPING.format(name=file.name))
    return file
