"""500 kills of the segment writer while 100,000 events are posted by a client that retries."""

import subprocess
import sys
from datetime import date, datetime

import pytest

from feed_platform.feed import Feed
from feed_platform.interactions.log_import import import_logs
from feed_platform.interactions.segments import find_segments
from feed_platform.lake import Lake
from feed_platform.settings import Settings
from feed_platform_tests.interactions import killed_writer

KILLS, EVENTS = 500, 100_000
FEED = Feed(start=date(2026, 3, 1))


@pytest.mark.slow
def test_every_acknowledged_event_is_in_the_lake_exactly_once(home: Settings) -> None:
    folder = home.logs / "feedback"
    folder.mkdir()
    program = [sys.executable, "-S", "-m", killed_writer.__name__, str(folder), str(KILLS), str(EVENTS)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > KILLS / 10, "too few writers died with a batch on its way"
    assert len(find_segments(folder)) > KILLS / 2
    for _ in range(2):
        with Lake.of(home).write("import logs") as con:
            import_logs(con, home, FEED, datetime(2026, 3, 5, 13))
    with Lake.of(home).read() as con:
        counted = con.execute(
            "select count(*), count(distinct engagement_id), min(engagement_id), max(engagement_id) "
            "from raw.engagements where source = 'service'"
        ).fetchone()
        assert con.execute("select count(*) from quarantine.engagements").fetchone() == (0,)
    assert counted == (EVENTS, EVENTS, "e0", "e99999")
