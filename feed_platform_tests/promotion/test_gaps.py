"""One-sided bounds: as wide as users are alike, and right as often as they say."""

import numpy as np
import pytest

from feed_platform.promotion.gaps import gaps

RNG = np.random.default_rng(3)
ALL = np.ones(2_000, dtype=bool)


def test_rows_of_one_user_are_not_independent() -> None:
    user = np.repeat(np.arange(100), 20)
    value = RNG.normal(size=100)[user]
    by_user, by_row = (gaps({"a": (value, ALL)}, who)["a"] for who in (user, np.arange(2_000)))
    assert by_user.value == pytest.approx(value.mean())
    assert by_user.error > 3 * by_row.error


def test_a_slice_is_the_mean_of_its_rows_and_an_empty_one_is_undefined() -> None:
    value, some = RNG.normal(size=2_000), RNG.random(2_000) < 0.1
    found = gaps({"all": (value, ALL), "some": (value, some), "none": (value, ~ALL)}, np.arange(2_000) // 4)
    assert found["some"].value == pytest.approx(value[some].mean()) and found["some"].n == some.sum()
    assert found["some"].error > found["all"].error
    assert np.isnan(found["none"].low) and found["none"].n == 0


def test_equal_models_are_called_better_about_once_in_twenty() -> None:
    user = np.arange(2_000) // 10
    tries = [RNG.normal(size=200)[user] + RNG.normal(size=2_000) for _ in range(400)]
    found = gaps({str(n): (value, ALL) for n, value in enumerate(tries)}, user)
    below = sum(one.is_below for one in found.values())
    assert 8 <= below <= 36  # 20 expected; binomial 0.3 % and 99.9 %
