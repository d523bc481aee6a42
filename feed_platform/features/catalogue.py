"""What features there are, what each of them means, and the one order that everything keeps them in.

Stored features follow from the dbt project's vars and the feed's event types; the others are computed
at the moment of a request, from declared attributes and context keys too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from feed_platform.features.on_demand import LOCAL_HOUR, ON_DEMAND, matches
from feed_platform.features.project import definitions, measures, rates, recency
from feed_platform.feed import Attributes, Feed

GROUPS = tuple(definitions().windows)
ENTITIES = {
    "user": "the user",
    "post": "the post",
    "author": "the post's author",
    "topic": "the post's topic",
    "user_topic": "the user in the post's topic",
    "user_author": "the user with the post's author",
}
ON_DEMAND_MEANINGS = {
    "position": ("place in the feed, from 1; 1 when served", "not logged"),
    "post_age_hours": ("hours from the post's created_at to the request", "created_at isn't known"),
    "hour_of_day": ("UTC hour of the request, 0 to 23", "never"),
    "day_of_week": ("UTC weekday of the request, 0 on Monday", "never"),
    LOCAL_HOUR: ("hour of the request in the user's time zone; UTC where that is unknown", "never"),
}
KINDS = {
    "category": "a 24-bit code of the category's name",
    "number": "the number itself",
    "list": "how many values the list holds (16 at most)",
}
NEVER = "never"


@dataclass(frozen=True)
class Feature:
    """One column of every feature matrix.

    Attributes:
        name: its column.
        of: what it describes: an entity group, `request`, or `user and post`.
        type: of the stored column; on demand always float.
        definition: what the number is.
        window: how far back it looks from as_of; None where it doesn't.
        null: when it is missing.
    """

    name: str
    of: str
    type: str
    definition: str
    window: str | None = None
    null: str = NEVER


def catalogue(feed: Feed) -> tuple[Feature, ...]:
    """Every feature of a feed in the order of every matrix: stored, on demand, attributes, matches."""
    stored = (feature for group in GROUPS for feature in stored_features(group, feed))
    return (*stored, *_on_demand(feed), *_attributes(feed))


def feature_names(feed: Feed) -> tuple[str, ...]:
    """The names of the catalogue, in its order."""
    return tuple(feature.name for feature in catalogue(feed))


def stored_names(group: str, feed: Feed) -> tuple[str, ...]:
    """The columns that the lake stores for one entity group."""
    return tuple(feature.name for feature in stored_features(group, feed))


def stored_features(group: str, feed: Feed) -> Iterator[Feature]:
    """An entity group's stored features: by window measures, then rates; recency; derived ones."""
    known, of = definitions(), ENTITIES[group]
    for window in known.windows[group]:
        span = f"known in the {window} before as_of"
        for measure in measures(feed):
            words = f"{measure.replace('_', ' ')} of {of} {span}"
            yield Feature(f"{group}_{measure}_{window}", group, "bigint", words, window)
        for rate, measure in rates(feed).items():
            prior = f"{known.prior_impressions} at the rate of all impressions in {known.prior_window}"
            words = f"{measure} per impression of {of} {span}, as if after {prior}"
            yield Feature(f"{group}_{rate}_{window}", group, "float", words, window)
    for event, measure in recency(feed).items():
        yield _since(group, event, measure)
    for name, derived in known.derived.items():
        if derived.of == group:
            yield Feature(name, group, derived.type, derived.definition, None, derived.null)


def entity_of(name: str) -> str | None:
    """The entity group that a feature is a fact of, by its name; None where it depends on more than one.

    Example:
        >>> entity_of("user_topic_clicks_7d"), entity_of("post_attr_price"), entity_of("post_age_hours")
        ('user_topic', 'post', None)
    """
    if name in ON_DEMAND_MEANINGS:
        return None
    return max((group for group in GROUPS if name.startswith(f"{group}_")), key=len, default=None)


def longest_window(group: str) -> str:
    """The longest window of an entity group."""
    return definitions().windows[group][-1]


def popularity_name(feed: Feed) -> str:
    """The column by which posts are popular: the first objective's smoothed rate over the longest window."""
    window = longest_window("post")
    first = next(iter(rates(feed)), None)
    return f"post_{first}_{window}" if first else f"post_impressions_{window}"


def attribute_names(owner: str, kinds: Iterable[str]) -> tuple[str, ...]:
    """The feature columns of the declared attributes of users or posts."""
    return tuple(f"{owner}_attr_{name}" for name in kinds)


def context_names(attributes: Attributes) -> tuple[str, ...]:
    """The feature columns of the declared keys of a request's context."""
    return tuple(f"context_{name}" for name in attributes.context)


def category_names(feed: Feed) -> set[str]:
    """The feature columns that hold codes of categories."""
    declared = feed.attributes
    owners = (("user_attr", declared.users), ("post_attr", declared.posts), ("context", declared.context))
    return {
        f"{owner}_{name}" for owner, kinds in owners for name, kind in kinds.items() if kind == "category"
    }


def _since(group: str, event: str, measure: str) -> Feature:
    window = longest_window(group)
    words = f"hours from the hour in which {measure} of {ENTITIES[group]} were last known to as_of"
    return Feature(
        f"{group}_hours_since_{event}", group, "integer", words, window, f"none in the {window} before as_of"
    )


def _on_demand(feed: Feed) -> Iterator[Feature]:
    local = (LOCAL_HOUR,) if feed.attributes.time_zone else ()
    for name in (*ON_DEMAND, *local):
        definition, null = ON_DEMAND_MEANINGS[name]
        yield Feature(name, "request", "float", definition, None, null)
    for name, kind in feed.attributes.context.items():
        definition = f"the request's context.{name}: {KINDS[kind]}"
        yield Feature(f"context_{name}", "request", "float", definition, None, f"the context has no {name}")


def _attributes(feed: Feed) -> Iterator[Feature]:
    for owner, kinds in (("user", feed.attributes.users), ("post", feed.attributes.posts)):
        for name, kind in kinds.items():
            null = NEVER if kind == "list" else "not known"
            definition = f"the {owner}'s {name}: {KINDS[kind]}"
            yield Feature(f"{owner}_attr_{name}", owner, "float", definition, None, null)
    for name in matches(feed.attributes):
        definition = f"how many values of {name} the user and the post share"
        yield Feature(f"match_{name}", "user and post", "float", definition, None, "a category isn't known")
