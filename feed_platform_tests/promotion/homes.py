"""Homes in which models are judged."""

from feed_platform.features.catalogue import GROUPS, stored_names
from feed_platform.feed import Feed, Promotion, save_feed
from feed_platform.lake import Lake
from feed_platform.settings import Settings
from feed_platform_tests.learning.synthetic import FEED, fill_lake, synthetic_frame

FACTS = {
    "impression_id": "varchar",
    "user_id": "varchar",
    "post_id": "varchar",
    "position": "integer",
    "context": "json",
    "known_day": "date",
    **dict.fromkeys(("shown_at", "as_of", "attributes_at", "decided_at"), "timestamp"),
}


def feed_in(mode: str) -> Feed:
    """The synthetic log's feed, with a mode of promotion."""
    return FEED.model_copy(update={"promotion": Promotion(mode=mode)})  # type: ignore[arg-type]


def fill(settings: Settings, feed: Feed, rows: int = 7_000, rate: float = -1.5) -> None:
    """Examples, feed.toml and a features table without rows: nothing to recompute."""
    fill_lake(settings, synthetic_frame(rows, rate=rate))
    save_feed(settings, feed)
    stored = {name: "float" for group in GROUPS for name in stored_names(group, feed)}
    columns = ", ".join(f'"{name}" {kind}' for name, kind in {**FACTS, **stored}.items())
    with Lake.of(settings).write("features") as con:
        con.execute(f"create table marts.impression_features ({columns})")
