"""A person erased after the whole line, service included: nothing names them, nothing brings them back."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from feed_platform.demo.dagster_run import run_job
from feed_platform.demo.run import NO_DEPLOYMENT
from feed_platform.demo.traffic import rank, recent_posts, send_traffic, some_users
from feed_platform.erasure import erase
from feed_platform.feed import SimulatorSource, load_feed
from feed_platform.home import prepare_home
from feed_platform.interactions.batch import RAW_TABLES
from feed_platform.interactions.log_import import import_logs
from feed_platform.interactions.mapping import import_mapping
from feed_platform.interactions.simulator.export import write_log
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.registry import ModelVersion
from feed_platform.serving import service
from feed_platform.settings import Settings
from feed_platform.status import home_status
from feed_platform_tests.end_to_end.traces import ids_in, keys_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

CANARY = "canary+0123456789@example.org/ABCDEFGHIJ"
PORT = 18_700
TINY = SimulatorSource(days=6, users=40, posts_per_day=8, requests_per_day=60, positions=8, candidates=12)
# Where people may be named: by design reports, metadata and artifacts carry keys.
NAMED = ("lake", "logs", "online")
Rows = list[tuple[object, ...]]
READABLE = "select readable_from from training.erasures"
IMPRESSION = ("impression_id", "user_id", "post_id", "shown_at", "position")
# What each post has to have been seen and clicked in each hour, by the raw rows; and what is built.
COUNTED = """
select md5_number_lower(post_id) as post_key, date_trunc('hour', known_at) as known_hour,
  count_if(kind = 'impression'), count_if(kind = 'click')
from (
  select post_id, known_at, 'impression' as kind from raw.impressions
  union all
  select post_id, known_at, event_type from raw.engagements
) group by all order by all
"""
BUILT = """
select entity_key, known_hour, impressions, clicks
from features.hourly_sums where entity_group = 'post' order by all
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("FEED_HTTP_PORT", str(PORT))  # Dagster runs the line in a process of its own
    settings = Settings(home=tmp_path / "home", http_port=PORT)
    prepare_home(settings)
    yield settings
    service.stop(settings)


def _write_log(folder: Path) -> Path:
    """A simulated log whose most active user and most active author are the canary; its mapping."""
    write_log(folder, TINY, datetime.now(UTC).date() - timedelta(days=TINY.days))
    seen, posts = (pl.read_parquet(folder / name / "*.parquet") for name in ("impressions", "posts"))
    names = {_most_frequent(seen["user_id"]): CANARY, _most_frequent(posts["author_id"]): CANARY}
    for path in folder.rglob("*.parquet"):
        frame = pl.read_parquet(path)
        people = [name for name in ("user_id", "author_id") if name in frame.columns]
        frame.with_columns(pl.col(people).replace(names)).write_parquet(path)
    return _add_bad_rows(folder, seen[0, "impression_id"], str(seen[0, "shown_at"]))


def _most_frequent(ids: pl.Series) -> str:
    return str(ids.value_counts(sort=True)[0, 0])


def _add_bad_rows(folder: Path, known: str, at: str) -> Path:
    """A second file of impressions: a repeated id, the canary's bad rows, and others' that name them."""
    rows = [
        (known, CANARY, "post-000001", at, "1"),
        ("bad-1", CANARY, "", at, "1"),
        ("bad-2", "user-00001", "post-000001", CANARY, "1"),
        ("bad-3", "user-00001", "post-000001", at, f"1;{CANARY}"),
    ]
    pl.DataFrame(rows, IMPRESSION, orient="row").write_csv(folder / "more.csv")
    path = folder / "mapping.yaml"
    mapping = yaml.safe_load(path.read_text())
    mapping["impressions"].append({"files": "more.csv", "columns": {name: name for name in IMPRESSION}})
    path.write_text(yaml.safe_dump(mapping, sort_keys=False))
    return path


def _serve(settings: Settings) -> None:
    """The canary and others ask and answer; the log is imported but for the canary's last requests."""
    lake = Lake.of(settings)
    posts, active = recent_posts(lake, 12), some_users(lake, 3)
    with service.connect(settings) as client:
        send_traffic(client, [CANARY, *active, CANARY], posts)
        client.get("/v1/feed", params={"user_id": CANARY})
        with lake.write("logs") as con:
            import_logs(con, settings, load_feed(settings), datetime.now(UTC).replace(tzinfo=None))
        for _ in range(3):
            rank(client, CANARY, posts)
    service.stop(settings)


def _rows(settings: Settings, sql: str) -> Rows:
    with Lake.of(settings).read() as con:
        return con.execute(sql).fetchall()


def _column(settings: Settings, sql: str) -> list[str]:
    return [str(row[0]) for row in _rows(settings, sql)]


def _checks(settings: Settings, log_from: int = 0) -> dict[str, str]:
    """How the asset checks ended that the log of the home's runs tells of, the last time each."""
    text = (settings.root / "demo.log").read_text()[log_from:]
    told = re.findall(r"Asset check '(\w+)' on '([\w/]+)' (passed|did not pass)", text)
    return {f"{asset} {check}": end for check, asset, end in told}


def test_no_trace_is_left_and_the_line_goes_on_without_them(home: Settings, tmp_path: Path) -> None:
    mapping = _write_log(tmp_path / "log")
    import_mapping(home, mapping)
    run_job(home, "whole_line", {})
    _serve(home)
    people = _column(home, "select distinct user_id from raw.users")
    others = _column(home, "select distinct unnest([author_id, topic]) from raw.posts")
    assert CANARY in people and CANARY in others
    assert ids_in(home.root, people, without=NAMED) == [], "reports, metadata and artifacts carry keys"
    assert {line.split("/")[0] for line in ids_in(home.root, [CANARY])} == {"lake", "logs", "online"}
    assert {line.split("/")[0] for line in keys_in(home.root, CANARY, others)} == {"lake", "online"}
    checks = {name: end for name, end in _checks(home).items() if end == "passed" and "drift" not in name}
    assert {"features/online_snapshot parity", "marts/impression_features no_leakage"} <= checks.keys()
    counted, built, models = _rows(home, COUNTED), _rows(home, BUILT), registry.versions(home)

    report = erase(home, [CANARY])
    assert report.left == () and report.records > 10 and not report.needs_build
    _assert_erased(home, others, counted, models)
    assert _rows(home, BUILT) == built

    again = import_mapping(home, mapping)
    assert [again.table(name).inserted for name in RAW_TABLES] == [0] * len(RAW_TABLES)
    log_from = len((home.root / "demo.log").read_text())
    run_job(home, "whole_line", NO_DEPLOYMENT)
    assert _checks(home, log_from).items() >= checks.items()
    _assert_erased(home, others, counted, models)
    assert _rows(home, BUILT) == counted != built


def _assert_erased(home: Settings, others: list[str], counted: Rows, models: list[ModelVersion]) -> None:
    """No trace, the same counts, and the models listed that were there before the erasure."""
    assert ids_in(home.root, [CANARY]) == []
    assert keys_in(home.root, CANARY, others) == []
    assert _rows(home, COUNTED) == counted
    facts = home_status(home)
    assert facts["erased people"] == 1
    assert facts["models trained on their data"] == ", ".join(sorted(model.version for model in models))
    assert facts["lake versions readable"] == f"from {_column(home, READABLE)[0]}"
