"""`feed` as a person meets it: exit codes, one clear line on stderr, csv when piped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.settings import Settings

FEED = Path(sys.executable).with_name("feed")
MAPPING = """
name: mine
impressions:
  - files: log.csv
    columns: {impression_id: id, user_id: who, post_id: what, shown_at: at}
"""
LOG = """id,who,what,at
a,u1,p1,2026-01-01T10:00:00Z
b,,p1,2026-01-01T10:00:00Z
"""


def _feed(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FEED_HOME": str(home), **settings}
    return subprocess.run([FEED, *arguments], capture_output=True, text=True, env=environment, check=False)


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    (tmp_path / "log.csv").write_text(LOG)
    path = tmp_path / "mapping.yaml"
    path.write_text(MAPPING)
    return path


def test_import_takes_good_rows_and_says_what_became_of_the_rest(tmp_path: Path, mapping: Path) -> None:
    home = tmp_path / "home"
    done = _feed(home, "import", str(mapping))
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 read, 1 inserted" in done.stdout and "user_id: is missing" in done.stdout
    rows = _feed(home, "sql", "select file, row, reason from quarantine.impressions")
    assert rows.stdout.splitlines() == ["file,row,reason", "log.csv,2,user_id: is missing"]


def test_a_file_that_is_not_what_the_mapping_says_changes_nothing(home: Settings, mapping: Path) -> None:
    with Lake.of(home).read() as con:
        before = version_of(con)
    (mapping.parent / "log.csv").write_text(LOG.replace("who", "member"))
    refused = _feed(home.root, "import", str(mapping))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert len(refused.stderr.splitlines()) == 1 and "who" in refused.stderr and "log.csv" in refused.stderr
    with Lake.of(home).read() as con:
        assert version_of(con) == before


@pytest.mark.parametrize(
    ("arguments", "settings", "named"),
    [
        (("status",), {}, "feed.toml"),
        (("sql", "select 1"), {}, "no lake"),
        (("status",), {"FEED_HTTP_HOST": "0.0.0.0"}, "FEED_API_TOKEN"),
        (("status",), {"FEED_REPLICAS": "none"}, "FEED_REPLICAS"),
        (("import", "missing.yaml"), {}, "missing.yaml"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_exit_2(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], named: str
) -> None:
    refused = _feed(tmp_path / "nowhere", *arguments, **settings)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1 and named in refused.stderr


def test_the_shell_environment_lets_other_tools_find_the_home(tmp_path: Path) -> None:
    lines = _feed(tmp_path / "home", "env").stdout.splitlines()
    names = {line.removeprefix("export ").split("=")[0] for line in lines}
    assert {"FEED_HOME", "DAGSTER_HOME", "MLFLOW_TRACKING_URI", "FEED_LAKE_ADDRESS"} <= names
