"""What people saw and hid since the snapshot's hour: this replica's feedback at once, then all replicas'."""

import logging
import threading
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from feed_platform.features.keys import Keys, key
from feed_platform.feed import Feed
from feed_platform.interactions.segments import find_segments, read_from

TAIL_SECONDS = 0.5
SEEN_KEPT, HIDDEN_KEPT = 1_000_000, 200_000  # events: about 30 bytes each, and 300 a person

log = logging.getLogger(__name__)


class Event(msgspec.Struct, frozen=True):
    """What history needs of a feedback record; times are UTC and naive."""

    user_id: str | None
    post_id: str
    event_type: str
    received_at: datetime


_DECODER = msgspec.json.Decoder(Event)


class Lately:
    """Posts by person, the newest events up to a number and an age. Keys alone, no ids."""

    def __init__(self, most: int, span: timedelta | None = None) -> None:
        self._most, self._span = most, span
        self._posts: dict[int, _Posts] = {}
        self._order: deque[int] = deque()

    def add(self, user_key: int, post_key: int, at: datetime) -> None:
        """Note an event, once for a person and a post."""
        posts = self._posts.setdefault(user_key, _Posts())
        if post_key not in posts.keys:
            posts.keys.append(post_key)
            posts.at.append(at.timestamp())
            self._order.append(user_key)

    def forget(self, now: datetime) -> None:
        """Let go of what is too old or too much."""
        oldest = (now - self._span).timestamp() if self._span is not None else -np.inf
        while self._order and (len(self._order) > self._most or self._posts[self._order[0]].at[0] < oldest):
            user_key = self._order.popleft()
            posts = self._posts[user_key]
            del posts.keys[0], posts.at[0]
            if not posts.keys:
                del self._posts[user_key]

    def of(self, user_key: int) -> Keys:
        """The keys of a person's posts."""
        posts = self._posts.get(user_key)
        return np.array(posts.keys if posts else (), dtype=np.uint64)


@dataclass
class _Posts:
    keys: "array[int]" = field(default_factory=lambda: array("Q"))
    at: "array[float]" = field(default_factory=lambda: array("d"))


class History:
    """What `/v1/feed` leaves out besides what the snapshot knows of.

    Feedback is counted by `take` where it arrives, and read from the segments of all replicas by `refresh`,
    each event once. Events without a user_id are nobody's until the import finds their request.
    """

    def __init__(self, folder: Path, feed: Feed, since: datetime | None) -> None:
        """Segments last written before `since` (UTC, naive) are passed over: the snapshot knows of them."""
        self._hiding = frozenset(feed.hiding_events)
        self._seen = Lately(SEEN_KEPT, timedelta(days=feed.serving.feed.seen_days))
        self._hidden = Lately(HIDDEN_KEPT)
        self._tail = _Tail(folder, since.replace(tzinfo=UTC).timestamp() if since else 0.0)
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def take(self, events: Iterable[Event]) -> None:
        """Count events from now on."""
        with self._lock:
            for event in events:
                if event.user_id is not None:
                    of = self._hidden if event.event_type in self._hiding else self._seen
                    of.add(key(event.user_id), key(event.post_id), event.received_at)
            now = datetime.now(UTC).replace(tzinfo=None)
            self._seen.forget(now)
            self._hidden.forget(now)

    def left_out(self, user_id: str | None) -> Keys:
        """The keys of the posts that a person has seen or hidden lately; none of nobody's."""
        if user_id is None:
            return np.empty(0, dtype=np.uint64)
        with self._lock:
            return np.concatenate([self._seen.of(key(user_id)), self._hidden.of(key(user_id))])

    def refresh(self) -> None:
        """Take what is new in the segments."""
        for events in self._tail.read():
            self.take(events)

    def watch(self) -> None:
        """Refresh in a thread of its own until `close`."""
        threading.Thread(target=self._watch, name="watch-feedback", daemon=True).start()

    def close(self) -> None:
        """Stop watching."""
        self._closing.set()

    def _watch(self) -> None:
        while not self._closing.wait(TAIL_SECONDS):
            try:
                self.refresh()
            except Exception:  # the next turn may do better; what is known stays
                log.exception("cannot read the feedback of other replicas")


@dataclass
class _Tail:
    """Reads the events of a folder's segments as they come, each once, one segment at a time."""

    folder: Path
    since: float
    offsets: dict[str, int] = field(default_factory=dict)

    def read(self) -> Iterator[list[Event]]:
        for name, path in find_segments(self.folder).items():
            try:
                stat = path.stat()
            except FileNotFoundError:  # closed, or removed, since it was found: the next turn will see
                continue
            start = self.offsets.setdefault(name, stat.st_size if stat.st_mtime < self.since else 0)
            if stat.st_size > start:
                found = read_from(path, start)
                self.offsets[name] = found.offset
                yield [event for payload in found.payloads if (event := _understood(payload))]


def _understood(payload: bytes) -> Event | None:
    try:
        return _DECODER.decode(payload)
    except msgspec.DecodeError as error:
        log.warning("a feedback record that is not understood: %s", error)
        return None
