"""dbt by itself: a bare build with its unit tests, and a child that ends with its parent."""

import os
import signal
import subprocess
import sys

from feed_platform.features.invocation import dbt_environment
from feed_platform.features.manifest import DBT
from feed_platform.lake import Lake
from feed_platform.lake.lock import writer_lock
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import rows_of

PARENT = """
import os, subprocess, sys
from feed_platform.features.invocation import child_environment
from feed_platform.settings import Settings
subprocess.run([sys.argv[1], "build"], env={**os.environ, **child_environment(Settings())})
"""


def test_a_bare_build_passes_without_a_writable_home_folder(home: Settings) -> None:
    variables = {**os.environ, **dbt_environment(home), "HOME": "/proc"}
    built = subprocess.run([DBT, "build"], env=variables, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout
    assert "4 unit tests" in built.stdout
    assert rows_of(home, "marts.impression_features") == []
    assert (home.root / "dbt" / "target" / "run_results.json").exists()


def test_a_dbt_child_that_waits_for_the_lock_dies_with_its_parent(home: Settings) -> None:
    command = [sys.executable, "-c", PARENT, str(DBT)]
    with writer_lock(Lake.of(home).lock_path):
        parent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert parent.stderr is not None
        assert f"held by pid {os.getpid()}" in parent.stderr.readline()
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stderr.read()  # ends when the child, which holds the pipe too, has ended
