"""The asset and its check in Dagster, on a champion that was trained."""

from datetime import timedelta

import dagster as dg
import polars as pl
import pytest

from feed_platform.learning import registry
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.tracking import Launch
from feed_platform.learning.training import train
from feed_platform.monitoring import columns
from feed_platform.monitoring.assets import drift
from feed_platform.monitoring.checks import few_features_drifted
from feed_platform.monitoring.windows import WARM_UP
from feed_platform.resources import RESOURCES
from feed_platform.settings import Settings
from feed_platform_tests.monitoring.lakes import FEED, add_examples, add_impressions


def _materialize() -> tuple[dict[str, dg.MetadataValue], dg.AssetCheckEvaluation]:
    result = dg.materialize([drift, few_features_drifted], resources=RESOURCES)
    assert result.success
    (made,) = result.asset_materializations_for_node("monitoring__drift")
    (checked,) = result.get_asset_check_evaluations()
    assert checked.severity == dg.AssetCheckSeverity.WARN
    return dict(made.metadata), checked


def test_without_a_champion_the_run_ends_well_and_the_check_warns(home: Settings) -> None:
    add_examples(home, rows=100)
    metadata, checked = _materialize()
    assert "no champion" in metadata["verdict"].value
    assert metadata["needed rows"].value == 500
    assert metadata["dagster/row_count"].value == 1
    assert not checked.passed and "no champion" in str(checked.description)


def test_the_trained_champion_s_split_is_the_reference(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "MOST_FEATURES", 5)
    add_examples(home, rows=3_000)
    add_impressions(home, 600)
    outcome = train(home, FEED, RankerConfig(rounds=5), Launch("run", "train"))
    registry.set_champion(home, outcome.candidate.version)
    metadata, checked = _materialize()
    settled = outcome.data.train.frame.filter(pl.col("shown_at") >= FEED.start_at + WARM_UP)
    assert metadata["reference rows"].value == len(settled)
    assert metadata["current rows"].value == 600
    assert checked.passed and "0%" in str(checked.description)
    assert metadata["plot"].value.startswith("![drift](data:image/png;base64,")
    assert outcome.data.split.train.end < outcome.data.test.frame["shown_at"].max() - timedelta(days=5)
