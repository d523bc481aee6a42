"""The parts follow one another in time with room for a label between them."""

import doctest
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from feed_platform.feed import FeedError
from feed_platform.learning import splits
from feed_platform.learning.splits import SHORT, Split, split_by_time

FIRST = datetime(2026, 1, 1)


@given(st.timedeltas(timedelta(hours=1), timedelta(days=400)), st.timedeltas(timedelta(0), timedelta(days=7)))
def test_parts_are_in_order_with_a_gap_and_nothing_is_lost(span: timedelta, gap: timedelta) -> None:
    assume(6 * gap <= span)
    split = split_by_time(FIRST, FIRST + span, gap)
    merged = split.validation == split.calibration
    parts = [split.train, split.validation, *([] if merged else [split.calibration]), split.test]
    assert split.train.start == FIRST
    assert split.test.end > FIRST + span >= split.test.start
    assert all(part.start < part.end for part in parts)
    for earlier, later in pairwise(parts):
        assert later.start - earlier.end >= gap
    assert merged == split.is_merged == bool(split.note) == (span < SHORT)
    assert Split.from_json(split.as_json()) == split


def test_a_log_shorter_than_its_gaps_is_refused() -> None:
    with pytest.raises(FeedError, match="too little for a split in time"):
        split_by_time(FIRST, FIRST + timedelta(days=3), timedelta(days=1))
    with pytest.raises(FeedError):
        split_by_time(FIRST, FIRST, timedelta(0))


def test_the_example_holds() -> None:
    assert doctest.testmod(splits).failed == 0
