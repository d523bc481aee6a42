"""What Dagster shows of a table: true, small, and nothing personal."""

from datetime import date, datetime, timedelta

from feed_platform.lake import Lake
from feed_platform.lake.profile import profile
from feed_platform.lake.volume_chart import MOST_BARS, binned, volume_chart
from feed_platform.settings import Settings

START = datetime(2026, 1, 1, 12)


def test_a_sample_of_the_newest_day_shows_no_person(home: Settings) -> None:
    row = "'ada', 'anna', 'p', '{\"mail\": \"a@b.c\"}', 'nan'::double, 0.123456789"
    with Lake.of(home).write("rows") as con:
        con.execute(
            "create table raw.seen (user_id varchar, author_id varchar, post_id varchar, context json)"
        )
        for name, kind in (
            ("score", "double"),
            ("share", "double"),
            ("city", "varchar"),
            ("key", "ubigint"),
            ("seen_at", "timestamp"),
        ):
            con.execute(f"alter table raw.seen add column {name} {kind}")
        for day in (0, 0, 2, None):
            at = None if day is None else START + timedelta(days=day, microseconds=1)
            con.execute(f"insert into raw.seen values ({row}, 'Rome', 18446744073709551615, ?)", [at])
        found = profile(con, "raw.seen", "seen_at", {"city"})
        assert (found.rows, found.by_day) == (4, {date(2026, 1, 1): 2, date(2026, 1, 3): 1})
        shown = {"score": None, "share": 0.123457, "key": "18446744073709551615"}
        assert found.sample == [{**shown, "seen_at": "2026-01-03 12:00:00"}]
        con.execute("delete from raw.seen")
        assert profile(con, "raw.seen", None).rows == 0
        assert profile(con, "raw.seen", "seen_at").sample == []


def test_the_chart_of_twenty_years_has_as_few_bars_as_any_and_every_row() -> None:
    by_day = {date(2006, 1, 1) + timedelta(days=number): number for number in range(0, 7_300, 3)}
    width, bars = binned(by_day)
    assert len(bars) <= MOST_BARS and width == 73
    assert sum(bars) == sum(by_day.values())
    assert len(volume_chart(by_day)) < 5_000
