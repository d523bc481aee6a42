"""What a training was made of, kept with its run and version: raw days by content, feature definitions."""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from feed_platform.features.builds import definitions_hash, last_build
from feed_platform.interactions.content import RawDays, raw_days
from feed_platform.learning import registry
from feed_platform.learning.bundle import code_version
from feed_platform.settings import Settings

FILE = "provenance.json"


@dataclass(frozen=True)
class Provenance:
    """Raw rows known before `sealed_until`, by day and content; the code, and the dbt models' definitions.

    `definitions` is None for features that were built without a record of theirs.
    """

    sealed_until: datetime
    code_version: str
    definitions: str | None
    raw: RawDays

    @property
    def content(self) -> str:
        """One hash of all raw days."""
        return sha256(json.dumps(self.raw, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """As JSON takes it."""
        plain: dict[str, Any] = json.loads(json.dumps(vars(self), default=str))
        return plain | {"raw_content": self.content}


def provenance(con: duckdb.DuckDBPyConnection) -> Provenance:
    """What the newest feature build that ended well counts, and by which definitions.

    Raises:
        FeedError: no features have been built.
    """
    sealed = last_build(con).sealed_until
    return Provenance(sealed, code_version(), definitions_hash(con), raw_days(con, datetime.min, sealed))


def version_tags(known: Provenance, read_at: int, loss: float) -> dict[str, str]:
    """The tags of a registered version that lead back to its data and code."""
    return {
        "code_version": known.code_version,
        "training_read_at": str(read_at),
        "raw_content": known.content,
        "dbt_definitions": known.definitions or "unknown",
        "validation_log_loss": f"{loss:.6f}",
    }


def recorded(settings: Settings, run_id: str) -> dict[str, Any]:
    """What a training run kept; empty for one that kept nothing."""
    from mlflow.artifacts import download_artifacts

    kept = {file.path for file in registry.client(settings).list_artifacts(run_id)}
    if FILE not in kept:
        return {}
    path = download_artifacts(run_id=run_id, artifact_path=FILE, tracking_uri=settings.tracking_uri)
    found: dict[str, Any] = json.loads(Path(path).read_text())
    return found
