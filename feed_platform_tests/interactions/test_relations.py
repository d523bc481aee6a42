"""Rows that come as SQL: the same promises as for batches, and what only relations can get wrong."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_platform.feed import Attributes, Feed, FeedError
from feed_platform.interactions.batch import Counts, Relation
from feed_platform.interactions.ingest import ingest, ingest_into
from feed_platform.lake import Lake
from feed_platform.lake.erased import suppress
from feed_platform.settings import Settings

FEED = Feed(start=date(2024, 1, 1), attributes=Attributes(posts={"genres": "list", "price": "number"}))
IMPORTED = datetime(2024, 2, 1)
SHOWN = "'u' as user_id, 'p' as post_id, '2024-01-02' as shown_at, 'log.csv' as _file"


@pytest.fixture(scope="module")
def transaction(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A write transaction on an empty lake."""
    folder = tmp_path_factory.mktemp("lake")
    lake = Lake(str(folder / "catalog.sqlite"), str(folder / "data"), "500MB", folder / "tmp")
    with lake.write("tests") as con:
        yield con


@pytest.fixture
def con(transaction: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty lake inside a write transaction that is rolled back."""
    yield transaction
    transaction.rollback()
    transaction.begin()


def bring(con: duckdb.DuckDBPyConnection, *relations: Relation, feed: Feed = FEED) -> Counts:
    return ingest_into(con, feed, relations, mode="history", source="test", imported_at=IMPORTED)


def rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return con.execute(sql).fetchall()


def impressions(select: str) -> Relation:
    return Relation("impressions", f"select *, {SHOWN} from ({select})")


def test_a_row_without_a_number_is_numbered_by_its_place(con: duckdb.DuckDBPyConnection) -> None:
    ids = "select unnest(['a', 'b', null, 'a']) as impression_id"
    bring(con, impressions(ids), impressions("select null as impression_id"))
    found = rows(con, "select row, reason from quarantine.impressions order by all")
    assert found == [
        (1, "impression_id: is missing"),
        (3, "impression_id: is missing"),
        (4, "duplicate impression_id, row 1 kept"),
    ]


def test_a_file_with_a_fault_is_read_the_slow_way(con: duckdb.DuckDBPyConnection) -> None:
    careful = f"""select id as impression_id, {SHOWN}, i as _row,
                  case when id = 'x' then 'has 2 fields' end as _problem
                  from (select unnest(['a', 'x', 'c']) as id, generate_subscripts(['a', 'x', 'c'], 1) as i)"""
    strict = f"select *, if(impression_id = 'x', error('faulty'), 'home') as surface from ({careful})"
    counts = bring(con, Relation("impressions", careful, strict=strict))
    assert (counts.impressions.read, counts.impressions.inserted) == (3, 2)
    assert rows(con, "select row, reason from quarantine.impressions") == [(2, "row: has 2 fields")]


def test_what_fails_names_its_place_and_changes_nothing(home: Settings) -> None:
    good = impressions("select 'a' as impression_id")
    bad = Relation("impressions", "from read_csv('/nowhere.csv')", place="mapping.yaml: impressions[1]")
    with pytest.raises(FeedError, match=r"^mapping.yaml: impressions\[1\]: .*nowhere.csv"):
        ingest(Lake.of(home), FEED, [good, bad], mode="history", source="test", imported_at=IMPORTED)
    with Lake.of(home).read() as con:
        assert rows(con, "select count(*) from raw.impressions") == [(0,)]
    assert not any((home.root / "tmp").glob("import-*"))


def test_attributes_of_every_kind_come_in(con: duckdb.DuckDBPyConnection) -> None:
    sql = """select unnest(['p1', 'p2', 'p3', 'p4']) as post_id,
             unnest(['["a","b"]', '[]', 'a|b', null]) as genres, unnest(['1.5', 'free', '', null]) as price"""
    bring(con, Relation("posts", sql))
    assert rows(con, "select post_id, genres, price from raw.posts order by 1") == [
        ("p1", ["a", "b"], 1.5),
        ("p4", None, None),
    ]
    assert rows(con, "select row, reason from quarantine.posts order by 1") == [
        (2, "price: 'free' is not a number"),
        (3, "genres: 'a|b' is not a list"),
    ]


def test_who_was_erased_does_not_come_back(con: duckdb.DuckDBPyConnection) -> None:
    suppress(con, ["gone-4711"])
    people = "unnest(['stays', 'gone-4711', 'gone-4711']) as user_id"
    shown = (
        f"select unnest(['a', 'b', null]) as impression_id, {people}, 'p' as post_id, "
        "'2024-01-02' as shown_at"
    )
    posts = "select unnest(['p1', 'p2']) as post_id, unnest(['gone-4711', 'stays']) as author_id"
    users = "select unnest(['gone-4711', 'stays']) as user_id"
    bring(con, Relation("users", users), Relation("posts", posts), Relation("impressions", shown))
    assert rows(con, "select user_id from raw.users") == [("stays",)]
    assert rows(con, "select impression_id from raw.impressions") == [("a",)]
    assert rows(con, "select count(*) from quarantine.impressions") == [(0,)]
    authors = dict(rows(con, "select post_id, author_id from raw.posts"))
    assert authors["p2"] == "stays"
    assert authors["p1"].startswith("erased-")


def test_times_out_of_order_lie_in_order(con: duckdb.DuckDBPyConnection) -> None:
    shown = """select i::varchar as impression_id, 'u' as user_id, 'p' as post_id,
               timestamp '2024-01-02' + to_seconds((hash(i) % 1000000)::bigint) as shown_at
               from range(400000) t(i)"""
    bring(con, Relation("impressions", shown))
    steps = "select shown_at - lag(shown_at) over () as step from raw.impressions"
    ((steps_back,),) = rows(con, f"select count(*) from ({steps}) where step < interval 0 second")
    assert steps_back < 10  # between the files that threads write side by side


IDS, POSITIONS = ["a", "b", "c", "", None], ["1", "3.0", "", None, "0", "x"]
TIMES = ["2024-01-02", "1704153600", "soon", "2023-01-01", "", None]
CELLS = st.lists(st.tuples(*map(st.sampled_from, (IDS, POSITIONS, TIMES))), min_size=1, max_size=8)


@settings(max_examples=20)
@given(cells=CELLS)
def test_the_first_good_row_of_an_id_comes_in_and_every_other_says_why(
    transaction: duckdb.DuckDBPyConnection, cells: list[tuple[Any, ...]]
) -> None:
    values = ", ".join(str(tuple(cell or "" for cell in row)) for row in cells)
    log = f"select *, 'u' user_id, 'p' post_id from (values {values}) t(impression_id, position, shown_at)"
    counts = bring(transaction, Relation("impressions", log))
    good = [
        (number, row[0])
        for number, row in enumerate(cells, start=1)
        if row[0] and row[1] in POSITIONS[:4] and row[2] in TIMES[:2]
    ]
    first = {key: number for number, key in reversed(good)}
    expected = sorted(set(range(1, len(cells) + 1)) - set(first.values()))
    came = rows(transaction, "select impression_id from raw.impressions order by 1")
    kept = rows(transaction, "select row from quarantine.impressions where reason <> '' order by 1")
    transaction.rollback()
    transaction.begin()
    assert (came, kept) == ([(key,) for key in sorted(first)], [(number,) for number in expected])
    assert counts.impressions.read == len(cells)
