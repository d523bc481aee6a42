"""The note of an erasure that has begun: what to end after a crash. It goes when the erasure is done."""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from feed_platform.settings import Settings


@dataclass(frozen=True)
class Pending:
    """Whom to erase, and what is known of it so far.

    Attributes:
        user_ids: the people.
        begun_at: when it began (UTC, ISO 8601), its name in `training.erasures`.
        was_built: whether the feature tables were a finished build when it began.
        deleted, anonymized: rows so far.
        records: log records so far.
        model_versions: registered when it began.
    """

    user_ids: tuple[str, ...]
    begun_at: str
    was_built: bool
    model_versions: tuple[str, ...] = ()
    deleted: int = 0
    anonymized: int = 0
    records: int = 0

    def save(self, settings: Settings) -> "Pending":
        """Write it, readable by its owner alone, durably."""
        path = _path(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
        return self

    def with_more(self, other: "Pending") -> "Pending":
        """This erasure with another's people."""
        people = tuple(dict.fromkeys([*self.user_ids, *other.user_ids]))
        models = tuple(dict.fromkeys([*self.model_versions, *other.model_versions]))
        return replace(self, user_ids=people, model_versions=models)


def read(settings: Settings) -> Pending | None:
    """The erasure that has begun and not ended, if any."""
    path = _path(settings)
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    return Pending(**{**data, **{name: tuple(data[name]) for name in ("user_ids", "model_versions")}})


def forget(settings: Settings) -> None:
    """The erasure is done."""
    _path(settings).unlink(missing_ok=True)
    _path(settings).with_suffix(".draft").unlink(missing_ok=True)


def _path(settings: Settings) -> Path:
    return settings.root / "erasure" / "pending.json"
