"""A drift report finds what moved, leaves alone what did not, and says when it can't tell."""

from dataclasses import replace
from datetime import datetime

import pytest

from feed_platform.lake import Lake
from feed_platform.learning.splits import Window
from feed_platform.monitoring.drift import examine
from feed_platform.monitoring.records import DriftReport, last_verdict, record
from feed_platform.monitoring.windows import IMPRESSIONS, newest_days
from feed_platform.settings import Settings
from feed_platform_tests.monitoring.lakes import (
    FEED,
    TODAY,
    add_examples,
    add_impressions,
    add_requests,
    reference,
)


def _examine(settings: Settings) -> DriftReport:
    lake = Lake.of(settings)
    with lake.read() as con:
        report = examine(con, FEED, reference(), settings.reports)
    record(lake, report)
    return report


def _rows(settings: Settings) -> list[tuple]:
    with Lake.of(settings).read() as con:
        return con.sql("select * exclude reported_at from monitoring.drift order by all").fetchall()


def test_what_moved_is_found_and_nothing_else(home: Settings) -> None:
    add_examples(home)
    add_impressions(home, 3_000, add={"post_ctr_1h": 0.1, "user_clicks_24h": 2})
    add_requests(home, days_ago=3, requests=200)
    add_requests(home, days_ago=0, requests=200, higher=0.2)
    report = _examine(home)
    assert {found.column for found in report.drifted} == {"post_ctr_1h", "user_clicks_24h", "score"}
    assert {found.kind for found in report.findings} == {"feature", "prediction", "label"}
    assert "user_attr_country" in {found.column for found in report.findings}
    page = report.page.read_text()
    assert report.page.name == "drift-2026-01-31.html"
    assert all(note[:40] in page for note in report.notes)
    assert "<script src" not in page and "<link" not in page
    with Lake.of(home).read() as con:
        verdict = last_verdict(con)
    assert verdict.is_calm and set(verdict.drifted) == {"post_ctr_1h", "user_clicks_24h", "score"}


def test_no_false_alarm_and_the_same_report_takes_its_own_place(home: Settings) -> None:
    add_examples(home)
    add_impressions(home, 2_500)
    report = _examine(home)
    assert report.drifted == []
    rows = _rows(home)
    record(Lake.of(home), report)
    assert _rows(home) == rows
    assert len(rows) == len(report.findings) + 1


@pytest.mark.parametrize(("rows", "problem"), [(0, "0 known since 2026-01-19"), (300, "300 known since")])
def test_too_few_rows_are_said_and_recorded(home: Settings, rows: int, problem: str) -> None:
    add_examples(home, rows=2_000)
    add_impressions(home, rows)
    report = _examine(home)
    assert problem in report.problem and report.page is None
    with Lake.of(home).read() as con:
        verdict = last_verdict(con)
    assert not verdict.is_calm and verdict.method == report.problem


def test_no_day_of_the_training_is_called_recent(home: Settings) -> None:
    add_impressions(home, 100)
    with Lake.of(home).read() as con:
        assert newest_days(con, IMPRESSIONS, TODAY) == Window(TODAY, datetime(2026, 2, 1))
        assert newest_days(con, IMPRESSIONS, datetime(2026, 2, 1)) is None
    assert replace(reference(), window=Window(TODAY, TODAY)).first_day_after == TODAY


def test_newest_days_are_as_few_as_hold_enough(home: Settings) -> None:
    with Lake.of(home).write("days") as con:
        con.execute(
            "create table marts.impression_features as select date '2026-01-01' + i::int as known_day "
            "from range(10) days(i), range(900)"
        )
        days = newest_days(con, IMPRESSIONS, datetime(2026, 1, 1))
        assert days == Window(datetime(2026, 1, 8), datetime(2026, 1, 11))
        con.execute("delete from marts.impression_features where rowid % 90 != 0")
        days = newest_days(con, IMPRESSIONS, datetime(2026, 1, 1))
        assert (days.end - days.start).days == 7
