"""What every contender serves with: one booster, the same feature values, the same requests."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from feed_platform.features.online import OnlineSnapshot
from feed_platform.feed import save_feed
from feed_platform.home import prepare_home
from feed_platform.learning.bundle import Bundle, Head
from feed_platform.learning.calibration import Identity, Platt
from feed_platform.learning.scorers import Boosted
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

POSTS, USERS = 3_000, 500
TREES, DEPTH, TRAIN_ROWS = 200, 6, 20_000
SHIPPED = (100, 4)  # trees and depth of an objective
OF_EACH = 15  # features of the user and of the post
BODIES = 200  # distinct requests of a size
OBJECTIVES = {"click": 1.0, "like": 3.0, "share": 5.0}

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class World:
    """The feature values as a look-up: users (n, 15), posts (m, 15); a row is a user's, then a post's."""

    names: list[str]
    users: Floats
    posts: Floats
    model: Path

    @classmethod
    def load(cls, folder: Path) -> "World":
        """What `make` wrote."""
        names = json.loads((folder / "names.json").read_text())
        return cls(names, np.load(folder / "users.npy"), np.load(folder / "posts.npy"), folder / "model.ubj")

    @property
    def user_rows(self) -> dict[str, Floats]:
        """A user's features by id."""
        return {f"u{n}": row for n, row in enumerate(self.users)}

    @property
    def post_places(self) -> dict[str, int]:
        """A post's row by id."""
        return {f"p{n}": n for n in range(len(self.posts))}


def make(folder: Path, homes: list[Settings]) -> None:
    """Fit the booster, fill the homes, write the look-up beside them."""
    for settings in homes:
        prepare_home(settings)
        save_feed(settings, samples.FEED)
        samples.publish_snapshot(settings, n_posts=POSTS, n_users=USERS)
    snapshot = OnlineSnapshot.current(homes[0])
    assert snapshot is not None
    names = _chosen(snapshot.names)
    users, posts = _values(snapshot, names)
    np.save(folder / "users.npy", users)
    np.save(folder / "posts.npy", posts)
    (folder / "names.json").write_text(json.dumps(names))
    (folder / "model.ubj").write_bytes(_booster(2 * OF_EACH, 0, (TREES, DEPTH)))
    for settings in homes:
        samples.point_at(settings, single(folder), "1")


def single(folder: Path) -> Bundle:
    """The bundle of the one booster on its 30 features."""
    world = World.load(folder)
    head = Head("click", 1.0, Boosted(world.model.read_bytes()), Identity())
    return bundle(tuple(world.names), (head,))


def several(settings: Settings) -> Bundle:
    """Three calibrated objectives on all of the snapshot's features, trees as deep as training's."""
    snapshot = OnlineSnapshot.current(settings)
    assert snapshot is not None
    heads = tuple(
        Head(event, weight, Boosted(_booster(len(snapshot.names), seed, SHIPPED)), Platt(1.0, -1.0))
        for seed, (event, weight) in enumerate(OBJECTIVES.items())
    )
    return bundle(snapshot.names, heads)


def bundle(features: tuple[str, ...], heads: tuple[Head, ...]) -> Bundle:
    """A bundle that records its answers to a few random rows."""
    rows = np.random.default_rng(2).random((4, len(features)), dtype=np.float32)
    return Bundle.build(
        kind="xgboost", features=features, heads=heads, lake_version=1, reference={}, rows=rows
    )


def rank_bodies(candidates: int) -> list[bytes]:
    """Requests of distinct users and candidates."""
    rng = np.random.default_rng(candidates)
    known = [f"p{n}" for n in range(POSTS) if f"p{n}" != samples.REMOVED]
    return [
        json.dumps(
            {
                "user_id": f"u{rng.integers(USERS)}",
                "candidate_ids": rng.choice(known, candidates, replace=False).tolist(),
            }
        ).encode()
        for _ in range(BODIES)
    ]


def predict_bodies() -> list[bytes]:
    """Requests of one row each."""
    rng = np.random.default_rng(1)
    rows = [
        {"user_id": f"u{rng.integers(USERS)}", "post_id": f"p{4 + rng.integers(POSTS - 4)}"}
        for _ in range(BODIES)
    ]
    return [json.dumps({"rows": [row]}).encode() for row in rows]


def _chosen(names: tuple[str, ...]) -> list[str]:
    """Stored features of user and post, evenly over the windows."""
    return [name for owner in ("user_", "post_") for name in _spread([n for n in names if _is_of(n, owner)])]


def _is_of(name: str, owner: str) -> bool:
    return name.startswith(owner) and name.endswith(("_1h", "_24h", "_7d", "_28d")) and name.count("_") == 2


def _spread(names: list[str]) -> list[str]:
    return [names[place] for place in np.linspace(0, len(names) - 1, OF_EACH).astype(int)]


def _values(snapshot: OnlineSnapshot, names: list[str]) -> tuple[Floats, Floats]:
    columns = [snapshot.names.index(name) for name in names]
    at = np.datetime64(snapshot.as_of)
    users = snapshot.matrix([f"u{n}" for n in range(USERS)], ["p0"] * USERS, at, 1)
    posts = snapshot.matrix([None], [f"p{n}" for n in range(POSTS)], at, 1)
    return users[:, columns[:OF_EACH]], posts[:, columns[OF_EACH:]]


def _booster(width: int, seed: int, shape: tuple[int, int]) -> bytes:
    import xgboost

    rng = np.random.default_rng(seed)
    rows = rng.random((TRAIN_ROWS, width), dtype=np.float32)
    odds = np.sin(6 * rows[:, :10]) @ rng.normal(size=10) + rows[:, 10:20] @ rng.normal(size=10) * 2
    label = rng.random(TRAIN_ROWS) < 1 / (1 + np.exp(-odds))
    trees, depth = shape
    model = xgboost.XGBClassifier(
        n_estimators=trees, max_depth=depth, learning_rate=0.1, max_bin=64, n_jobs=2
    )
    model.fit(rows, label)
    return bytes(model.get_booster().save_raw("ubj"))
