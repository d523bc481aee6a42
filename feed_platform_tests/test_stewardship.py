"""Owners and ages: declared once, overridable, silent about a log."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from feed_platform.feed import Feed, FeedError, feed_path, load_feed
from feed_platform.settings import Settings
from feed_platform.stewardship import AGES, freshness, with_stewardship

LIVE = Feed(start=date(2026, 1, 1))


def test_an_asset_has_an_owner_and_keeps_its_own() -> None:
    assert list(with_stewardship(dg.AssetSpec("a")).owners) != []
    assert list(with_stewardship(dg.AssetSpec("a", owners=["team:a"])).owners) == ["team:a"]


def test_only_a_live_feed_grows_old() -> None:
    log = LIVE.model_copy(update={"clock": "log"})
    assert all(freshness(group, LIVE) for group in AGES)
    assert {freshness(group, log) for group in AGES} == {freshness("learning", LIVE)} == {None}


def test_an_owner_is_a_team_or_an_address(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    feed_path(settings).write_text('start = 2026-01-01\nowners = ["team:ranking", "ada@example.com"]\n')
    assert load_feed(settings).owners == ("team:ranking", "ada@example.com")
    feed_path(settings).write_text('start = 2026-01-01\nowners = ["ada"]\n')
    with pytest.raises(FeedError, match=r"owners\.0.*'ada' is neither team:NAME nor an email address"):
        load_feed(settings)
