"""The columns that the dbt project generates from its vars and the feed: what its yml can't list."""

from collections.abc import Iterator, Mapping
from typing import Any

from feed_platform.features.catalogue import GROUPS, stored_features
from feed_platform.features.frame import label_names
from feed_platform.features.project import definitions, measures, rates
from feed_platform.feed import Feed
from feed_platform.lake.profile import Column

OF_GROUP = {f"{group}_features": group for group in GROUPS} | {f"online_{group}": group for group in GROUPS}


def described_columns(model: Mapping[str, Any], feed: Feed | None) -> Iterator[Column]:
    """The columns of a model of dbt's manifest: those of its yml, then what the project generates.

    Without a feed, only the former.
    """
    written = model["columns"].values()
    yield from (Column(one["name"], one["data_type"] or "?", one["description"]) for one in written)
    generated = generated_columns(model["name"], feed) if feed else ()
    yield from (column for column in generated if column.name not in model["columns"])


def generated_columns(model: str, feed: Feed) -> Iterator[Column]:
    """A model's columns for one feed, but for those that its yml describes."""
    if model in OF_GROUP:
        yield from _features(OF_GROUP[model], feed)
    elif model == "impression_features":
        for group in GROUPS:
            yield from _features(group, feed)
    elif model == "hourly_sums":
        yield from (
            Column(name, "bigint", f"{name.replace('_', ' ')} in the hour") for name in measures(feed)
        )
    elif model in ("global_rates", "online_global"):
        yield from _global_rates(feed)
    elif model in ("labels", "impressions_scored"):
        yield from label_columns(feed)


def label_columns(feed: Feed) -> Iterator[Column]:
    """The labels of a feed."""
    for name, event in zip(label_names(feed), feed.event_types, strict=True):
        yield Column(name, "integer", f"1 where a {event} followed within the label window, else 0")


def _features(group: str, feed: Feed) -> Iterator[Column]:
    for feature in stored_features(group, feed):
        yield Column(feature.name, feature.type, feature.definition)


def _global_rates(feed: Feed) -> Iterator[Column]:
    known = definitions()
    window = f"of everything in the {known.prior_window} before as_of"
    yield Column("global_impressions", "bigint", f"impressions {window}")
    for rate, measure in rates(feed).items():
        formula = f"({measure} + 1) / (impressions + {known.prior_impressions})"
        yield Column(f"global_{rate}", "double", f"{formula} {window}")
