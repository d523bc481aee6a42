"""The import's promises: each row once, dated right, whatever order and pieces it comes in."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from duckdb import DuckDBPyConnection as Con
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_platform.feed import Attributes, Feed, FeedError
from feed_platform.interactions.batch import RAW_TABLES, Batch, Counts, Mode
from feed_platform.interactions.ingest import ingest, ingest_into
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.settings import Settings

START = datetime(2024, 1, 1)
IMPORTED = datetime(2024, 2, 1)
HOUR = timedelta(hours=1)
FEED = Feed(start=date(2024, 1, 1), attributes=Attributes(users={"country": "category"}))


def bring(to: Con | Settings, *batches: Batch, mode: Mode = "history", **more: Any) -> Counts:
    options = {"mode": mode, "source": "test", "imported_at": IMPORTED} | more
    if isinstance(to, Settings):
        return ingest(Lake.of(to), FEED, batches, **options)
    return ingest_into(to, FEED, batches, **options)


def rows(con: Con, sql: str) -> list[tuple[Any, ...]]:
    return con.execute(sql).fetchall()


@pytest.fixture(scope="module")
def transaction(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Con]:
    """A write transaction on an empty lake; what rolls back spares the next test a lake of its own."""
    folder = tmp_path_factory.mktemp("lake")
    lake = Lake(str(folder / "catalog.sqlite"), str(folder / "data"), "500MB", folder / "tmp")
    with lake.write("tests") as con:
        yield con


@pytest.fixture
def con(transaction: Con) -> Iterator[Con]:
    """An empty lake inside a write transaction."""
    yield transaction
    start_again(transaction)


def start_again(con: Con) -> None:
    con.rollback()
    con.begin()


def version(settings: Settings) -> int:
    with Lake.of(settings).read() as con:
        return version_of(con)


def seal_at(con: Con, instant: datetime) -> None:
    con.execute("insert into raw.seals values (?, ?)", [instant, instant])


def shown(ids: Iterable[str], at: datetime = START + HOUR, **more: Any) -> pl.DataFrame:
    frame = pl.DataFrame({"impression_id": list(ids)}, schema={"impression_id": pl.String})
    columns = {"user_id": "u", "post_id": "p", "shown_at": at} | more
    return frame.with_columns(**{name: pl.lit(value) for name, value in columns.items()})


def user(country: str, **more: Any) -> Batch:
    return Batch(
        users=pl.DataFrame({"user_id": ["u"], "country": [country], **{k: [v] for k, v in more.items()}})
    )


def test_more_rows_than_a_row_group_are_known_again_and_repeated_ones_quarantined(con: Con) -> None:
    ids = [f"i{number}" for number in range(130_000)]
    assert bring(con, Batch(impressions=shown(ids))).impressions.inserted == len(ids)
    again = bring(con, Batch(impressions=shown(ids))).impressions
    assert (again.inserted, again.known, again.quarantined) == (0, len(ids), 0)
    twice = bring(con, Batch(impressions=shown([*ids, *ids]))).impressions
    assert (twice.inserted, twice.known, twice.quarantined) == (0, len(ids), len(ids))


def test_bad_rows_are_quarantined_with_every_reason(con: Con) -> None:
    batch = Batch(
        impressions=pl.DataFrame(
            {
                "impression_id": ["a", None, "c", "d", "e"],
                "user_id": ["u", "u", "u" * 65, "u", ""],
                "post_id": "p",
                "shown_at": [
                    "2024-01-02",
                    "2024-01-02",
                    "soon",
                    "2024-02-01T02:00:00",
                    "2023-12-31T23:59:59",
                ],
                "position": ["1", "0", "1.5", "2", "3"],
                "propensity": ["1", "0", "0.5", "2", None],
                "_file": "log.csv",
                "_row": [1, 2, 3, 4, 5],
            }
        )
    )
    counts = bring(con, batch).impressions
    assert (counts.read, counts.inserted, counts.known, counts.quarantined) == (5, 1, 0, 4)
    found = rows(con, "select file, row, reason from quarantine.impressions order by row")
    assert found == [
        (
            "log.csv",
            2,
            "impression_id: is missing; position: '0' is below 1; propensity: '0.0' is outside (0, 1]",
        ),
        (
            "log.csv",
            3,
            f"user_id: '{'u' * 65}' is longer than 64 characters; shown_at: 'soon' is not a timestamp; "
            "position: '1.5' is not an integer",
        ),
        (
            "log.csv",
            4,
            "shown_at: '2024-02-01 02:00:00.000000' is in the future; propensity: '2.0' is outside (0, 1]",
        ),
        (
            "log.csv",
            5,
            "user_id: is missing; shown_at: '2023-12-31 23:59:59.000000' is before the feed's start",
        ),
    ]
    assert counts.reasons["position: is below 1"] == 1
    record = rows(
        con, "select record->>'shown_at', record->>'position' from quarantine.impressions where row = 3"
    )
    assert record == [("soon", "1.5")]


def test_an_unknown_event_type_is_quarantined_and_a_late_impression_awaited(con: Con) -> None:
    engagements = pl.DataFrame(
        {
            "engagement_id": ["e1", "e2"],
            "impression_id": ["not-there-yet", None],
            "user_id": "u",
            "post_id": "p",
            "event_type": ["click", "klick"],
            "occurred_at": START,
        }
    )
    counts = bring(con, Batch(engagements=engagements)).engagements
    assert (counts.inserted, counts.quarantined) == (1, 1)
    assert counts.reasons == {"event_type: is not one of the feed's event types": 1}


def test_the_same_batches_again_change_nothing(home: Settings) -> None:
    batch = Batch(
        users=pl.DataFrame({"user_id": ["u", "u", None], "country": ["de", "de", "fr"]}),
        impressions=shown(["a", "b", "b", "x" * 65]),
        truth=pl.DataFrame({"impression_id": ["a", "b"], "click_probability": [0.1, 0.2]}),
    )
    first = bring(home, batch)
    before = version(home)
    second = bring(home, batch, imported_at=IMPORTED + HOUR)
    assert version(home) == before
    assert (first.impressions.inserted, second.impressions.inserted) == (2, 0)
    assert (second.impressions.known, second.impressions.quarantined) == (2, 2)
    assert (second.users.known, second.users.quarantined) == (2, 1)


def test_the_first_of_duplicates_is_kept_and_a_committed_row_wins(con: Con) -> None:
    late, early = (
        shown(["a"], received_at=START + 3 * HOUR),
        shown(["a"], position=2, received_at=START + 2 * HOUR),
    )
    bring(con, Batch(impressions=pl.concat([late, early], how="diagonal")))
    assert rows(con, "select position from raw.impressions") == [(2,)]
    assert rows(con, "select row, reason from quarantine.impressions") == [
        (1, "duplicate impression_id, row 2 kept")
    ]
    counts = bring(con, Batch(impressions=shown(["a"], position=9))).impressions
    assert (counts.inserted, counts.quarantined) == (0, 1)
    assert rows(con, "select position from raw.impressions") == [(2,)]
    assert counts.reasons == {"conflicts with the committed row": 1}


def test_history_counts_from_its_own_time(con: Con) -> None:
    known = Batch(
        users=pl.DataFrame({"user_id": ["u", "v"], "known_at": [START + HOUR, None]}),
        impressions=shown(["a"], received_at=START + 5 * HOUR),
    )
    bring(con, known)
    assert rows(con, "select known_at from raw.impressions") == [(START + HOUR,)]
    assert rows(con, "select known_at from raw.users order by user_id") == [(START + HOUR,), (START,)]


def test_live_counts_from_when_it_was_received_never_below_the_seal(con: Con) -> None:
    sealed = START + 10 * HOUR
    seal_at(con, sealed)
    received = START + 12 * HOUR
    bring(con, Batch(impressions=shown(["sealed"], received_at=START + 2 * HOUR)), mode="live")
    bring(con, Batch(impressions=shown(["received"], received_at=received)), mode="live")
    bring(con, Batch(impressions=shown(["now"])), mode="live")
    found = dict(rows(con, "select impression_id, known_at from raw.impressions"))
    assert found == {"sealed": sealed, "received": received, "now": IMPORTED}


def test_history_below_the_seal_is_refused_unless_asked_for(home: Settings) -> None:
    bring(home, Batch(impressions=shown(["a"])))
    with Lake.of(home).write("seal") as con:
        seal_at(con, START + 10 * HOUR)
    before = version(home)
    assert bring(home, Batch(impressions=shown(["a"]))).impressions.known == 1
    with pytest.raises(FeedError, match="--as-history"):
        bring(home, Batch(impressions=shown(["a", "b"])))
    assert version(home) == before
    assert bring(home, Batch(impressions=shown(["a", "b"])), as_history=True).impressions.inserted == 1
    with Lake.of(home).read() as con:
        assert rows(con, "select known_from from raw.reopened") == [(START + HOUR,)]


def test_days_bring_in_what_was_known_in_them(home: Settings) -> None:
    day = timedelta(days=1)
    batch = Batch(impressions=pl.concat([shown(["a"]), shown(["b"], START + day)]))
    counts = bring(home, batch, days=(START + day, START + 2 * day)).impressions
    assert (counts.read, counts.inserted, counts.known) == (2, 1, 0)
    with Lake.of(home).read() as con:
        assert rows(con, "select impression_id from raw.impressions") == [("b",)]


def test_a_user_has_a_new_version_only_when_something_changed(con: Con) -> None:
    for hour, country in enumerate(["de", "de", "fr", "fr", "de"]):
        bring(con, user(country), mode="live", imported_at=IMPORTED + hour * HOUR)
    found = rows(con, "select country, known_at from raw.users order by known_at")
    assert found == [("de", IMPORTED), ("fr", IMPORTED + 2 * HOUR), ("de", IMPORTED + 4 * HOUR)]


def test_news_received_late_is_no_news(con: Con) -> None:
    bring(con, user("fr", received_at=START + 2 * HOUR), mode="live")
    counts = bring(con, user("de", received_at=START + HOUR), mode="live").users
    assert (counts.inserted, counts.known) == (0, 1)


def test_two_sources_that_disagree_do_not_take_turns(con: Con) -> None:
    for hour in range(3):
        for source, country in (("one", "de"), ("two", "fr")):
            bring(con, user(country), mode="live", source=source, imported_at=IMPORTED + hour * HOUR)
    assert rows(con, "select count(*) from raw.users") == [(2,)]


def test_an_undeclared_column_is_refused(home: Settings) -> None:
    before = version(home)
    with pytest.raises(FeedError, match=r"attributes\.users"):
        bring(home, Batch(users=pl.DataFrame({"user_id": ["u"], "age": [3]})))
    assert version(home) == before


EVENT = st.tuples(
    st.sampled_from(["a", "b", "c", None]),
    st.integers(0, 3),
    st.sampled_from([1, 2, 0]),
    st.sampled_from([START + HOUR, START + 2 * HOUR, None]),
)
PERSON = st.tuples(
    st.sampled_from(["u", "v"]),
    st.sampled_from(["de", "fr", None]),
    st.sampled_from([START, START + HOUR, None]),
)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(
    events=st.lists(EVENT, min_size=1, max_size=12),
    people=st.lists(PERSON, max_size=6),
    mode=st.sampled_from(["history", "live"]),
    data=st.data(),
)
def test_order_and_pieces_make_no_difference(
    transaction: Con, events: list[Any], people: list[Any], mode: Mode, data: st.DataObject
) -> None:
    pieces = [*_event_batches(events), *_people_batches(people)]
    shuffled = data.draw(st.permutations(pieces))
    whole = _imported(transaction, [_joined(pieces)], mode)
    assert whole == _imported(transaction, shuffled, mode)


def _event_batches(events: list[Any]) -> list[Batch]:
    types = {"impression_id": pl.String, "position": pl.Int64, "received_at": pl.Datetime("us")}
    return [
        Batch(
            impressions=shown([key], START + hours * HOUR).with_columns(
                pl.Series("impression_id", [key], types["impression_id"]),
                pl.Series("position", [position], types["position"]),
                pl.Series("received_at", [received], types["received_at"]),
                _file=pl.lit("log"),
                _row=pl.lit(row),
            )
        )
        for row, (key, hours, position, received) in enumerate(events)
    ]


def _people_batches(people: list[Any]) -> list[Batch]:
    types = {"user_id": pl.String, "country": pl.String, "received_at": pl.Datetime("us")}
    return [
        Batch(
            users=pl.DataFrame([person], schema=types, orient="row").with_columns(
                pl.col("received_at").alias("known_at"), _file=pl.lit("users"), _row=pl.lit(row)
            )
        )
        for row, person in enumerate(people)
    ]


def _joined(batches: list[Batch]) -> Batch:
    def joined(name: str) -> pl.DataFrame | None:
        frames = [frame for batch in batches if (frame := batch.table(name)) is not None]
        return pl.concat(frames) if frames else None

    return Batch(**{name: joined(name) for name in RAW_TABLES})


def _imported(con: Con, batches: list[Batch], mode: Mode) -> list[list[tuple[Any, ...]]]:
    ingest_into(con, FEED, batches, mode=mode, source="test", imported_at=IMPORTED)
    tables = [f"{schema}.{name}" for name in ("users", "impressions") for schema in ("raw", "quarantine")]
    found = [con.execute(f"select * from {table} order by all").fetchall() for table in tables]
    start_again(con)
    return found
