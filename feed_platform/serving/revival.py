"""A service whose Ray head died comes back; one that was stopped stays stopped."""

import os
import subprocess
import sys

from feed_platform.serving.cluster import Cluster
from feed_platform.settings import Settings


def dead_head(settings: Settings) -> str | None:
    """Names the home's head if it died without being stopped: its pid and when it started."""
    known = Cluster.remembered(settings)
    if known is None or known.head.is_alive:
        return None
    return f"{known.head.pid}-{known.head.started}"


def revive(settings: Settings) -> int:
    """Run `feed serve start` beside this process; its pid.

    A run of Dagster's would wait behind whatever is running now. Two at once do no harm: the second
    waits for the first one's lock and finds the service up.
    """
    with (settings.serving / "revival.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "feed_platform.cli", "serve", "start"],
            env={**os.environ, "FEED_HOME": str(settings.root)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ).pid
