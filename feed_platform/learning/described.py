"""The columns of the training table, described."""

from collections.abc import Iterator

from feed_platform.features.catalogue import catalogue
from feed_platform.features.described import label_columns
from feed_platform.features.frame import FACTS
from feed_platform.feed import Feed
from feed_platform.interactions.described import MEANINGS
from feed_platform.lake.profile import Column

OWN_MEANINGS = {
    "as_of": "Features count what was known before this hour.",
    "matured_at": "The labels' deadline: no later knowledge counts.",
}


def example_columns(feed: Feed) -> Iterator[Column]:
    """The columns of `training.examples` in their order; position is both a fact and a feature."""
    for name in FACTS:
        yield Column(name, _type(name), OWN_MEANINGS.get(name) or MEANINGS[name])
    yield from label_columns(feed)
    for feature in catalogue(feed):
        if feature.name not in FACTS:
            yield Column(feature.name, "float", feature.definition)
    yield Column("matured_day", "date", "UTC day of matured_at.")


def _type(fact: str) -> str:
    if fact.endswith("_at") or fact == "as_of":
        return "timestamp"
    return {"position": "float", "propensity": "double"}.get(fact, "varchar")
