"""What a replica serves with: two pointers watched, the new loaded beside the old, one reference switched."""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from feed_platform.features.online import OnlineSnapshot
from feed_platform.feed import FeedError
from feed_platform.learning.bundle import Bundle
from feed_platform.serving import pointer
from feed_platform.settings import Settings

WATCH_SECONDS = 0.2
RETRY_SECONDS = 5.0

Floats = npt.NDArray[np.float32]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A bundle in service; `columns` picks its features from the snapshot's, `None` where all are."""

    version: str
    bundle: Bundle
    columns: npt.NDArray[np.intp] | None = None

    def fitted_to(self, snapshot: OnlineSnapshot) -> "Model":
        """This model on a snapshot's columns.

        Raises:
            FeedError: the snapshot lacks one of the model's features.
        """
        missing = sorted(set(self.bundle.features) - set(snapshot.names))
        if missing:
            raise FeedError(f"snapshot {snapshot.hash[:12]} lacks the model's feature {missing[0]}")
        if self.bundle.features == snapshot.names:
            return replace(self, columns=None)
        places = {name: place for place, name in enumerate(snapshot.names)}
        return replace(self, columns=np.array([places[name] for name in self.bundle.features]))

    def probabilities(self, matrix: Floats) -> dict[str, npt.NDArray[np.float64]]:
        """Calibrated probabilities of each objective for the snapshot's feature rows."""
        return self.bundle.probabilities(self.own(matrix))

    def own(self, matrix: Floats) -> Floats:
        """The model's features of the snapshot's feature rows."""
        return matrix if self.columns is None else np.ascontiguousarray(matrix[:, self.columns])


@dataclass(frozen=True)
class Loaded:
    """What one answer is made with: immutable, so an answer never mixes two versions."""

    snapshot: OnlineSnapshot | None = None
    champion: Model | None = None
    previous: Model | None = None

    def with_parts(self, model: Model | None, snapshot: OnlineSnapshot | None) -> "Loaded":
        """The state with the newest parts; the model that served until now becomes the fallback.

        Raises:
            FeedError: model and snapshot don't fit together.
        """
        if model is None or snapshot is None:
            return Loaded(snapshot, model)
        swapped = self.champion is not None and self.champion.bundle.version != model.bundle.version
        fallback = self.champion if swapped else self.previous
        return Loaded(snapshot, model.fitted_to(snapshot), _if_fits(fallback, snapshot))


class Store:
    """Holds `loaded`, `errors` of what could not be loaded, and the bundle last `attempted`.

    The last good state stays. One thread refreshes; others read.
    """

    def __init__(self, settings: Settings, on_error: Callable[[str], None] = lambda part: None) -> None:
        self.loaded = Loaded()
        self.errors: dict[str, str] = {}
        self.attempted: str | None = None
        self._settings = settings
        self._on_error = on_error
        self._model: Model | None = None
        self._snapshot: OnlineSnapshot | None = None
        self._seen: dict[str, tuple[str, float]] = {}
        self._closing = threading.Event()

    def refresh(self) -> None:
        """Load what the pointers name now, and switch if it differs from what is loaded."""
        changes = [
            self._attempt("model", pointer.pointer_path(self._settings), self._load_model),
            self._attempt("snapshot", self._settings.online / "current.json", self._load_snapshot),
        ]
        if any(changes):
            self._guard("pair", self._switch)

    def watch(self) -> None:
        """Refresh in a thread of its own until `close`."""
        threading.Thread(target=self._watch, name="watch-pointers", daemon=True).start()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()

    def _watch(self) -> None:
        while not self._closing.wait(WATCH_SECONDS):
            self.refresh()

    def _attempt(self, part: str, path: Path, load: Callable[[str], bool]) -> bool:
        """Load a part if its pointer says something new, or failed a while ago; whether it was loaded."""
        text = path.read_text() if path.exists() else ""
        seen, seen_at = self._seen.get(part, ("", 0.0))
        if text == seen and (part not in self.errors or time.monotonic() < seen_at + RETRY_SECONDS):
            return False
        taken = self._guard(part, lambda: load(text))
        if taken or part in self.errors:
            self._seen[part] = (text, time.monotonic())
        return taken

    def _guard(self, part: str, step: Callable[[], bool]) -> bool:
        try:
            taken = step()
        except Exception as error:  # whatever fails, the last good state serves on
            log.warning("cannot load the %s: %s", part, error)
            self.errors = {**self.errors, part: f"{type(error).__name__}: {error}"}
            self._on_error(part)
            return False
        self.errors = {known: text for known, text in self.errors.items() if known != part}
        return taken

    def _load_model(self, text: str) -> bool:
        named = pointer.parse(text).current
        self.errors = {part: why for part, why in self.errors.items() if part == "snapshot"}
        self.attempted = named.bundle
        bundle = Bundle.load(self._settings.models / named.bundle)
        bundle.self_test()
        self._model = Model(named.version, bundle)
        return True

    def _load_snapshot(self, text: str) -> bool:
        """False until the snapshot's time has come."""
        named = json.loads(text)
        if not named["snapshot"].isalnum():
            raise FeedError(f"{named['snapshot']!r} names no snapshot")
        if datetime.fromisoformat(named["active_at"]) > datetime.now(UTC).replace(tzinfo=None):
            return False
        self._snapshot = OnlineSnapshot.open(self._settings.online / named["snapshot"])
        return True

    def _switch(self) -> bool:
        self.loaded = self.loaded.with_parts(self._model, self._snapshot)
        return True


def _if_fits(model: Model | None, snapshot: OnlineSnapshot) -> Model | None:
    try:
        return model.fitted_to(snapshot) if model else None
    except FeedError:
        return None
