"""The sensor asks for one report per arrival of new data."""

from pathlib import Path

import dagster as dg
import pytest

from feed_platform.lake import Lake
from feed_platform.monitoring.schedules import nightly_drift
from feed_platform.monitoring.sensors import new_data
from feed_platform.resources import Home
from feed_platform.settings import Settings
from feed_platform_tests.monitoring.lakes import add_examples, add_requests


def _tick(cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    return new_data(dg.build_sensor_context(cursor=cursor, resources={"home": Home()}))


def test_no_lake_is_a_reason_to_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_HOME", str(tmp_path / "nowhere"))
    skipped = _tick()
    assert isinstance(skipped, dg.SkipReason) and "no lake" in str(skipped.skip_message)


def test_an_empty_lake_is_a_reason_to_skip(home: Settings) -> None:
    assert isinstance(_tick(), dg.SkipReason)


def test_one_run_for_each_arrival(home: Settings) -> None:
    add_examples(home, rows=500)
    first, again = _tick(), _tick()
    assert first.run_requests[0].run_key == again.run_requests[0].run_key
    assert isinstance(_tick(first.cursor), dg.SkipReason)

    add_requests(home, days_ago=1, requests=99)
    assert isinstance(_tick(first.cursor), dg.SkipReason)
    add_requests(home, days_ago=0, requests=1)
    second = _tick(first.cursor)
    assert second.run_requests[0].run_key != first.run_requests[0].run_key
    assert isinstance(_tick(second.cursor), dg.SkipReason)

    with Lake.of(home).write("a day later") as con:
        con.execute("update training.examples set matured_day = matured_day + 1")
    assert isinstance(_tick(second.cursor), dg.SensorResult)


def test_sensor_and_schedule_launch_the_drift_job_by_default() -> None:
    assert new_data.job_name == nightly_drift.job_name == "drift"
    assert new_data.default_status == dg.DefaultSensorStatus.RUNNING
    assert nightly_drift.default_status == dg.DefaultScheduleStatus.RUNNING
