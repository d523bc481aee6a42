"""What one build of the features has to do."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from feed_platform.features.builds import changed_models, find_last_build
from feed_platform.features.definition_hashes import definition_hashes
from feed_platform.features.invocation import days_to_build, dbt_vars
from feed_platform.feed import Feed
from feed_platform.lake import Lake, seal
from feed_platform.lake.seal import DAY, Reopened, day_of, reopened


@dataclass(frozen=True)
class Plan:
    """The days [start, end) to build, and the models to build anew over all days before.

    Attributes:
        changed: models whose definition isn't that of the last build.
        definitions: each model's, by its hash.
        reopened: what an import has changed of history since the last build, if one did.
    """

    feed: Feed
    start: datetime
    end: datetime
    sealed_until: datetime
    changed: tuple[str, ...]
    definitions: dict[str, str]
    reopened: Reopened | None

    def __str__(self) -> str:
        days = f"{self.start:%Y-%m-%d} up to {self.end:%Y-%m-%d}"
        parts = [f"building {days}, sealed until {self.sealed_until}"]
        if self.reopened:
            parts.append(f"history was reopened from {self.reopened.known_from}")
        if self.changed:
            parts.append(f"changed definitions, built anew over all days: {', '.join(self.changed)}")
        return "; ".join(parts)

    def arguments(self) -> list[str]:
        """dbt's arguments for the run's days."""
        return ["build", "--exclude-resource-type", "unit_test", "--vars", self._vars(self.start)]

    def rebuild_arguments(self) -> list[str]:
        """dbt's arguments for what has changed, over every day."""
        variables = self._vars(min(self.feed.start_at, self.start))
        return ["run", "--full-refresh", "--select", " ".join(self.changed), "--vars", variables]

    def _vars(self, start: datetime) -> str:
        return json.dumps(dbt_vars(self.feed, start, self.end, self.sealed_until))


def plan_build(lake: Lake, feed: Feed, days: tuple[datetime, datetime], manifest: Path) -> Plan:
    """What has to be built so that the features are complete up to the seal, by today's definitions."""
    with lake.read() as con:
        sealed_until, last = seal(con, feed), find_last_build(con)
        waiting = reopened(con)
        variables: dict[str, Any] = dbt_vars(feed, *days, sealed_until)
        definitions = definition_hashes(manifest, variables)
        changed = tuple(changed_models(con, definitions))
    reopened_from = waiting.known_from if waiting else None
    start, end = days_to_build(days, feed, sealed_until, last, reopened_from)
    if changed:
        end = max(end, day_of(sealed_until) + DAY)
    return Plan(feed, start, end, sealed_until, changed, definitions, waiting)
