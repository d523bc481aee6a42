"""What a replica serves with: two pointers watched, the new loaded beside the old, one reference switched."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from feed_platform.features.blocks import Wanted
from feed_platform.features.changes import Change
from feed_platform.features.online import OnlineSnapshot
from feed_platform.features.snapshot_check import open_checked
from feed_platform.feed import FeedError
from feed_platform.learning.bundle import Bundle
from feed_platform.serving import pointer
from feed_platform.serving.pointer import Deployed
from feed_platform.serving.upserts import Changes
from feed_platform.settings import Settings

WATCH_SECONDS = 0.2
RETRY_SECONDS, MOST_RETRY_SECONDS = 5.0, 300.0
PROVED_POSTS = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A bundle in service; `wanted` reads its features from the snapshot that it is fitted to."""

    version: str
    bundle: Bundle
    wanted: Wanted | None = None

    def fitted_to(self, snapshot: OnlineSnapshot) -> "Model":
        """This model on a snapshot.

        Raises:
            FeedError: the snapshot lacks one of the model's features.
        """
        missing = sorted(set(self.bundle.features) - set(snapshot.names))
        if missing:
            raise FeedError(f"snapshot {snapshot.hash[:12]} lacks the model's feature {missing[0]}")
        return replace(self, wanted=snapshot.wanted(self.bundle.features).unpacked())


@dataclass(frozen=True)
class Loaded:
    """What one answer is made with: immutable, so an answer never mixes two versions."""

    snapshot: OnlineSnapshot | None = None
    champion: Model | None = None
    previous: Model | None = None
    challenger: Model | None = None

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

    The last good state stays. Model and snapshot are watched by a thread each, so that a model goes back
    at once while a large snapshot is being read; others read `loaded`. What has changed of posts and users
    since the snapshot's hour is part of `loaded.snapshot`.
    """

    def __init__(self, settings: Settings, on_error: Callable[[str], None] = lambda part: None) -> None:
        self.loaded = Loaded()
        self.errors: dict[str, str] = {}
        self.attempted: str | None = None
        self._on_error = on_error
        self._models, self._online = settings.models, settings.online
        self._pointers = {
            "model": pointer.pointer_path(settings),
            "snapshot": settings.online / "current.json",
            "challenger": pointer.challenger_path(settings),
        }
        self._model: Model | None = None
        self._challenger: Model | None = None
        self._snapshot: OnlineSnapshot | None = None
        self._seen: dict[str, Seen] = {}
        self._loading: set[str] = set()
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self.changes = Changes(settings.logs / "upserts")

    def refresh(self) -> None:
        """Load what the pointers name now, and switch if it differs from what is loaded."""
        self.take_changes()
        changed = [self._attempt(part) for part in self._pointers]
        if any(changed):
            self._switch()

    def watch(self) -> None:
        """Refresh in threads of its own until `close`."""
        for part in self._pointers:
            threading.Thread(target=self._watch, args=(part,), name=f"watch-{part}", daemon=True).start()
        threading.Thread(target=self._watch_changes, name="watch-upserts", daemon=True).start()

    def take_changes(self) -> None:
        """Bring new upserts into what is loaded."""
        with self._lock:
            try:
                self._apply(self.changes.read())
                self._mend("upserts")
            except Exception as error:
                self._fail("upserts", error)

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()

    def _watch(self, part: str) -> None:
        while not self._closing.wait(WATCH_SECONDS):
            if self._attempt(part):
                self._switch()

    def _watch_changes(self) -> None:
        while not self._closing.wait(WATCH_SECONDS):
            self.take_changes()

    def _apply(self, fresh: Sequence[Change]) -> None:
        if not fresh:
            return
        serves_newest = self.loaded.snapshot is self._snapshot
        if self._snapshot is not None:
            self._snapshot = self._snapshot.with_changes(fresh)
        if self.loaded.snapshot is not None:
            live = self._snapshot if serves_newest else self.loaded.snapshot.with_changes(fresh)
            self.loaded = replace(self.loaded, snapshot=live)

    def _attempt(self, part: str) -> bool:
        """Load a part if its pointer says something new, or failed a while ago; whether it was loaded."""
        text = _text(self._pointers[part])
        seen = self._seen.get(part, Seen(""))
        if text == seen.text and (part not in self.errors or time.monotonic() < seen.retry_at):
            return False
        self._loading.add(part)
        try:
            taken = self._load(part, text)
        except Exception as error:  # whatever fails, the last good state serves on
            self._fail(part, error)
            taken = False
        finally:
            self._loading.discard(part)
        if taken or part in self.errors:
            self._seen[part] = seen.again(text)
        return taken

    def _load(self, part: str, text: str) -> bool:
        if part == "model":
            return self._load_model(text)
        return self._load_challenger(text) if part == "challenger" else self._load_snapshot(text)

    def _load_model(self, text: str) -> bool:
        """False where the pointer moved on meanwhile: a model that was given up must not go live."""
        named = pointer.parse(text).current
        with self._lock:
            self.errors = {part: why for part, why in self.errors.items() if part not in ("model", "pair")}
            self.attempted = named.bundle
        model = self._proved(named)
        if _text(self._pointers["model"]) != text:
            return False
        self._model = model
        self._mend("model")
        return True

    def _load_challenger(self, text: str) -> bool:
        if not text:
            self._challenger = None
        else:
            self._challenger = self._proved(pointer.parse_challenger(text))
        self._mend("challenger")
        return True

    def _proved(self, named: Deployed) -> Model:
        bundle = Bundle.load(self._models / named.bundle).quickened()
        bundle.self_test()
        return Model(named.version, bundle)

    def _load_snapshot(self, text: str) -> bool:
        """False until the snapshot's time has come, or where the pointer moved on meanwhile."""
        named = json.loads(text)
        if not named["snapshot"].isalnum():
            raise FeedError(f"{named['snapshot']!r} names no snapshot")
        if datetime.fromisoformat(named["active_at"]) > datetime.now(UTC).replace(tzinfo=None):
            return False
        snapshot = open_checked(self._online / named["snapshot"])
        if _text(self._pointers["snapshot"]) != text:
            return False
        with self._lock:
            self._snapshot = snapshot.with_changes(self.changes.since(snapshot.as_of))
        self._mend("snapshot")
        return True

    def _switch(self) -> None:
        with self._lock:
            try:
                loaded = self.loaded.with_parts(self._model, self._snapshot)
                prove(loaded)
            except Exception as error:
                if not self._loading:  # else the other part, when it comes, may fit
                    self._fail("pair", error)
                return
            self.loaded = replace(loaded, challenger=self._fitting_challenger(loaded.snapshot))
            self._mend("pair")

    def _fitting_challenger(self, snapshot: OnlineSnapshot | None) -> Model | None:
        """The challenger, proved; None where it fails, which is nobody else's concern."""
        if self._challenger is None or snapshot is None:
            return None
        try:
            challenger = self._challenger.fitted_to(snapshot)
            prove(Loaded(snapshot, challenger))
        except Exception as error:
            self._fail("challenger", error)
            return None
        return challenger

    def _fail(self, part: str, error: Exception) -> None:
        log.warning("cannot load the %s: %s", part, error)
        with self._lock:
            self.errors = {**self.errors, part: f"{type(error).__name__}: {error}"}
        self._on_error(part)

    def _mend(self, part: str) -> None:
        with self._lock:
            self.errors = {known: text for known, text in self.errors.items() if known != part}


@dataclass(frozen=True)
class Seen:
    """What a pointer said last, and when to try it again where it could not be loaded."""

    text: str
    retry_at: float = 0.0
    wait: float = RETRY_SECONDS

    def again(self, text: str) -> "Seen":
        """After trying a text: the same one waits twice as long each time."""
        wait = min(self.wait * 2, MOST_RETRY_SECONDS) if text == self.text else RETRY_SECONDS
        return Seen(text, time.monotonic() + wait, wait)


def prove(loaded: Loaded) -> None:
    """Score a few posts for a new person, before anyone is answered so.

    Raises:
        FeedError: a score is not finite.
    """
    champion, snapshot = loaded.champion, loaded.snapshot
    if champion is None or snapshot is None:
        return
    posts = snapshot.first_posts(PROVED_POSTS) or ["unknown"]
    at = np.datetime64(snapshot.as_of)
    matrix = snapshot.matrix([None], posts, at, 1, wanted=champion.wanted)
    scores = champion.bundle.score(champion.bundle.probabilities(matrix))
    if not np.isfinite(scores).all():
        raise FeedError(f"version {champion.version} gives scores that are not finite")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _if_fits(model: Model | None, snapshot: OnlineSnapshot) -> Model | None:
    try:
        return model.fitted_to(snapshot) if model else None
    except FeedError:
        return None
