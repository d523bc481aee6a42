"""On-demand features, by hand."""

import numpy as np

from feed_platform.features.on_demand import category_codes, on_demand

MONDAY_1030 = np.datetime64("2026-11-23T10:30:00")


def test_one_instant_for_all_posts() -> None:
    created = np.array(["2026-11-23T09:00:00", "NaT"], dtype="datetime64[us]")
    features = on_demand(MONDAY_1030, created, 3)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, [[3, 1.5, 10, 0], [3, np.nan, 10, 0]])


def test_an_instant_and_a_position_for_each() -> None:
    created = np.array(["2026-11-23T09:00:00"] * 2, dtype="datetime64[us]")
    instants = np.array([MONDAY_1030, np.datetime64("2026-11-29T00:00:00")])
    features = on_demand(instants, created, np.array([1.0, np.nan]))
    np.testing.assert_array_equal(features, [[1, 1.5, 10, 0], [np.nan, 135, 0, 6]])


def test_category_codes_are_whole_numbers_that_float32_holds() -> None:
    codes = category_codes(["de", None, "at", "de"])
    assert codes[0] == codes[3] != codes[2]
    assert np.isnan(codes[1])
    assert np.array_equal(codes[[0, 2]], codes[[0, 2]].astype(np.int64))
