"""One Dagster job in a process of its own, its steps shown as they end."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from feed_platform.feed import FeedError
from feed_platform.home import shell_environment
from feed_platform.settings import Settings

STEP_DONE = re.compile(
    r"STEP_SUCCESS - Finished execution of step \"(?P<step>[^\"]+)\" in (?P<time>[^.]+\.?\d*\w*)"
)


def run_job(settings: Settings, job: str, config: Mapping[str, Any]) -> None:
    """Run `dagster job execute` on this home; its whole output goes to `<home>/demo.log`.

    Raises:
        FeedError: the run failed; names the log.
    """
    command = job_command(settings, job, config)
    log = settings.root / "demo.log"
    with (
        log.open("a") as out,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **shell_environment(settings)},
        ) as run,
    ):
        assert run.stdout is not None
        for line in run.stdout:
            out.write(line)
            _show(line)
    if run.returncode != 0:
        raise FeedError(f"the Dagster job {job} failed: see {log}")


def job_command(settings: Settings, job: str, config: Mapping[str, Any]) -> list[str]:
    """The `dagster job execute` command line of a job."""
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "job", "execute", "-j", job]
    command += ["-m", "feed_platform.definitions"]
    return command + (["-c", _config_file(settings, config)] if config else [])


def _show(line: str) -> None:
    if done := STEP_DONE.search(line):
        sys.stdout.write(f"      {done['step'].replace('__', '/'):<44} {done['time']}\n")
        sys.stdout.flush()


def _config_file(settings: Settings, config: Mapping[str, Any]) -> str:
    path = settings.root / "demo-run.json"
    path.write_text(json.dumps(config))
    return str(path)
