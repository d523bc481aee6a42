"""A home's upkeep: the lake's maintenance, and what else grows."""

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

from feed_platform.features.builds import find_last_build
from feed_platform.features.online import current_snapshot, read_manifest
from feed_platform.feed import FeedError
from feed_platform.interactions.log_retention import remove_imported
from feed_platform.lake import Lake
from feed_platform.lake.maintenance import KEEP, Maintained, Retention, maintain
from feed_platform.learning import registry
from feed_platform.learning.record import TAG, TrainingRecord
from feed_platform.learning.registry import Alias, ModelVersion
from feed_platform.serving import pointer, upserts
from feed_platform.settings import Settings

ABANDONED_SECONDS = 86_400


@dataclass(frozen=True)
class Upkeep:
    """What was done: the lake before and after, versions spared, segments, bundles and leftovers removed."""

    lake: Maintained
    spared: tuple[int, ...]
    segments: int
    bundles: int
    leftovers: int

    def lines(self) -> Iterable[str]:
        """The figures, line by line."""
        yield f"lake before      {self.lake.before}"
        yield f"lake after       {self.lake.after}"
        yield f"expired          {self.lake.expired:,} versions"
        yield f"spared           {', '.join(map(str, self.spared)) or 'none'}"
        removed = f"{self.segments} log segments, {self.bundles} bundles, {self.leftovers} leftovers"
        yield f"removed          {removed}"


def keep_up(settings: Settings, kept: timedelta = KEEP) -> Upkeep:
    """Compact the lake and remove what is older than `kept` and named by nothing.

    The last good build's version stays, and those that champion, challenger, the deployed model and the
    one before were trained on.

    Raises:
        FeedError: the home has no lake yet.
    """
    lake = Lake.of(settings)
    spared = tuple(sorted(spared_versions(settings, lake)))
    return Upkeep(
        lake=maintain(lake, spared, Retention(kept)),
        spared=spared,
        segments=remove_imported(
            settings, lake, time.time() - kept.total_seconds(), _upserts_read_until(settings)
        ),
        bundles=_remove(_idle_bundles(settings)),
        leftovers=_remove(_leftovers(settings)),
    )


def spared_versions(settings: Settings, lake: Lake) -> set[int]:
    """The lake versions that builds and live models name."""
    with lake.read() as con:
        build = find_last_build(con)
    records = [record for version in _live_models(settings) if (record := _record(settings, version))]
    named = {version for record in records for version in (record.lake_version, record.read_at)}
    return named | ({build.lake_version} if build else set())


def _upserts_read_until(settings: Settings) -> float:
    """Before when no replica asks for upserts, in seconds since the epoch: the snapshot holds them."""
    folder = current_snapshot(settings)
    try:
        manifest = read_manifest(folder) if folder else None
    except FeedError:  # an older release's
        manifest = None
    if manifest is None:
        return 0.0
    as_of = datetime.fromisoformat(manifest["as_of"]).replace(tzinfo=UTC)
    return (as_of - upserts.KEPT).timestamp()


def _live_models(settings: Settings) -> list[ModelVersion]:
    """Champion, challenger, what is deployed and what was before."""
    aliased = [registry.with_alias(settings, alias) for alias in get_args(Alias)]
    deployed = pointer.read(settings)
    numbers = {one.version for one in (deployed.current, *deployed.history[:1])} if deployed else set()
    found = [*aliased, *(one for one in registry.versions(settings) if one.version in numbers)]
    return list({one.version: one for one in found if one is not None}.values())


def _record(settings: Settings, version: ModelVersion) -> TrainingRecord | None:
    run = registry.client(settings).get_run(version.run_id)
    return TrainingRecord.of(registry.client(settings), version.run_id) if TAG in run.data.tags else None


def _idle_bundles(settings: Settings) -> Iterator[Path]:
    """Exported bundles that no deployment names; the registry can export them again."""
    deployed, challenger = pointer.read(settings), pointer.read_challenger(settings)
    named = {one.bundle for one in (deployed.current, *deployed.history)} if deployed else set()
    named |= {challenger.bundle} if challenger else set()
    yield from (path for path in _old(settings.models.glob("*")) if path.name not in named)


def _leftovers(settings: Settings) -> Iterator[Path]:
    """Drafts and working folders of what was killed."""
    places = (
        (settings.root / "tmp", "import-*"),
        (settings.online, ".*"),
        (settings.logs, "*/*.draft"),
        (settings.serving, ".*"),
        (settings.root, ".*.[0-9]*"),
    )
    for folder, pattern in places:
        yield from _old(folder.glob(pattern))


def _old(paths: Iterable[Path]) -> Iterator[Path]:
    """Those that nobody has touched for a day."""
    yield from (path for path in paths if path.stat().st_mtime < time.time() - ABANDONED_SECONDS)


def _remove(paths: Iterable[Path]) -> int:
    found = list(paths)
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return len(found)
