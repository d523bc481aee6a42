"""docs/features.md is true: each of its examples, taken from its text, becomes the feature it promises."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from feed_platform.features.on_demand import category_code
from feed_platform.features.project import PROJECT
from feed_platform.feed import feed_path
from feed_platform.settings import Settings

GUIDE = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
EXAMPLES = dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```$", GUIDE, re.M | re.S))
TABLE = GUIDE.split("| to add |")[1].split("\n\n")[0].splitlines()[2:]
PROMISED = {name for row in TABLE for name in re.findall(r"`(\w+)`", row.split("|")[-2])}
# Three impressions in 24 hours and 7 days, one share and no like among them; priors are as if of 20 more.
SHARE_RATE = (1 + 20 * (1 + 1) / (3 + 20)) / (3 + 20)
LIKE_RATE = (0 + 20 * (0 + 1) / (3 + 20)) / (3 + 20)
STORED = {
    "user_saves_24h": 2,
    "user_like_rate_24h": LIKE_RATE,
    "user_impressions_28d": 3,
    "user_impressions_90d": 4,
    "user_long_dwells_24h": 1,
    "post_share_rate_7d": SHARE_RATE,
    "post_share_ratio_7d": 1 / 3,
}
COMPUTED = {
    "post_attr_genres": 2,
    "match_genres": 1,
    "context_device": category_code("phone"),
    "local_hour": 11,  # 10:30 UTC in Berlin's winter
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the dbt project with the guide's vars."""
    copy = tmp_path / "project"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs"))
    settings = yaml.safe_load((copy / "dbt_project.yml").read_text())
    for name, added in yaml.safe_load(EXAMPLES["dbt_project.yml"])["vars"].items():
        settings["vars"][name] |= added
    (copy / "dbt_project.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
    return copy


@pytest.mark.slow
def test_every_example_of_the_guide_becomes_its_feature(home: Settings, project: Path) -> None:
    feed_path(home).write_text(f"start = 2026-01-01\nlabel_window_seconds = 3600\n{EXAMPLES['feed.toml']}")
    found = _build(project)
    assert PROMISED | {"user_impressions_28d"} == {*STORED, *COMPUTED, "label_save"}
    assert list(found["served"]) == found["names"]
    assert {name: found["stored"][name] for name in STORED} == pytest.approx(STORED)
    assert {name: found["served"][name] for name in STORED} == pytest.approx(STORED)
    assert {name: found["served"][name] for name in COMPUTED} == COMPUTED
    assert (found["labels"]["label_save"], found["labels"]["label_like"]) == (1, 0)


def _build(project: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "feed_platform_tests.features.guide_build"],
        env={**os.environ, "FEED_DBT_PROJECT": str(project)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
