"""docs/import.md is true: its worked example, its recipes, the schema, what --check and export say."""

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import jsonschema
import polars as pl
import pytest
import yaml

from feed_platform.features.catalogue import feature_names
from feed_platform.feed import Objective, feed_path, load_feed
from feed_platform.interactions.mapping import import_mapping, open_bandit_mapping
from feed_platform.interactions.mapping_check import check_mapping
from feed_platform.interactions.mapping_file import SCHEMA_FILE, load_mapping, mapping_schema
from feed_platform.interactions.mapping_model import Mapping
from feed_platform.lake import Lake
from feed_platform.lake.export import export_table
from feed_platform.settings import Settings

GUIDE = Path(__file__).parents[2] / "docs" / "import.md"
NOW = datetime(2024, 6, 1)
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<file>\S+))?\n(?P<text>.*?)^```$", re.M | re.S)
WHOLE_MAPPING = re.compile(r"^name: ", re.M)


def blocks() -> list[tuple[str, str | None, str]]:
    return [(one["kind"], one["file"], one["text"]) for one in BLOCK.finditer(GUIDE.read_text())]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The guide's worked example, written to files."""
    for _, file, text in blocks():
        if file is not None:
            (tmp_path / file).write_text(text)
    return tmp_path / "films.yaml"


def test_the_worked_example_comes_in_as_the_guide_says(home: Settings, example: Path) -> None:
    counts = import_mapping(home, example, imported_at=NOW)
    assert [counts.table(name).inserted for name in ("users", "posts", "impressions", "engagements")] == [
        3,
        3,
        5,
        8,
    ]
    feed = load_feed(home)
    assert (feed.clock, str(feed.start), feed.objectives) == ("log", "1997-11-07", (Objective(event="like"),))
    with Lake.of(home).read() as con:
        posts = con.execute(
            "select post_id, topic, genres, release_year from raw.posts order by 1"
        ).fetchall()
        likes = con.execute(
            "select i.post_id, shown_at from raw.engagements join raw.impressions i using (impression_id) "
            "where event_type = 'like' order by 2"
        ).fetchall()
    assert posts[1] == ("302", "Crime", ["Crime", "Film-Noir", "Mystery", "Thriller"], 1997.0)
    assert likes == [
        ("302", datetime(1997, 12, 4, 15, 55, 49)),
        ("242", datetime(1997, 12, 4, 16, 12, 29)),
        ("302", datetime(1998, 4, 4, 19, 22, 22)),
    ]
    assert {"user_attr_age", "post_attr_release_year", "post_attr_genres"} <= set(feature_names(feed))


def test_a_reader_hears_how_far_the_import_is(home: Settings, example: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    import_mapping(home, example, imported_at=NOW, progress=lambda *said: heard.append(said))
    assert {"films.user", "films.item", "films.inter"} <= {what for what, _, _ in heard}
    done = [bytes_read for _, bytes_read, _ in heard]
    assert done == sorted(done) and heard[-1][1] == heard[-1][2] > 0


def test_an_edited_feed_is_followed_and_what_differs_is_said(home: Settings, example: Path) -> None:
    import_mapping(home, example, imported_at=NOW)
    feed_path(home).write_text(feed_path(home).read_text().replace("weight = 1.0", "weight = 2.0"))
    notes: list[str] = []
    import_mapping(home, example, imported_at=NOW, mode="history", note=notes.append)
    assert load_feed(home).objectives == (Objective(event="like", weight=2),)
    assert notes == ["feed.objectives is like x 1 in the mapping and like x 2 in feed.toml, which holds"]


def test_check_says_what_the_import_does_and_writes_nothing(tmp_path: Path, example: Path) -> None:
    with (example.parent / "films.inter").open("a") as log:
        log.write("196\t242\t3\tyesterday\n")
    settings = Settings(home=tmp_path / "nowhere")
    found = check_mapping(settings, example)
    assert not settings.root.exists()
    said = str(found)
    assert found.counts.impressions.inserted == 5
    assert "bad row 6 of films.inter: shown_at: 'yesterday' is not a timestamp" in said
    assert (
        "position: none" in said
        and "request_id: none" in said
        and "propensity: none" in said
        and "posts.created_at: none" in said
    )
    assert 'event = "like"' in said and "1997-11-07 07:18:36" in said


def test_check_offers_drawn_impressions_and_names_what_cannot_be_learnt(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("u,p,t\nu,p,1704196800\n")
    (tmp_path / "m.yaml").write_text(
        "name: buys\nengagements:\n  - files: log.csv\n"
        "    columns: {user_id: u, post_id: p, occurred_at: t}\n    constants: {event_type: purchase}\n"
    )
    gaps = check_mapping(Settings(home=tmp_path / "home"), tmp_path / "m.yaml").gaps
    assert any("sampled_negatives" in gap and "off-policy evaluation can't" in gap for gap in gaps)


def test_every_mapping_of_the_guide_is_valid() -> None:
    schema = json.loads(SCHEMA_FILE.read_text())
    texts = [text for kind, _, text in blocks() if kind == "yaml" and WHOLE_MAPPING.search(text)]
    assert len(texts) == 4
    for text in [*texts, open_bandit_mapping().read_text()]:
        Mapping.model_validate(yaml.safe_load(text))
        jsonschema.validate(yaml.safe_load(text), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "a", "impresions": []}, schema)
    load_mapping(open_bandit_mapping())


def test_the_schema_file_is_current() -> None:
    assert SCHEMA_FILE.read_text() == mapping_schema(), "feed import --schema > its file"


def test_the_guide_names_every_key() -> None:
    text = GUIDE.read_text()
    schema = json.loads(mapping_schema())
    parts = [schema, *schema["$defs"].values()]
    keys = {key for part in parts for key in part.get("properties", {})}
    assert {key for key in keys if f"{key}:" not in text and f"`{key}`" not in text} == set()


def test_an_export_comes_in_again_as_it_was(home: Settings, example: Path, tmp_path: Path) -> None:
    import_mapping(home, example, imported_at=NOW)
    lake = Lake.of(home)
    assert export_table(lake, "raw.posts", "csv", tmp_path / "posts.csv", "post_id <> '377'") == 2
    again = "name: again\nfeed: {start: 1990-01-01, attributes: {posts: {genres: list}}}\nposts:\n"
    again += "  - {files: posts.csv, columns: {post_id: post_id, topic: topic, genres: genres}}\n"
    (tmp_path / "again.yaml").write_text(again)
    other = Settings(home=tmp_path / "other")
    import_mapping(other, tmp_path / "again.yaml", imported_at=NOW)
    query = "select post_id, topic, genres from raw.posts where post_id <> '377' order by 1"
    with lake.read() as first, Lake.of(other).read() as second:
        assert first.execute(query).fetchall() == second.execute(query).fetchall()
    export_table(lake, "raw.users", "parquet", tmp_path / "users.parquet")
    assert len(pl.read_parquet(tmp_path / "users.parquet")) == 3
    assert sorted(path.name for path in tmp_path.glob("*.draft")) == []


def test_export_writes_after_what_stands_in_standard_output(home: Settings, example: Path) -> None:
    import_mapping(home, example, imported_at=NOW)
    feed = Path(sys.executable).with_name("feed")
    export = f"echo first; {feed} export raw.users --where \"user_id = '22'\"; {feed} export raw.nothing"
    with (example.parent / "out").open("w") as out:
        done = subprocess.run(export, shell=True, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    lines = (example.parent / "out").read_text().splitlines()
    assert (lines[0], lines[2][:3], len(lines)) == ("first", "22,", 3)
    assert done.returncode == 2 and "nothing" in done.stderr.splitlines()[1]
    assert feed_path(home).exists()
