"""Orders and their propensities: what is logged is how often it happens."""

from collections import Counter, defaultdict
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from feed_platform.features.keys import keys
from feed_platform.serving.drawing import Cap, Drawn, Rules, draw, exposure_boost, hashes

DRAWS = 6_000
POSTS = keys(f"p{n}" for n in range(6))
SCORES = np.array([0.30, 0.25, 0.25, 0.10, 0.05, 0.02])
LOGITS = SCORES / 0.1
IS_NEW = np.array([False, False, False, False, True, True])
TOPICS = Cap(np.array([0, 0, 0, 1, 1, -1]), 2)
WORLDS = {
    "free": (LOGITS, Rules()),
    "pinned": (LOGITS, Rules(pins={2: 4})),
    "capped": (LOGITS, Rules(caps=(TOPICS, Cap(np.array([0, 1, 1, 1, 2, 3]), 1)))),
    "pinned and capped": (LOGITS, Rules(pins={1: 5}, caps=(TOPICS,))),
    "new posts": (LOGITS + exposure_boost(LOGITS, IS_NEW, 0.4), Rules()),
}


def drawn(request: int, logits: np.ndarray, rules: Rules) -> Drawn:
    return draw(SCORES, partial(hashes, f"request-{request}", POSTS), logits, rules)


@pytest.mark.parametrize("name", WORLDS)
def test_posts_stand_at_places_1_to_3_as_often_as_their_propensities_say(name: str) -> None:
    logits, rules = WORLDS[name]
    said: dict[tuple[int, ...], dict[int, float]] = defaultdict(dict)
    seen: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for request in range(DRAWS):
        found = drawn(request, logits, rules)
        for place in range(3):
            above = tuple(found.order[:place].tolist())
            post = int(found.order[place])
            seen[above][post] += 1
            known = said[above].setdefault(post, float(found.propensity[place]))
            assert known == pytest.approx(float(found.propensity[place]), abs=1e-12)
    tests = 0
    for above, counts in seen.items():
        chances = said[above]
        total = sum(counts.values())
        if total < 300 or min(chances.values()) * total < 5:
            continue
        assert sum(chances.values()) == pytest.approx(1.0, abs=1e-9)
        if len(counts) > 1:
            expected = [chances[post] * total for post in counts]
            assert chisquare(list(counts.values()), expected).pvalue > 1e-3
            tests += 1
    assert tests >= (3 if "pinned" in name else 5)


def test_a_new_post_has_its_share_of_the_first_place() -> None:
    boosted = WORLDS["new posts"][0]
    chance = np.exp(boosted) / np.exp(boosted).sum()
    assert chance[IS_NEW].sum() == pytest.approx(0.4)
    enough = exposure_boost(LOGITS, ~IS_NEW, 0.4)
    assert not enough.any()


def test_without_chance_the_best_stands_first_and_is_certain() -> None:
    found = draw(SCORES, partial(hashes, "r", POSTS))
    assert SCORES[found.order].tolist() == sorted(SCORES, reverse=True)
    assert found.propensity.tolist() == [1.0] * len(SCORES)


def test_pins_and_caps_hold_at_every_draw() -> None:
    rules = Rules(pins={1: 5, 3: 0}, caps=(TOPICS,))
    for request in range(200):
        found = drawn(request, LOGITS, rules)
        assert (found.order[0], found.order[2], *found.propensity[[0, 2]]) == (5, 0, 1.0, 1.0)
        kinds = Counter(TOPICS.kinds[found.order].tolist())
        assert kinds[0] <= 2 and kinds[1] <= 2
        assert sorted([*found.order, *found.left_out]) == list(range(len(SCORES)))
    last = draw(SCORES, partial(hashes, "r", POSTS), LOGITS, Rules(pins={50: 0}))
    assert last.order[-1] == 0 and len(last.order) == len(SCORES)


@given(
    st.lists(st.floats(-50, 50), min_size=1, max_size=30),
    st.sampled_from([1e-6, 0.05, 1.0, 1e6]),
    st.randoms(use_true_random=False),
    st.text(max_size=10),
)
def test_an_order_is_a_permutation_whatever_the_candidates_order(
    scores: list[float], temperature: float, random: object, request: str
) -> None:
    values, posts = np.array(scores), keys(f"p{n}" for n in range(len(scores)))
    turned = np.array(random.sample(range(len(scores)), len(scores)))  # type: ignore[attr-defined]
    first = draw(values, partial(hashes, request, posts), values / temperature)
    again = draw(values[turned], partial(hashes, request, posts[turned]), values[turned] / temperature)
    assert sorted(first.order.tolist()) == list(range(len(scores)))
    assert turned[again.order].tolist() == first.order.tolist()
    assert again.propensity.tolist() == first.propensity.tolist()
    tied, hashed = np.round(values), hashes(request, posts)
    assert draw(tied, lambda: hashed).order.tolist() == np.lexsort((hashed, -tied)).tolist()
    assert ((first.propensity > 0) & (first.propensity <= 1)).all() and first.propensity[-1] == 1
