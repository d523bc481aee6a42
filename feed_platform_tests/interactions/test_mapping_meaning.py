"""What a mapping says about a log's cells: times, ratings, slates, lists, exclusions, drawn impressions."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feed_platform.feed import FeedError, MappingSource, Objective, feed_path, load_feed
from feed_platform.interactions.batch import Counts
from feed_platform.interactions.mapping import import_mapping
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.settings import Settings

NOW = datetime(2024, 6, 1)


def take(home: Settings, folder: Path, mapping: str, **files: str) -> Counts:
    """Import a mapping beside its files; `log_csv` is log.csv."""
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    (folder / "mapping.yaml").write_text(mapping)
    return import_mapping(home, folder / "mapping.yaml", imported_at=NOW)


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with Lake.of(settings).read() as con:
        return con.execute(sql).fetchall()


def shown_at(home: Settings, folder: Path, cell: str, times: str = "") -> Any:
    """The instant of one impression, or why it was refused."""
    mapping = f"""
name: times
feed: {{start: 1990-01-01}}
impressions:
  - files: log.tsv
    columns: {{user_id: u, post_id: p, shown_at: t}}
    {times}
"""
    take(home, folder, mapping, log_tsv=f"u\tp\tt\nu\tp\t{cell}\n")
    found = rows(home, "select shown_at from raw.impressions")
    return found[0][0] if found else rows(home, "select reason from quarantine.impressions")[0][0]


NOON = datetime(2024, 1, 2, 12)
TIMES = {
    "epoch as a float": ("1704196800.0", "", NOON),
    "epoch with an exponent": ("1.7041968e9", "", NOON),
    "milliseconds": ("1704196800000", "", NOON),
    "microseconds": ("1704196800000000", "", NOON),
    "a zone": ("2024-01-02T14:00:00+02:00", "", NOON),
    "a pattern": ("2/1/2024 12:00 PM", "time_format: '%d/%m/%Y %I:%M %p'", NOON),
    "a pattern with a zone": ("02Jan2024 13:00 +0100", "time_format: '%d%b%Y %H:%M %z'", NOON),
    "a pattern in a place": (
        "02.01.2024 13:00",
        "time_format: '%d.%m.%Y %H:%M'\n    time_zone: Europe/Berlin",
        NOON,
    ),
    "a place": ("2024-01-02 13:00:00", "time_zone: Europe/Berlin", NOON),
    "a place in summer": ("2024-05-02 14:00", "time_zone: Europe/Berlin", datetime(2024, 5, 2, 12)),
    "a zone beats a place": ("2024-01-02 12:00:00Z", "time_zone: Europe/Berlin", NOON),
    "an epoch beats a place": ("1704196800", "time_zone: Europe/Berlin", NOON),
    "a count from the start": ("43200", "time_unit: s\n    time_origin: 2024-01-02T00:00:00Z", NOON),
    "a small count": ("631152000", "time_unit: s", datetime(1990, 1, 1)),
    "no date": ("99/99/2024", "time_format: '%d/%m/%Y'", "shown_at: '99/99/2024' is not a timestamp"),
    "a year": ("2024", "", "shown_at: '2024' is not a timestamp"),
    "a count that is none": ("soon", "time_unit: ms", "shown_at: 'soon' is not a timestamp"),
    "a count beyond all time": ("1e30", "time_unit: s", "shown_at: '1e30' is not a timestamp"),
}


@pytest.mark.parametrize("cell, times, expected", TIMES.values(), ids=TIMES.keys())
def test_times_are_exact_in_utc(home: Settings, tmp_path: Path, cell: str, times: str, expected: Any) -> None:
    assert shown_at(home, tmp_path, cell, times) == expected


def test_a_log_without_times_may_have_one(home: Settings, tmp_path: Path) -> None:
    mapping = "name: timeless\nimpressions:\n  - files: log.csv\n    columns: {user_id: u, post_id: p}\n"
    take(home, tmp_path, f"{mapping}    constants: {{shown_at: 2020-02-03}}\n", log_csv="u,p\nu,p\n")
    assert rows(home, "select shown_at from raw.impressions") == [(datetime(2020, 2, 3),)]
    assert load_feed(home).start == date(2020, 2, 3)


def test_mixed_line_endings_are_named(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "log.tsv").write_bytes(STARS.encode() + b"\nu\ti\t1\t8.8e8\r\n")
    with pytest.raises(FeedError, match=r"impressions\[0\]: log\.tsv: .*line endings are mixed"):
        take(home, tmp_path, RATINGS)


RATINGS = """
name: ratings
impressions:
  - files: log.tsv
    decimal: ","
    columns: {user_id: user, post_id: item, shown_at: at}
    engagements_in_row:
      - {event_type: rating, column: stars, value: stars}
      - {event_type: like, column: stars, at_least: 4}
      - {event_type: hide, column: stars, at_most: 1.5}
"""
STARS = "user:token\titem:token\tstars:float\tat:float\n" + "\n".join(
    f"u{n % 2}\ti{n}\t{stars}\t8.8e8" for n, stars in enumerate(["4,0", "5", "3,99", "1,5", "", "many"])
)


def test_ratings_become_events_by_threshold(home: Settings, tmp_path: Path) -> None:
    counts = take(home, tmp_path, RATINGS, log_tsv=STARS)
    found = rows(
        home,
        "select post_id, event_type, value from raw.engagements join raw.impressions using (post_id) "
        "order by 1, 2",
    )
    assert [(post, kind, value) for post, kind, value in found] == [
        ("i0", "like", None),
        ("i0", "rating", 4.0),
        ("i1", "like", None),
        ("i1", "rating", 5.0),
        ("i2", "rating", 3.99),
        ("i3", "hide", None),
        ("i3", "rating", 1.5),
    ]
    assert counts.engagements.reasons == {"value: is not a number": 3}
    feed = load_feed(home)
    assert (feed.objectives, feed.clock, feed.label_window_seconds, feed.start) == (
        (Objective(event="like"),),
        "log",
        60,
        date(1997, 11, 20),
    )
    assert feed.event_types[-1] == "rating"


MIND = """
name: news
impressions:
  - files: behaviors.tsv
    header: [id, user, at, history, shown]
    time_format: "%m/%d/%Y %I:%M:%S %p"
    columns: {impression_id: id, user_id: user, shown_at: at}
    slate: {post_id: {column: shown, split: " "}, label_after: "-"}
"""


def test_a_slate_is_one_impression_for_each_post(home: Settings, tmp_path: Path) -> None:
    log = "1\tU1\t11/15/2019 8:55:22 AM\tN1 N2\tN5-5-0 N3-1 N5-5-0\n2\tU2\t11/15/2019 9:00:00 PM\t\t\n"
    counts = take(home, tmp_path, MIND, behaviors_tsv=log)
    found = rows(
        home,
        """select request_id, position, i.post_id, event_type from raw.impressions i
           left join raw.engagements using (impression_id) order by 2""",
    )
    assert found == [("1", 1, "N5-5", None), ("1", 2, "N3", "click"), ("1", 3, "N5-5", None)]
    assert rows(home, "select row, reason from quarantine.impressions") == [(2, "row: lists no post")]
    assert counts.engagements.inserted == 1


SLATE = """
name: slates
impressions:
  - files: log.jsonl
    columns: {user_id: u, shown_at: t}
    slate: {post_id: shown, propensity: p, LABELS}
"""


@pytest.mark.parametrize("labels", ["labels: clicks", "engaged: clicked, event_type: save"])
def test_labels_stand_in_a_list_or_are_ids(home: Settings, tmp_path: Path, labels: str) -> None:
    log = """{"u": 1, "t": 1704196800, "shown": [7, 8],"p": [0.25, 0.5], "clicks": [0, 1],"clicked": "['8']"}
{"u": 1, "t": 1704196800, "shown": ["a"], "p": [0.5, 0.1], "clicks": [1], "clicked": []}"""
    take(home, tmp_path, SLATE.replace("LABELS", labels), log_jsonl=log)
    shown = rows(home, "select post_id, position, propensity from raw.impressions order by 2")
    assert shown == [("7", 1, 0.25), ("8", 2, 0.5)]
    kind = "save" if "save" in labels else "click"
    assert rows(home, "select post_id, event_type from raw.engagements") == [("8", kind)]
    assert rows(home, "select reason from quarantine.impressions") == [
        ("row: has 2 propensities for 1 posts",)
    ]
    assert load_feed(home).objectives == (Objective(event=kind),)


def test_attributes_and_context_keep_their_kinds(home: Settings, tmp_path: Path) -> None:
    mapping = """
name: kinds
feed:
  attributes:
    posts: {genres: list, tags: list, year: number}
    context: {device: category, battery: number}
posts:
  - files: posts.csv
    columns:
      post_id: id
      topic: {column: genres, split: "|", take: 1, values: {Sci-Fi: science fiction}}
      genres: {column: genres, split: "|"}
      tags: tags
      year: year
impressions:
  - files: log.csv
    columns: {user_id: u, post_id: p, shown_at: t}
    context: {device: dev, battery: level}
"""
    posts = (
        """id,genres,tags,year\n1,Sci-Fi| Drama|,"['a b', 'c']",1999\n2,,"[""x""]",\n3,Drama,no list,1\n"""
    )
    log = "u,p,t,dev,level\nu,1,1704196800,phone,0.5\nu,1,1704196801,,\n"
    take(home, tmp_path, mapping, posts_csv=posts, log_csv=log)
    assert rows(home, "select post_id, topic, genres, tags, year from raw.posts order by 1") == [
        ("1", "science fiction", ["Sci-Fi", "Drama"], ["a b", "c"], 1999.0),
        ("2", None, None, ["x"], None),
    ]
    assert rows(home, "select reason from quarantine.posts") == [("tags: 'no list' is not a list",)]
    assert rows(home, "select context from raw.impressions order by shown_at") == [
        ('{"device":"phone","battery":0.5}',),
        (None,),
    ]


def test_bots_are_left_out_counted_and_recorded(home: Settings, tmp_path: Path) -> None:
    mapping = """
name: clean
impressions:
  - files: log.csv
    columns: {user_id: u, post_id: p, shown_at: t}
    where: {column: kind, equals: view}
    exclude:
      - {column: u, in_file: bots.txt}
      - {column: ua, matches: "(?i)crawler"}
      - {column: p, equals: 9}
    engagements_in_row: {event_type: click, column: c}
"""
    kept = "ok,1,1704196800,Firefox,view,1"
    log = "u,p,t,ua,kind,c\n" + "\n".join(
        [
            kept,
            "bot,1,1704196800,Crawler,view,1",
            "u,1,1704196800,A CRAWLER,view,1",
            "u,9.0,1704196800,,view,0",
            "u,1,1704196800,,click,1",
            "short",
        ]
    )
    counts = take(home, tmp_path, mapping, log_csv=log, bots_txt="bot\n other \n")
    assert (counts.impressions.inserted, counts.impressions.quarantined, counts.engagements.inserted) == (
        1,
        1,
        1,
    )
    rules = {
        "impressions[0] u in_file bots.txt": 1,
        "impressions[0] ua matches (?i)crawler": 1,
        "impressions[0] p equals 9": 1,
    }
    assert counts.excluded == rules
    assert all(rule in str(counts) for rule in rules)
    source = load_feed(home).sources[0]
    assert isinstance(source, MappingSource) and source.excluded == rules
    before = version(home), feed_path(home).read_text()
    import_mapping(home, tmp_path / "mapping.yaml", mode="history", imported_at=NOW)
    assert (version(home), feed_path(home).read_text()) == before


def version(settings: Settings) -> int:
    with Lake.of(settings).read() as con:
        return version_of(con)


EVENTS = """
name: shop
posts:
  - files: posts.csv
    columns: {post_id: id, created_at: born}
engagements:
  - files: log.csv
    columns:
      user_id: u
      post_id: p
      occurred_at: t
      event_type: {column: e, values: {transaction: purchase, addtocart: save}}
"""
NEGATIVES = "sampled_negatives: {per_engagement: 3, seed: 5}\n"


def test_engagements_alone_come_in(home: Settings, tmp_path: Path) -> None:
    log = "u,p,t,e\nu,1,1704196800,transaction\nu,1,1704196800,stare\n"
    counts = take(home, tmp_path, EVENTS, log_csv=log, posts_csv="id,born\n1,\n")
    assert rows(home, "select event_type from raw.engagements") == [("purchase",)]
    assert counts.engagements.reasons == {"event_type: is not one of the feed's event types": 1}


ENGAGED = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 40), st.sampled_from(["save", "like"])
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(ENGAGED)
def test_drawn_impressions_existed_and_were_not_engaged_with(
    tmp_path_factory: pytest.TempPathFactory, engaged: list[tuple[str, int, int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("negatives")
    start = datetime(2024, 1, 1)
    log = "u,p,t,e\n" + "".join(f"{u},{p},{start + timedelta(hours=h)},{e}\n" for u, p, h, e in engaged)
    born = {post: start + timedelta(hours=post * 8) for post in range(4, 12)}
    posts = "id,born\n" + "".join(f"{post},{at}\n" for post, at in born.items())
    home = Settings(home=folder / "home")
    take(home, folder, EVENTS + NEGATIVES, log_csv=log, posts_csv=posts)
    shown = rows(home, "select impression_id, user_id, post_id, shown_at, policy from raw.impressions")
    first = {
        post: min([start + timedelta(hours=h) for _, p, h, _ in engaged if p == post] + [born.get(post, NOW)])
        for post in range(12)
    }
    liked = {(u, str(p), start + timedelta(hours=h)) for u, p, h, _ in engaged}
    assert liked <= {(user, post, at) for _, user, post, at, _ in shown}
    for _, user, post, at, policy in shown:
        assert policy == "sampled_negatives" and first[int(post)] <= at
        earlier = {one for one in liked if one[:2] == (user, post) and one[2] <= at}
        assert (user, post, at) in liked or not earlier
    assert len(shown) <= len(liked) * 4 and len({one[0] for one in shown}) == len(shown)
    shown_ids = "select impression_id from raw.impressions"
    orphans = f"select count(*) from raw.engagements where impression_id not in ({shown_ids})"
    assert rows(home, orphans) == [(0,)]
    feed = load_feed(home)
    source = feed.sources[0]
    assert isinstance(source, MappingSource) and source.sampled_negatives == {"per_engagement": 3, "seed": 5}
    assert feed.label_window_seconds == 60


def test_a_second_mapping_adds_to_the_feed_or_is_refused(home: Settings, tmp_path: Path) -> None:
    take(home, tmp_path, RATINGS, log_tsv=STARS)
    second = """
name: more
mode: live
feed: {attributes: {users: {age: number}}, event_types: [purchase], OTHER}
users: [{files: users.csv, columns: {user_id: id, age: age}}]
"""
    users = {"users_csv": "id,age\nu1,30\n"}
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(FeedError, match="label_window_seconds is 5 in the mapping and 60 in"):
        take(home, other, second.replace("OTHER", "label_window_seconds: 5"), **users)
    take(home, other, second.replace("OTHER", "label_window_seconds: 60"), **users)
    feed = load_feed(home)
    assert feed.attributes.users == {"age": "number"} and feed.event_types[-1] == "purchase"
    assert len(feed.sources) == 2
    kind = second.replace("age: number", "age: category").replace("OTHER", "name: ratings")
    (tmp_path / "third.yaml").write_text(kind)
    with pytest.raises(FeedError, match=r"attributes\.users\.age is category in the mapping and number"):
        import_mapping(home, tmp_path / "third.yaml", imported_at=NOW)


WRONG = {
    "event type": (
        "event_type: like",
        "event_type: lik",
        r"lik.*not one of feed\.event_types.*did you mean like",
    ),
    "zone": ("decimal: ','", "time_zone: Europe/Berlim", "not an IANA time zone"),
    "pattern": ("decimal: ','", "time_format: '%Q'", "log.tsv|strptime|format"),
    "regex": ("decimal: ','", "exclude: {column: user, matches: '('}", "missing \\)"),
    "list": ("user_id: user", "user_id: {column: user, split: ' '}", "add take, or declare the kind list"),
    "file": ("decimal: ','", "exclude: {column: user, in_file: none.txt}", "none.txt is not a file"),
    "delimiter": ("decimal: ','", "delimiter: '::::::'", "longer than 4 bytes"),
    "near": ("columns:", "colums:", "did you mean columns"),
    "twice": ("decimal: ','", "slate: {post_id: item}", "post_id is filled twice"),
}


@pytest.mark.parametrize("old, new, message", WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_named_with_its_place(
    home: Settings, tmp_path: Path, old: str, new: str, message: str
) -> None:
    declared = "feed: {event_types: [rating, like, hide]}\n" if "lik" in new else ""
    mapping = declared + RATINGS.replace('","', "','").replace(old, new)
    with pytest.raises(FeedError, match=message) as refusal:
        take(home, tmp_path, mapping, log_tsv=STARS)
    assert str(tmp_path / "mapping.yaml") in str(refusal.value) and "\n" not in str(refusal.value)
    assert not feed_path(home).exists()
