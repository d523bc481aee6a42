"""Logs through a mapping file: what comes in, what is quarantined, what is refused."""

import gzip
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from feed_platform.feed import FeedError, MappingSource, feed_path, load_feed
from feed_platform.interactions.mapping import import_mapping, open_bandit_mapping
from feed_platform.interactions.validation import validate
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.settings import Settings

NOW = datetime(2024, 6, 1)
COLUMNS = "{impression_id: id, user_id: member, post_id: article, shown_at: ts, position: slot}"
MAPPING = f"""
name: mine
impressions:
  - files: log.csv
    columns: {COLUMNS}
    engagements_in_row: {{event_type: click, column: clicked}}
"""
LOG = """\
id,member,article,ts,slot,clicked
i1,u1,p1,2024-05-02T10:00:00+02:00,1,1
,u1,p1,2024-05-02T10:00:00Z,1,1
i1,u1,p2,2024-05-02T10:00:00Z,1,1
i3,u1,p1,soon,first,0
i4,u1,p1,2031-01-01T00:00:00Z,1,0
i5,u1
"i6",u2,"p,
3",1714650000,2,0
i7,u2,p1,2024-05-03 00:00:00,3,perhaps
"""


def write(folder: Path, log: str = LOG, mapping: str = MAPPING) -> Path:
    (folder / "log.csv").write_text(log)
    (folder / "mapping.yaml").write_text(mapping)
    return folder / "mapping.yaml"


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with Lake.of(settings).read() as con:
        return con.execute(sql).fetchall()


def version(settings: Settings) -> int:
    with Lake.of(settings).read() as con:
        return version_of(con)


def test_good_rows_come_in_and_each_bad_one_says_why(home: Settings, tmp_path: Path) -> None:
    counts = import_mapping(home, write(tmp_path), imported_at=NOW)
    shown = rows(
        home, "select impression_id, post_id, shown_at, position, surface from raw.impressions order by 1"
    )
    assert shown == [
        ("i1", "p1", datetime(2024, 5, 2, 8), 1, "home"),
        ("i6", "p,\n3", datetime(2024, 5, 2, 11, 40), 2, "home"),
        ("i7", "p1", datetime(2024, 5, 3), 3, "home"),
    ]
    assert rows(home, "select impression_id, event_type, occurred_at from raw.engagements") == [
        ("i1", "click", datetime(2024, 5, 2, 8))
    ]
    assert rows(home, "select file, row, reason from quarantine.impressions order by row") == [
        ("log.csv", 2, "impression_id: is missing"),
        ("log.csv", 3, "duplicate impression_id, row 1 kept"),
        ("log.csv", 4, "shown_at: 'soon' is not a timestamp; position: 'first' is not an integer"),
        ("log.csv", 5, "shown_at: '2031-01-01 00:00:00.000000' is in the future"),
        ("log.csv", 6, "row: has 2 fields, the header has 6"),
    ]
    assert rows(home, "select row, reason from quarantine.engagements") == [
        (8, "value: 'perhaps' is not a number")
    ]
    assert (counts.impressions.read, counts.impressions.inserted, counts.impressions.quarantined) == (8, 3, 5)


def test_the_first_import_says_what_the_feed_is(home: Settings, tmp_path: Path) -> None:
    path = write(tmp_path)
    import_mapping(home, path, imported_at=NOW)
    feed = load_feed(home)
    assert (feed.name, feed.start, feed.clock, feed.label_window_seconds) == (
        "mine",
        date(2024, 5, 2),
        "log",
        60,
    )
    assert feed.sources == (MappingSource(path=str(path), mode="history"),)


def test_the_same_log_again_changes_nothing(home: Settings, tmp_path: Path) -> None:
    path = write(tmp_path)
    import_mapping(home, path, imported_at=NOW)
    before, feed = version(home), feed_path(home).read_text()
    counts = import_mapping(home, path, mode="history", imported_at=NOW + timedelta(days=1))
    assert (version(home), feed_path(home).read_text()) == (before, feed)
    assert (counts.impressions.inserted, counts.impressions.known) == (0, 3)


def test_live_events_set_a_logs_clock_going(home: Settings, tmp_path: Path) -> None:
    path = write(tmp_path)
    import_mapping(home, path, imported_at=NOW)
    with (tmp_path / "log.csv").open("a") as log:
        log.write("i8,u1,p1,2024-06-01T00:00:00Z,1,0\n")
    counts = import_mapping(home, path, mode="live", imported_at=NOW)
    assert (counts.impressions.inserted, load_feed(home).clock) == (1, "live")


REFUSED = {
    "no file": (
        MAPPING.replace("log.csv", "lag.csv"),
        r"impressions\[0\]\.files: no file matches .*lag\.csv",
    ),
    "no column": (MAPPING.replace("member", "person"), r"no column 'person'; it has id, member"),
    "not parquet": (MAPPING.replace("columns:", "format: parquet\n    columns:"), "is not Parquet"),
    "not json": (MAPPING.replace("columns:", "format: jsonl\n    columns:"), "is not JSON lines"),
    "unknown format": (MAPPING.replace("log.csv", "mapping.yaml"), "give csv, parquet or jsonl as format"),
    "unknown key": (
        MAPPING.replace("columns:", "colums:"),
        r"impressions\[0\]\.colums: unknown key: use one of files",
    ),
    "unknown column": (
        MAPPING.replace("position:", "place:"),
        r"columns\.place: not a column of raw\.impressions",
    ),
    "needed column": (
        MAPPING.replace("shown_at: ts, ", ""),
        r"impressions\[0\]\.columns: shown_at is needed",
    ),
    "bad column": (
        MAPPING.replace("id: id", "id: {mix: [id]}"),
        r"columns\.impression_id: give a source column",
    ),
    "not yaml": ("name: [", "is not YAML"),
    "no mapping": ("- name", "mapping.yaml: "),
    "undeclared": (
        MAPPING + "users: [{files: log.csv, columns: {user_id: member, age: slot}}]",
        r"feed\.attributes",
    ),
    "bad attribute": (
        MAPPING + "feed: {attributes: {users: {user_id: number}}}",
        r"feed\.attributes: users\.user_id",
    ),
    "no time": (MAPPING.replace("shown_at: ts", "shown_at: id"), r"feed\.start is needed"),
}


@pytest.mark.parametrize("mapping, message", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_as_the_mapping_says_is_refused(
    home: Settings, tmp_path: Path, mapping: str, message: str
) -> None:
    path = write(tmp_path, mapping=mapping)
    with pytest.raises(FeedError, match=message) as refusal:
        import_mapping(home, path, imported_at=NOW)
    assert str(path) in str(refusal.value)
    assert not feed_path(home).exists()
    assert version(home) == 1


def test_a_file_that_goes_wrong_later_changes_nothing(home: Settings, tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "log2.csv").write_bytes(b"id,member,article,ts,slot,clicked\ni9,u\xff,p1,1714650000,1,0\n")
    path.write_text(MAPPING.replace("log.csv", "log*.csv"))
    with pytest.raises(FeedError, match=r"log2\.csv is not CSV in UTF-8"):
        import_mapping(home, path, imported_at=NOW)
    assert version(home) == 1


def test_every_format_and_any_split_gives_the_same_rows(home: Settings, tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "id": [f"i{n}" for n in range(9)],
            "member": [n % 3 for n in range(9)],
            "article": "p",
            "ts": [datetime(2024, 5, 2) + timedelta(hours=n) for n in range(9)],
            "slot": [n % 4 + 1 for n in range(9)],
            "clicked": [n % 2 for n in range(9)],
        }
    )
    frame[4:].reverse().write_csv(tmp_path / "a.csv")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(frame[:2].write_csv().encode()))
    lines = frame[2:3].with_columns(pl.col("ts").dt.epoch("ms")).to_dicts()
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\nnot json\n")
    frame[3:4].write_parquet(tmp_path / "d.parquet")
    path = write(tmp_path, mapping=MAPPING.replace("log.csv", "'[abcd].*'"))
    import_mapping(home, path, imported_at=NOW)
    found = rows(home, "select impression_id, user_id, shown_at, position from raw.impressions order by 1")
    assert found == [(i, str(u), at, slot) for i, u, _, at, slot, _ in frame.iter_rows()]
    assert rows(home, "select count(*) from raw.engagements") == [(4,)]
    assert rows(home, "select file, row, reason from quarantine.impressions") == [
        ("c.jsonl", 2, "row: is not a JSON object")
    ]


def test_ids_are_made_hashed_joined_and_prefixed(home: Settings, tmp_path: Path) -> None:
    mapping = """
name: made
impressions:
  - files: log.csv
    columns:
      user_id: {hash: [id, member]}
      post_id: article
      request_id: {concat: [id, slot]}
      shown_at: ts
    constants: {surface: shop, policy: random, propensity: 0.25}
    id_prefix: {post_id: shop-}
"""
    log = "id,member,article,ts,slot\na,u,1,1714650000,7\na,u,1,1714650000,\n"
    path = write(tmp_path, log, mapping)
    import_mapping(home, path, imported_at=NOW)
    found = rows(
        home, "select user_id, post_id, request_id, surface, propensity from raw.impressions order by 3"
    )
    hashed = "md5('a' || chr(31) || 'u')"
    assert rows(home, f"select {hashed}") == [(found[0][0],)]
    assert [row[1:] for row in found] == [("shop-1", "a:7", "shop", 0.25), ("shop-1", None, "shop", 0.25)]
    made = rows(home, "select impression_id from raw.impressions where request_id = 'a:7'")
    assert made == rows(home, "select md5('made' || chr(31) || 'log.csv' || chr(31) || '1')")


def test_open_bandit_is_what_was_published(home: Settings) -> None:
    counts = import_mapping(home, open_bandit_mapping())
    assert (counts.impressions.inserted, counts.posts.inserted) == (60_000, 160)
    clicks = rows(
        home,
        """select i.policy, i.surface, count(*), count(e.engagement_id) from raw.impressions i
           left join raw.engagements e using (impression_id) group by 1, 2 order by 1 desc, 2""",
    )
    assert clicks == [
        ("random", "all", 10_000, 38),
        ("random", "men", 10_000, 46),
        ("random", "women", 10_000, 46),
        ("bts", "all", 10_000, 42),
        ("bts", "men", 10_000, 69),
        ("bts", "women", 10_000, 46),
    ]
    feed = load_feed(home)
    assert (feed.start, feed.clock, feed.sources[0]) == (
        date(2019, 11, 24),
        "log",
        MappingSource(path="sample:open_bandit", mode="history"),
    )
    assert validate(home) == []


def test_validate_finds_what_got_into_the_lake(home: Settings, tmp_path: Path) -> None:
    import_mapping(home, write(tmp_path), imported_at=NOW)
    with Lake.of(home).write("break it") as con:
        con.execute("insert into raw.impressions (impression_id, user_id, position) values ('i1', 'u', 0)")
        con.execute("insert into raw.users (user_id) values ('u')")
    found = {(issue.table, issue.rule): issue.rows for issue in validate(home)}
    assert found["raw.impressions", "position: is below 1"] == 1
    assert found["raw.impressions", "shown_at: is missing"] == 1
    assert found["raw.impressions", "impression_id: is not unique"] == 1
    assert found["raw.impressions", "user_id: is not in raw.users"] == 3
    assert found["quarantine.impressions", "duplicate impression_id"] == 1
    assert found["quarantine.impressions", "row: has 2 fields, the header has 6"] == 1
