"""The whole line, killed at every stage, ends with the same tables as a line left in peace."""

import os
import signal
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from feed_platform.demo.dagster_run import job_command, run_job
from feed_platform.demo.run import NO_DEPLOYMENT
from feed_platform.feed import SimulatorSource
from feed_platform.home import prepare_home, shell_environment
from feed_platform.interactions.sources import init_simulated_feed
from feed_platform.lake import Lake
from feed_platform.settings import Settings

TINY = SimulatorSource(days=8, users=60, posts_per_day=8, requests_per_day=60)
# The tables for serving are as of the hour in which they were built, which may have passed between the two.
# What is said of a model names its version and when it was said: the killed line trained more than once.
BUILT = """
select table_schema || '.' || table_name from information_schema.tables
where table_catalog = 'lake' and table_type = 'BASE TABLE'
  and table_schema in ('raw', 'features', 'marts', 'training')
  and table_name not in ('contract', 'seals', 'builds')
  and table_name not in ('evaluations', 'promotions', 'off_policy', 'error_analysis', 'worst_slices')
  and table_name not like 'online_%' order by 1
"""
# Only an import of late history fills it.
IDLE = ("raw.reopened",)
KILLS = (
    ("STEP_START", "raw_interactions"),
    ("ASSET_MATERIALIZATION", "features hourly_sums"),
    ("STEP_START", "training__examples"),
    ("STEP_START", "training__model"),
    ("STEP_START", "training__promotion"),
)

PAUSE_SECONDS = 0.2
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]


def _home(folder: Path) -> Settings:
    settings = Settings(home=folder)
    prepare_home(settings)
    init_simulated_feed(settings, TINY, today=(datetime.now(UTC) - timedelta(days=2)).date())
    return settings


def _kill_at(settings: Settings, event: str, subject: str) -> None:
    """Run the line and kill it with -9 as soon as its log tells of an event."""
    run = subprocess.Popen(
        job_command(settings, "whole_line", NO_DEPLOYMENT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **shell_environment(settings)},
    )
    assert run.stdout is not None
    for line in run.stdout:
        if event in line and subject in line:
            os.kill(run.pid, signal.SIGKILL)
            break
    run.stdout.close()
    assert run.wait() == -signal.SIGKILL, f"the line ended before {event} {subject}"


def _tables(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    with Lake.of(settings).read() as con:
        names = [row[0] for row in con.execute(BUILT).fetchall()]
        return {name: con.execute(f"select * from {name} order by all").fetchall() for name in names}


class _Reader(threading.Thread):
    """Reads the lake again and again from beside the line; remembers what failed."""

    def __init__(self, lake: Lake) -> None:
        super().__init__(daemon=True)
        self.lake, self.done, self.reads = lake, threading.Event(), 0
        self.failure: Exception | None = None

    def run(self) -> None:
        while not self.done.wait(PAUSE_SECONDS):
            try:
                with self.lake.read() as con:
                    con.execute("select count(*) from raw.impressions").fetchone()
                self.reads += 1
            except Exception as error:
                self.failure = error
                return


def test_a_line_killed_at_every_stage_ends_with_the_same_tables(tmp_path: Path) -> None:
    undisturbed, killed = _home(tmp_path / "undisturbed"), _home(tmp_path / "killed")
    reader = _Reader(Lake.of(undisturbed))
    reader.start()
    run_job(undisturbed, "whole_line", NO_DEPLOYMENT)
    reader.done.set()
    reader.join()
    for event, subject in KILLS:
        _kill_at(killed, event, subject)
    run_job(killed, "whole_line", NO_DEPLOYMENT)
    expected, found = _tables(undisturbed), _tables(killed)
    assert reader.failure is None and reader.reads > 3
    assert expected.keys() == found.keys() and len(expected) > 10
    for name, rows in expected.items():
        assert found[name] == rows, name
        assert rows or name in IDLE or name.startswith("marts."), f"{name} is empty"
