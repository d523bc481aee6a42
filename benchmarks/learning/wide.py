"""A training table of 40 features, made by DuckDB inside the lake; the same at every call."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.learning.dataset import Dataset
from feed_platform.learning.examples import SLICE_ROWS, TABLE
from feed_platform.learning.source import Stored
from feed_platform.learning.splits import split_by_time
from feed_platform.settings import Settings

START, SPAN, GAP = datetime(2026, 1, 1), timedelta(days=30), timedelta(days=1)
SPLIT = split_by_time(START, START + SPAN, GAP)
EVENTS = ("click", "like", "share")
WIDTH = 40
FEATURES = tuple(f"feature_{n:02}" for n in range(WIDTH))
# Half of the features are counts with few values, half rates that hardly ever repeat.
COUNT = "((hash(i * 64 + {n}) % 1000) ** 2 // 20000)"
RATE = "((hash(i * 64 + {n}) % 10000000) / 1e7)"
SPARSE = "case when hash(i * 64 + {n}, 'missing') % 1000 < {missing} then null else {value} end"
# Each event follows three features of its own and chance.
LABEL = (
    "(hash(i, '{event}') % 10000 < 150 + 20 * feature_{a:02} + 900 * feature_{b:02} * feature_{c:02})::int "
    "as label_{event}"
)
ROWS = """
with drawn as (select i, {features} from range({start}, {end}) t(i))
select 'imp-' || lpad(i::varchar, 9, '0') as impression_id,
       timestamp '{first}' + to_microseconds((i * {span}::hugeint // {rows})::bigint) as shown_at,
       {labels}, drawn.* exclude (i)
from drawn order by shown_at, impression_id
"""


def write_examples(settings: Settings, rows: int, missing: float) -> None:
    """Write `training.examples`, as many rows at a time as the product does.

    A `missing` share of the features' cells is null. Rows lie in order of time, as they mature.
    """
    queries = list(_slices(rows, round(1000 * missing)))
    with Lake.of(settings).write("benchmark") as con:
        con.execute(f"create table {TABLE} as {queries[0]} limit 0")
        for query in queries:
            con.execute(f"insert into {TABLE} {query}")


def write_parquet(settings: Settings) -> None:
    """Write the same rows as one Parquet file, in order of time."""
    with Lake.of(settings).read() as con:
        columns = ", ".join(["shown_at", *(f"label_{event}" for event in EVENTS), *FEATURES])
        con.execute(f"copy (select {columns} from {TABLE} order by shown_at) to '{parquet_of(settings)}'")


def parquet_of(settings: Settings) -> Path:
    """The file that the peers read."""
    return settings.root / "examples.parquet"


def dataset_of(settings: Settings) -> Dataset:
    """The lake's table as the product finds it."""
    lake = Lake.of(settings)
    with lake.read() as con:
        version = version_of(con)
    return Dataset(Stored.open(lake, version), FEATURES, SPLIT, version, version)


def _slices(rows: int, missing: int) -> Iterator[str]:
    features = ", ".join(f"{_feature(n, missing)}::float as {name}" for n, name in enumerate(FEATURES))
    labels = ", ".join(
        LABEL.format(event=event, a=2 * n, b=2 * n + 1, c=2 * n + 7) for n, event in enumerate(EVENTS)
    ).replace("feature_", "drawn.feature_")
    span = int(SPAN.total_seconds()) * 1_000_000
    for start in range(0, rows, SLICE_ROWS):
        end = min(start + SLICE_ROWS, rows)
        yield ROWS.format(
            features=features, labels=labels, start=start, end=end, rows=rows, span=span, first=START
        )


def _feature(n: int, missing: int) -> str:
    value = (RATE if n % 2 else COUNT).format(n=n)
    return SPARSE.format(n=n, missing=missing, value=value) if missing else value
