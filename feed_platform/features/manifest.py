"""The dbt project and its manifest, which Dagster reads the feature assets from.

`python -m feed_platform.features.manifest` prepares it at set-up; loading the definitions does so
too where it is missing or older than the project.
"""

import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from feed_platform.features.project import PROJECT
from feed_platform.feed import FeedError

TARGET = PROJECT / "target"
SOURCES = ("models", "macros", "tests")
DBT = Path(sys.executable).with_name("dbt")


def prepare_manifest() -> Path:
    """The path of a manifest that is as new as the project; parses it (5 s) only where it isn't.

    Raises:
        FeedError: dbt can't parse the project; the message is dbt's own.
    """
    manifest = TARGET / "manifest.json"
    if not _is_current(manifest):
        TARGET.mkdir(exist_ok=True)
        with FileLock(TARGET / "manifest.lock"):
            if not _is_current(manifest):
                _parse()
    return manifest


def _is_current(manifest: Path) -> bool:
    return manifest.exists() and manifest.stat().st_mtime >= max(path.stat().st_mtime for path in _files())


def _files() -> list[Path]:
    folders = [path for source in SOURCES for path in (PROJECT / source).rglob("*")]
    return [*PROJECT.glob("*.yml"), *folders]


def _parse() -> None:
    places = {"DBT_PROFILES_DIR": str(PROJECT), "DBT_TARGET_PATH": str(TARGET), "DBT_LOG_PATH": str(TARGET)}
    parsed = subprocess.run(
        [DBT, "parse", "--quiet", "--no-partial-parse", "--project-dir", str(PROJECT)],
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        check=False,
    )
    if parsed.returncode != 0:
        raise FeedError(f"dbt can't parse {PROJECT}: {parsed.stdout}{parsed.stderr}")


if __name__ == "__main__":
    prepare_manifest()
