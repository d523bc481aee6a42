"""What the tables that imports fill hold, table by table and column by column."""

from collections.abc import Iterator, Mapping

from feed_platform.feed import AttributeKind, Feed
from feed_platform.interactions.schemas import ATTRIBUTE_TYPES, RAW, attributes_of
from feed_platform.lake.contract import TABLES
from feed_platform.lake.profile import Column

IMPORTED = {
    "raw.users": "Users and their attributes, one row per version.",
    "raw.posts": "Posts with author, topic and attributes, one row per version.",
    "raw.impressions": "Posts that people saw: where, when, and how probable that was.",
    "raw.engagements": "What people did: clicks, likes, comments, shares, hides, reports, dwell, follows.",
    "serving.requests": "Rank requests that the service answered, the first answer to each.",
    "serving.candidates": "Every candidate of these answers with rank, score and propensity.",
}
MEANINGS = {
    "user_id": "The person; null where unknown.",
    "post_id": "The post: whatever the feed shows.",
    "author_id": "Who wrote the post.",
    "topic": "What the post is about.",
    "created_at": "When the post was created.",
    "removed_at": "When the post was taken down; null while it stands.",
    "impression_id": "The impression; an engagement's is null where the client didn't say.",
    "engagement_id": "The engagement.",
    "request_id": "The ranking request.",
    "surface": "Where in the product.",
    "shown_at": "When the post was seen.",
    "position": "Place in the feed, from 1.",
    "propensity": "Probability that the policy showed this post here.",
    "propensity_kind": "marginal, or conditional on the posts placed above.",
    "policy": "What decided to show it.",
    "context": "What the caller knew: device, locale, query.",
    "event_type": "One of the feed's event types.",
    "value": "Milliseconds for dwell; else what the log says.",
    "occurred_at": "When it happened.",
    "received_at": "When it reached the platform; null in a history.",
    "known_at": "When the platform knew: what features count by. Never changes.",
    "source": "Where the row came from.",
    "requested_at": "When the ranking was asked for.",
    "experiment": "The experiment that the request belonged to.",
    "arm": "Its arm.",
    "model_version": "The model that ranked.",
    "features_as_of": "The hour up to which features counted events.",
    "upserts_seen": "Number of the last change of a post or user that the answer took into account.",
    "upserts_at": "When that change was received.",
    "served_by": "The tier that answered: champion or a fallback.",
    "rank": "Place in the answer, from 1.",
    "score": "Expected value of showing the post.",
}


def columns_of(table: str, feed: Feed | None) -> Iterator[Column]:
    """An imported table's columns, the attributes that the feed declares last."""
    for column in TABLES[table].split(","):
        name, kind = column.split()
        yield Column(name, kind.lower(), MEANINGS.get(name))
    for name, kind in attributes_in(table, feed).items():
        yield Column(name, ATTRIBUTE_TYPES[kind].lower(), f"An attribute that feed.toml declares: {kind}.")


def attributes_in(table: str, feed: Feed | None) -> Mapping[str, AttributeKind]:
    """The declared attributes among an imported table's columns."""
    raw = RAW.get(table.removeprefix("raw."))
    return attributes_of(raw, feed) if raw and feed else {}


def day_column(table: str) -> str | None:
    """The column by which an imported table's rows belong to days."""
    return "known_at" if " known_at " in TABLES[table] else None
