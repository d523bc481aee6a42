"""Twenty corrupt bundles and snapshots: none goes live, none interrupts who is being served."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from feed_platform.learning.bundle import MANIFEST, Bundle
from feed_platform.learning.calibration import Identity
from feed_platform.serving import pointer
from feed_platform.serving.ranking import rank
from feed_platform.serving.schemas import RankRequest
from feed_platform.serving.store import Store
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

Spoil = Callable[[Path], None]


@pytest.fixture
def store(home: Settings) -> Store:
    samples.fill(home)
    found = Store(home)
    found.refresh()
    assert not found.errors
    return found


def truncate(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) * 2 // 3])

    return spoil


def empty(name: str) -> Spoil:
    return lambda folder: (folder / name).write_bytes(b"") and None  # type: ignore[func-returns-value]


def flip(name: str) -> Spoil:
    """One bit of the last value."""

    def spoil(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[-3] ^= 1
        (folder / name).write_bytes(data)

    return spoil


def lose(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def say(key: str, change: Callable[[object], object]) -> Spoil:
    """A manifest with another value."""

    def spoil(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest[key] = change(manifest[key])
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return spoil


def turned(names: object) -> object:
    assert isinstance(names, list)
    return names[::-1]


def resave(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(folder: Path) -> None:
        np.save(folder / f"{name}.npy", change(np.load(folder / f"{name}.npy")))

    return spoil


def wider(columns: np.ndarray) -> np.ndarray:
    columns["width"][0] ^= 1
    return columns


SNAPSHOTS: dict[str, Spoil] = {
    "truncated array": truncate("post.bits.npy"),
    "truncated keys": truncate("posts.keys.npy"),
    "empty array": empty("user.bits.npy"),
    "bit flipped in values": flip("user_topic.bits.npy"),
    "a column wider": resave("user.columns", wider),
    "bit flipped in ids": flip("posts.ids.npy"),
    "truncated manifest": truncate("manifest.json"),
    "missing manifest": lose("manifest.json"),
    "missing array": lose("author.bits.npy"),
    "wrong schema hash": say("schema_hash", lambda known: "0" * 32),
    "wrong content hash": say("content_hash", lambda known: "0" * 32),
    "features in another order": say("names", turned),
    "another hour": say("as_of", lambda known: "2026-01-11T09:00:00"),
    "other recorded answers": say("self_test", lambda rows: [[0.0]]),
    "another type": resave("post.bits", lambda bits: bits.astype(np.uint16)),
    "rows lost": resave("post.bits", lambda bits: bits[:-1]),
}
BUNDLES: dict[str, Spoil] = {
    "truncated model": truncate("click.json"),
    "bit flipped in the model": flip("click.json"),
    "missing model": lose("click.json"),
    "truncated manifest": truncate(MANIFEST),
    "bit flipped in the manifest": flip(MANIFEST),
    "missing manifest": lose(MANIFEST),
    "wrong feature order": say("features", turned),
}


def serves(store: Store) -> tuple[str, object]:
    ranking = rank(RankRequest(candidate_ids=["p1", "p2"]), "r", samples.AS_OF, store.loaded)
    assert ranking.scored.served_by == "champion"
    return ranking.scored.model_version or "", store.loaded.snapshot and store.loaded.snapshot.hash


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_corrupt_snapshot_does_not_go_live(home: Settings, store: Store, name: str) -> None:
    before = serves(store)
    folder = samples.publish_snapshot(home, samples.AS_OF + timedelta(hours=1))
    SNAPSHOTS[name](folder)
    store.refresh()
    assert serves(store) == before and "snapshot" in store.errors
    samples.publish_snapshot(home, samples.AS_OF + timedelta(hours=2))
    store.refresh()
    assert serves(store) != before and not store.errors


@pytest.mark.parametrize("name", BUNDLES)
def test_a_corrupt_bundle_does_not_go_live(home: Settings, store: Store, name: str) -> None:
    before = serves(store)
    deployed = samples.point_at(home, samples.make_bundle(2), "2")
    BUNDLES[name](home.models / deployed.bundle)
    store.refresh()
    assert serves(store) == before and "model" in store.errors and store.attempted == deployed.bundle
    samples.point_at(home, samples.make_bundle(3), "3")
    store.refresh()
    assert serves(store)[0] == "3" and not store.errors


def test_a_model_whose_scores_are_not_finite_does_not_go_live(
    home: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own recorded rows are fine; on the rows that are served it gives NaN."""
    before, apply = serves(store), Identity.apply
    samples.point_at(home, samples.make_bundle(2), "2")

    def fails_beyond_its_rows(self: Identity, raw: np.ndarray) -> np.ndarray:
        return apply(self, raw) if len(raw) == 4 else np.full(len(raw), np.nan)

    with monkeypatch.context() as broken:
        broken.setattr(Identity, "apply", fails_beyond_its_rows)
        store.refresh()
    assert serves(store) == before and "not finite" in store.errors["pair"]


def test_a_slow_model_interrupts_nothing_and_one_given_up_never_goes_live(
    home: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, known = serves(store), pointer.read(home)
    loading, go_on, test = threading.Event(), threading.Event(), Bundle.self_test

    def slow(self: Bundle) -> None:
        loading.set()
        go_on.wait(10)
        test(self)

    monkeypatch.setattr(Bundle, "self_test", slow)
    samples.point_at(home, samples.make_bundle(2), "2")
    thread = threading.Thread(target=store.refresh)
    thread.start()
    assert loading.wait(10) and serves(store) == before
    pointer.write(home, known)
    go_on.set()
    thread.join(10)
    assert serves(store) == before
    store.refresh()
    assert serves(store) == before and not store.errors
