"""`feed.toml`: what can't be meant is refused, by file and key."""

from pathlib import Path

import pytest

from feed_platform.feed import FeedError, feed_path, load_feed
from feed_platform.settings import Settings

LIKE_AND_HIDE = """
[[objectives]]
event = "like"
weight = 2.5
[[objectives]]
event = "hide"
weight = -1
"""


def written(folder: Path, text: str) -> Settings:
    settings = Settings(home=folder)
    feed_path(settings).write_text(f"start = 2026-01-01\n{text}")
    return settings


def test_what_is_not_wanted_weighs_less_than_nothing(tmp_path: Path) -> None:
    feed = load_feed(written(tmp_path, LIKE_AND_HIDE))
    assert {one.event: one.weight for one in feed.objectives} == {"like": 2.5, "hide": -1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('objectives = [{event = "clik"}]', "objectives: 'clik' is none of event_types .*'click'?"),
        ("objectives = []", "objectives: every weight is 0"),
        ('objectives = [{event = "like", weight = 0}]', "objectives: every weight is 0"),
        ('objectives = [{event = "like"}, {event = "like"}]', "objectives: 'like' is there twice"),
        ('objectives = [{event = "like", weight = nan}]', r"objectives\.0\.weight: .*finite"),
        (f"{LIKE_AND_HIDE}[promotion.budgets]\ntrees = 1", "promotion.budgets.trees is 1 for 2 objectives"),
        ("[ranker.monotone]\npost_ctr_28d = 2", r"ranker\.monotone\.post_ctr_28d: "),
        ('ranker.segment = "country"', r"ranker\.segment: .*'user_topic'"),
        ("label_window_seconds = 0", "label_window_seconds: "),
    ],
)
def test_a_mistake_is_named_with_file_and_key(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FeedError, match=f"feed.toml: {message}"):
        load_feed(written(tmp_path, text))
