"""The training table: each row written once, none that breaks a rule."""

import polars as pl
import pytest

from feed_platform.feed import Attributes, FeedError
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.learning.examples import append_examples
from feed_platform.settings import Settings
from feed_platform_tests.learning.synthetic import FEED, synthetic_frame

ROWS = synthetic_frame(200).drop("truth")


def table(lake: Lake) -> pl.DataFrame:
    with lake.read() as con:
        return con.sql("from training.examples order by impression_id").pl()


def test_a_row_is_written_once_and_never_changed(home: Settings) -> None:
    lake = Lake.of(home)
    assert append_examples(lake, FEED, ROWS.head(150), 3) == 150
    before = table(lake)
    with lake.read() as con:
        version = version_of(con)
    changed = ROWS.head(150).with_columns(label_click=1 - pl.col("label_click"))
    assert append_examples(lake, FEED, changed, 4) == 0
    with lake.read() as con:
        assert version_of(con) == version
    assert append_examples(lake, FEED, ROWS, 4) == 50
    after = table(lake)
    assert after.join(before, on="impression_id", how="semi").equals(before)
    assert after["matured_day"].to_list() == after["matured_at"].dt.date().to_list()


def test_a_new_feature_is_null_in_the_rows_before(home: Settings) -> None:
    lake, wider = Lake.of(home), FEED.model_copy(update={"attributes": Attributes(posts={"price": "number"})})
    append_examples(lake, FEED, ROWS.head(20), 1)
    priced = ROWS.with_columns(post_attr_price=pl.lit(2.5, pl.Float32))
    assert append_examples(lake, wider, priced, 2) == 180
    assert table(lake).group_by("post_attr_price").len().sort("len")["len"].to_list() == [20, 180]


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (pl.lit(1.5, pl.Float32).alias("post_ctr_28d"), "post_ctr_28d"),
        (pl.lit(-1.0, pl.Float32).alias("user_clicks_24h"), "user_clicks_24h"),
        (pl.lit(99.0, pl.Float32).alias("post_clicks_1h"), "post_clicks_1h <= post_clicks_28d"),
        (pl.lit(2, pl.Int32).alias("label_click"), "label_click"),
        (pl.col("shown_at").alias("matured_at"), "shown_at < matured_at"),
        (pl.col("shown_at").dt.offset_by("1h").alias("as_of"), "as_of <= shown_at"),
        (pl.lit("i1").alias("impression_id"), "impression_id"),
    ],
)
def test_a_broken_rule_is_named_and_nothing_written(home: Settings, broken: pl.Expr, rule: str) -> None:
    lake = Lake.of(home)
    append_examples(lake, FEED, ROWS.head(10), 1)
    with pytest.raises(FeedError, match="none was written") as raised:
        append_examples(lake, FEED, ROWS.with_columns(broken), 2)
    assert rule in str(raised.value)
    assert not any(user_id in str(raised.value) for user_id in ROWS["user_id"].unique())
    assert len(table(lake)) == 10
