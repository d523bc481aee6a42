"""Rows streamed from the lake train the same model as rows in memory, and leave nothing behind."""

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from feed_platform.feed import FeedError
from feed_platform.lake import Lake
from feed_platform.learning import source, spool
from feed_platform.learning.binned import Binned
from feed_platform.learning.cold import with_cold
from feed_platform.learning.dataset import Dataset, Part, load_dataset
from feed_platform.learning.ranker import RankerConfig, fit_rankers
from feed_platform.learning.source import Held
from feed_platform.learning.spool import Spool
from feed_platform.settings import Settings
from feed_platform_tests.learning.homes import NewHome
from feed_platform_tests.learning.synthetic import FEED, fill_lake, synthetic_frame

CONFIG = RankerConfig(rounds=10, cold_share=0.2)


def gappy_frame() -> pl.DataFrame:
    """Rows with missing values; the lake gets them in another order."""
    frame = synthetic_frame(2_000)
    likes = pl.Series("label_like", np.random.default_rng(3).integers(0, 2, 2_000), pl.Int32)
    known = pl.when(pl.int_range(pl.len()) % 5 > 0).then(pl.col("post_age_hours"))
    return frame.with_columns(likes, post_age_hours=known.fill_null(np.nan))


@pytest.fixture(scope="module")
def home(new_home: NewHome) -> Settings:
    made = new_home()
    fill_lake(made, gappy_frame().sample(fraction=1.0, shuffle=True, seed=1))
    return made


def boosters(data: Dataset) -> dict[str, bytes]:
    fitted = fit_rankers(with_cold(data.train, FEED, CONFIG), data.validation, ["click", "like"], CONFIG)
    return {event: booster.dumps() for event, booster in fitted.items()}


def test_streamed_rows_train_the_bytes_that_rows_in_memory_do(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = load_dataset(Lake.of(home), FEED)
    held = Dataset.of(gappy_frame(), stored.features, stored.split)
    in_memory = boosters(held)
    assert in_memory["click"] != in_memory["like"]
    assert boosters(stored) == in_memory
    monkeypatch.setattr(source, "BATCH_ROWS", 97)
    monkeypatch.setattr(spool, "READ_BYTES", 10_000)
    assert boosters(load_dataset(Lake.of(home), FEED)) == in_memory
    matrix = stored.test.matrix
    assert np.array_equal(matrix, held.test.matrix, equal_nan=True)
    assert np.array_equal(stored.test.take(np.array([3, 0])), matrix[[3, 0]], equal_nan=True)
    assert stored.test.present(stored.features) == held.test.present(stored.features)


def test_nothing_is_left_in_scratch_also_after_an_error(home: Settings) -> None:
    part = load_dataset(Lake.of(home), FEED).train
    next(part.batches())
    assert not list(Lake.of(home).temp.iterdir())

    class Broken(Held):
        def batches(self, *asked: object, **how: object) -> Iterator[pl.DataFrame]:
            yield from super().batches(["position"])
            raise FeedError("gone")

    broken = Part(Broken(gappy_frame(), Lake.of(home).temp), ("position",))
    with pytest.raises(FeedError, match="gone"):
        Binned((broken,)).labelled("click")
    assert not list(Lake.of(home).temp.iterdir())


def test_a_full_disk_is_a_message() -> None:
    made = Spool.of([pl.DataFrame({"a": [1.0]})], 1, None)
    made._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with made._file, pytest.raises(FeedError, match="don't fit into"):
        made._append(np.ones((1, 1), dtype=np.float32))


def test_a_column_that_no_row_has_is_missing_in_all(home: Settings) -> None:
    data = load_dataset(Lake.of(home), FEED)
    part = Part(data.source.within(data.split.test), (*data.features, "newer"))
    assert part.frame["newer"].null_count() == len(part)
    assert np.isnan(part.matrix[:, -1]).all()
