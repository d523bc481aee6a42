"""What every training example must satisfy, generated from the feature catalogue."""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import polars as pl

from feed_platform.features.catalogue import GROUPS, NEVER, Feature, catalogue
from feed_platform.features.frame import label_names
from feed_platform.features.keys import key
from feed_platform.features.project import definitions, measures, rates
from feed_platform.feed import Feed, FeedError

if TYPE_CHECKING:
    from pandera.polars import Check, Column, DataFrameSchema

RANGES = {"position": (1, None), "hour_of_day": (0, 23), "day_of_week": (0, 6)}
SHOWN_CASES = 5


def examples_schema(feed: Feed) -> "DataFrameSchema":
    """Types, ranges and identities of `training.examples` for one feed."""
    import pandera.polars as pa

    ids = {name: pa.Column(pl.String, pa.Check.str_length(1, 64)) for name in ("user_id", "post_id")}
    times = {name: pa.Column(pl.Datetime("us")) for name in ("shown_at", "as_of", "matured_at")}
    return pa.DataFrameSchema(
        {
            "impression_id": pa.Column(pl.String, pa.Check.str_length(1, 64), unique=True),
            **ids,
            **times,
            "propensity": pa.Column(pl.Float64, _between(0, 1), nullable=True),
            **{name: pa.Column(pl.Int32, pa.Check.isin([0, 1]), coerce=True) for name in label_names(feed)},
            **{feature.name: _feature(feature, feed) for feature in catalogue(feed)},
        },
        checks=[
            _ordered("as_of", "shown_at"),
            _ordered("shown_at", "matured_at", strictly=True),
            *(_widening(group, measure) for group, measure in product(GROUPS, measures(feed))),
        ],
    )


def check_examples(frame: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """The frame, if it keeps the schema.

    Raises:
        FeedError: it doesn't; names the broken rules, how often, and the keys of a few of the impressions
            (`md5_number_lower(impression_id)` in SQL). No id: the message goes into Dagster's logs.
    """
    from pandera.errors import SchemaErrors

    try:
        return examples_schema(feed).validate(frame, lazy=True)
    except SchemaErrors as error:
        rules = list(_broken(error.failure_cases, frame["impression_id"]))
    raise FeedError(f"training examples break {len(rules)} rules, none was written: {'; '.join(rules)}")


def _broken(cases: pl.DataFrame, impression_ids: pl.Series) -> Iterator[str]:
    """What is said of each broken rule; `index` is the row of a case."""
    rules = cases.group_by("column", "check").agg(pl.len().alias("cases"), pl.col("index").head(SHOWN_CASES))
    for row in rules.sort("column", "check").iter_rows(named=True):
        shown = ", ".join(str(key(impression_ids[index])) for index in row["index"] if index is not None)
        where = f", such as impressions of keys {shown}" if shown else ""
        yield f"{row['column'] or 'row'}: {row['check']} ({row['cases']} rows{where})"


def _feature(feature: Feature, feed: Feed) -> "Column":
    """Stored features are counts, rates and times, never negative; attributes may be any number.

    What the catalogue calls never null isn't."""
    import pandera.polars as pa

    if "_attr_" in feature.name or feature.name.startswith("context_") or feature.name == "post_age_hours":
        return pa.Column(pl.Float32, nullable=True)
    is_rate = any(feature.name.startswith(f"{feature.of}_{rate}_") for rate in rates(feed))
    low, high = RANGES.get(feature.name, (0, 1 if is_rate else None))
    return pa.Column(pl.Float32, _between(low, high), nullable=feature.null != NEVER)


def _widening(group: str, measure: str) -> "Check":
    """What happened in the shortest window happened in the longest one too."""
    windows = definitions().windows[group]
    return _ordered(f"{group}_{measure}_{windows[0]}", f"{group}_{measure}_{windows[-1]}")


def _between(low: float, high: float | None) -> "Check":
    import pandera.polars as pa

    return pa.Check.ge(low) if high is None else pa.Check.in_range(low, high)


def _ordered(first: str, second: str, strictly: bool = False) -> "Check":
    import pandera.polars as pa

    def holds(data: pa.PolarsData) -> pl.LazyFrame:
        rule = pl.col(first) < pl.col(second) if strictly else pl.col(first) <= pl.col(second)
        return data.lazyframe.select(rule)

    return pa.Check(holds, name=f"{first} {'<' if strictly else '<='} {second}")
