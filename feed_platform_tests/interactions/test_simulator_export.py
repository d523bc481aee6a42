"""`feed simulate`: a log as files that `feed import` takes as they are."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from feed_platform.cli import app
from feed_platform.feed import FeedError, SimulatorSource, load_feed
from feed_platform.interactions.mapping import import_mapping
from feed_platform.interactions.simulator import SIMULATOR_ATTRIBUTES, bots, simulate
from feed_platform.interactions.simulator.export import write_log
from feed_platform.settings import Settings

START = date(2026, 3, 1)
SMALL = SimulatorSource(
    seed=3, days=2, users=120, posts_per_day=8, requests_per_day=150, bot_share=0.05, duplicate_share=0.02
)


@pytest.mark.parametrize("mode", ["history", "live"])
def test_the_written_log_imports_as_it_is(home: Settings, tmp_path: Path, mode: str) -> None:
    source = SimulatorSource.model_validate(SMALL.model_dump() | {"mode": mode})
    rows = write_log(tmp_path / "log", source, START)
    counts = import_mapping(home, tmp_path / "log" / "mapping.yaml")
    assert (counts.users.inserted, counts.impressions.read) == (120, rows)
    assert counts.impressions.inserted == _unique(source, "impressions", "impression_id")
    assert counts.engagements.inserted == _unique(source, "engagements", "engagement_id")
    assert (load_feed(home).start, load_feed(home).attributes) == (START, SIMULATOR_ATTRIBUTES)


def test_bots_are_left_out_by_their_list(home: Settings, tmp_path: Path) -> None:
    write_log(tmp_path / "log", SMALL, START)
    mapping = yaml.safe_load((tmp_path / "log" / "mapping.yaml").read_text())
    mapping["impressions"][0]["exclude"] = {"column": "user_id", "in_file": "bots.txt"}
    (tmp_path / "log" / "people.yaml").write_text(yaml.safe_dump(mapping))
    seen = pl.concat([batch.impressions for batch in simulate(SMALL, START) if batch.impressions is not None])
    people = seen.filter(~pl.col("user_id").is_in(bots(SMALL, START)))
    counts = import_mapping(home, tmp_path / "log" / "people.yaml")
    assert 0 < len(people) < len(seen)
    assert counts.impressions.inserted == people["impression_id"].n_unique()


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(FeedError, match="is not empty: give a new folder"):
        write_log(tmp_path, SMALL, START)


def test_the_command_mirrors_the_options(tmp_path: Path) -> None:
    options = "--days 1 --users 50 --posts-per-day 5 --requests-per-day 20 --policy softmax --no-slates"
    live = "--mode live --outages 0:3:2 --outages 0:20:1.5 --start 2026-03-01"
    done = CliRunner().invoke(
        app, ["simulate", "--out", str(tmp_path / "log"), *options.split(), *live.split()]
    )
    assert done.exit_code == 0, done.output
    impressions = pl.read_parquet(tmp_path / "log" / "impressions" / "2026-03-01.parquet")
    assert impressions["policy"].unique().to_list() == ["softmax"]
    assert not impressions["received_at"].dt.hour().is_in([3, 4, 20]).any()
    assert not (tmp_path / "log" / "candidates").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--late-share 2", "--late-share: Input should be less"),
        ("--outages 3", "--outages: '3' is not DAY:HOUR"),
    ],
)
def test_options_that_are_wrong_are_named(tmp_path: Path, options: str, message: str) -> None:
    done = CliRunner().invoke(app, ["simulate", "--out", str(tmp_path / "log"), *options.split()])
    assert isinstance(done.exception, FeedError)
    assert str(done.exception).startswith(message)


def _unique(source: SimulatorSource, name: str, key: str) -> int:
    frames = [frame for batch in simulate(source, START) if (frame := batch.table(name)) is not None]
    return pl.concat(frames)[key].n_unique()
