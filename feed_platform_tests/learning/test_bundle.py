"""Bundles come back as they went, and not at all when a byte has changed."""

from pathlib import Path

import numpy as np
import pytest
import xgboost

from feed_platform.features.catalogue import GROUPS
from feed_platform.feed import FeedError
from feed_platform.learning import calibration
from feed_platform.learning.bundle import FEWEST_FIRST, MANIFEST, Bundle, Head
from feed_platform.learning.scorers import Boosted, Constant, Logistic, Popularity, Scorer, Segment


def boosted(seed: int = 1) -> Boosted:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(300, 3)).astype(np.float32)
    label = (matrix[:, 0] > 0).astype(int)
    booster = xgboost.train({"objective": "binary:logistic", "seed": seed}, xgboost.DMatrix(matrix, label), 5)
    return Boosted(bytes(booster.save_raw("ubj")))


SCORERS: list[Scorer] = [
    Constant(0.2),
    Popularity(0, 1, rate=0.1, strength=20.0),
    Segment(0, 1, 20.0, Popularity(0, 1, rate=0.1, strength=20.0)),
    Logistic((0.5, -1.0, 0.0), -2.0, (0.0, 1.0, 2.0), (1.0, 2.0, 1.0)),
    boosted(),
]
ROWS = np.array([[1, 2, np.nan], [0, 30, 4], [np.nan] * 3], dtype=np.float32)


def bundle(scorer: Scorer) -> Bundle:
    return Bundle.build(
        kind=scorer.kind,
        features=("clicks", "impressions", "age"),
        heads=(
            Head("click", 1.0, scorer, calibration.Platt(0.9, -0.1)),
            Head("like", 3.0, scorer, calibration.Isotonic((0.0, 0.4, 1.0), (0.0, 0.1, 0.3))),
        ),
        lake_version=12,
        reference={"click_rate": 0.2},
        rows=ROWS,
    )


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.kind)
def test_a_saved_bundle_answers_as_before(scorer: Scorer, tmp_path: Path) -> None:
    made = bundle(scorer)
    loaded = Bundle.load(tmp_path / made.save(tmp_path))
    loaded.self_test()
    assert loaded.version == made.version == bundle(scorer).version
    assert loaded.objectives == {"click": 1.0, "like": 3.0}
    before, after = made.probabilities(ROWS), loaded.probabilities(ROWS)
    assert all((before[event] == after[event]).all() for event in before)
    assert (loaded.score(after) == after["click"] + 3 * after["like"]).all()
    assert all(((p > 0) & (p < 1)).all() for p in after.values())


@pytest.mark.parametrize("name", [MANIFEST, "click.ubj"])
def test_a_changed_or_missing_file_is_refused(name: str, tmp_path: Path) -> None:
    made = bundle(boosted())
    path = tmp_path / made.save(tmp_path) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(FeedError, match="is not the file that its hash names"):
        Bundle.load(path.parent)
    path.unlink()
    with pytest.raises(FeedError, match="is missing"):
        Bundle.load(path.parent)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(FeedError, match="not finite"):
        bundle(Constant(float("nan")))


def test_a_matrix_of_another_width_is_refused() -> None:
    with pytest.raises(FeedError, match="wants 3 features"):
        bundle(Constant(0.1)).probabilities(ROWS[:, :2])


def test_a_drifted_library_fails_the_self_test(tmp_path: Path) -> None:
    made = bundle(Constant(0.1))
    wrong = {event: tuple(p + 0.01 for p in answers) for event, answers in made.answers.items()}
    object.__setattr__(made, "answers", wrong)
    with pytest.raises(FeedError, match="self-test"):
        made.self_test()


def test_a_server_remembers_every_kind_of_entity() -> None:
    assert sorted(FEWEST_FIRST) == sorted(GROUPS)
