"""What a replica loads, and what it keeps when a load fails."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from feed_platform.feed import Attributes, Feed, FeedError
from feed_platform.learning.bundle import Bundle
from feed_platform.serving import pointer
from feed_platform.serving.pointer import Deployed, Pointer
from feed_platform.serving.ranking import rank
from feed_platform.serving.schemas import RankRequest
from feed_platform.serving.store import Store
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

ATTRIBUTED = Feed(name="tiny", start=date(2026, 1, 1), attributes=Attributes(users={"country": "category"}))


@pytest.fixture
def store(home: Settings) -> Store:
    samples.fill(home)
    found = Store(home)
    found.refresh()
    return found


def version(store: Store) -> str | None:
    return store.loaded.champion.version if store.loaded.champion else None


def test_a_new_pointer_switches_and_the_old_model_becomes_the_fallback(home: Settings, store: Store) -> None:
    samples.point_at(home, samples.make_bundle(2), "2")
    store.refresh()
    assert version(store) == "2" and store.loaded.previous and store.loaded.previous.version == "1"
    assert not store.errors


def test_a_broken_bundle_is_reported_and_the_last_good_one_stays(home: Settings, store: Store) -> None:
    bundle = samples.make_bundle(2)
    deployed = samples.point_at(home, bundle, "2")
    model = home.models / deployed.bundle / "click.json"
    model.write_text(model.read_text().replace("0.", "0.1", 1))
    store.refresh()
    assert version(store) == "1" and "click.json" in store.errors["model"]
    assert store.attempted == deployed.bundle
    samples.point_at(home, samples.make_bundle(3), "3")
    store.refresh()
    assert version(store) == "3" and not store.errors


def test_a_pointer_out_of_the_models_folder_is_refused(home: Settings, store: Store) -> None:
    pointer.pointer_path(home).write_text(json.dumps({"bundle": "../../etc", "version": "9"}))
    store.refresh()
    assert version(store) == "1" and "names no bundle" in store.errors["model"]


def test_a_snapshot_without_the_models_features_waits_for_a_model_that_fits(
    home: Settings, store: Store
) -> None:
    samples.point_at(home, samples.make_bundle(2, ATTRIBUTED), "2")
    store.refresh()
    assert version(store) == "1" and "user_attr_country" in store.errors["pair"]


def test_a_snapshot_serves_only_from_its_time_on(home: Settings, store: Store) -> None:
    before = store.loaded.snapshot
    samples.publish_snapshot(home, as_of=samples.AS_OF.replace(hour=10))
    current = home.online / "current.json"
    facts = json.loads(current.read_text())
    current.write_text(json.dumps({**facts, "active_at": "2999-01-01T00:00:00"}))
    store.refresh()
    assert store.loaded.snapshot is before
    current.write_text(json.dumps(facts))
    store.refresh()
    assert store.loaded.snapshot and store.loaded.snapshot.as_of.hour == 10
    assert version(store) == "1" and store.loaded.previous is None


def test_a_champion_that_fails_hands_over_to_the_next_tier(
    home: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples.point_at(home, samples.make_bundle(2), "2")
    store.refresh()
    loaded, failed = store.loaded, []
    request = RankRequest(candidate_ids=["p1", "p2"])
    at = samples.AS_OF
    champion = loaded.champion
    assert champion is not None
    broken = replace(
        loaded, champion=replace(champion, wanted=loaded.snapshot.wanted(loaded.snapshot.names[:1]))
    )
    assert rank(request, "r", at, broken, failed.append).scored.served_by == "previous"
    monkeypatch.setattr(Bundle, "score", lambda self, found: np.array([np.nan, 1.0]))
    assert rank(request, "r", at, broken, failed.append).scored.served_by == "popularity"
    assert failed == ["champion", "champion", "previous"]


def test_the_pointer_remembers_and_goes_back(home: Settings) -> None:
    first, second = Deployed("a" * 64, "1"), Deployed("b" * 64, "2")
    moved = Pointer(first).moved_to(second)
    pointer.write(home, moved)
    assert pointer.read(home) == moved == Pointer(second, (first,))
    assert moved.moved_to(second) == moved
    assert moved.moved_back() == Pointer(first)
    with pytest.raises(FeedError, match="no earlier deployment"):
        Pointer(first).moved_back()
