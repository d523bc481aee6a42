"""`feed features`: the catalogue for people, with the share of training examples that have each value."""

from collections.abc import Iterator

import duckdb

from feed_platform.features.catalogue import Feature, catalogue
from feed_platform.feed import Feed
from feed_platform.lake import Lake
from feed_platform.lake.tables import columns_of

HEADER = ("feature", "of", "type", "window", "definition", "null when", "coverage")


def listing(feed: Feed, lake: Lake) -> Iterator[tuple[str, ...]]:
    """A row of text per feature, in the catalogue's order, after the header.

    `coverage` is the share of training examples where the feature isn't null; `-` before there are any.
    """
    features = catalogue(feed)
    found: dict[str, float] = {}
    if lake.exists():
        with lake.read() as con:
            found = coverage(con, features)
    yield HEADER
    for one in features:
        share = f"{found[one.name]:.1%}" if one.name in found else "-"
        yield (one.name, one.of, one.type, one.window or "-", one.definition, one.null, share)


def coverage(con: duckdb.DuckDBPyConnection, features: tuple[Feature, ...]) -> dict[str, float]:
    """The share of training examples in which each feature has a value; empty before there are any."""
    stored = columns_of(con, "training.examples")
    names = [feature.name for feature in features if feature.name in stored]
    if not names:
        return {}
    shares = ", ".join(f'avg(("{name}" is not null and not isnan("{name}"))::int)' for name in names)
    row = con.execute(f"select {shares} from training.examples").fetchone() or ()
    return {name: share for name, share in zip(names, row, strict=True) if share is not None}


def as_table(rows: Iterator[tuple[str, ...]]) -> str:
    """Rows as a Markdown table, which reads well on a terminal too."""
    header, *lines = rows
    marks = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, marks, *lines))
