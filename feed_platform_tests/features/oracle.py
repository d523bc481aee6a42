"""What features and labels are, computed from raw rows one by one: slow, plain, and not SQL."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from feed_platform.feed import EVENT_TYPES, Feed
from feed_platform_tests.features.lake_builds import Engagement, Impression, Post, World

SPANS = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "28d": timedelta(days=28),
}
WINDOWS = {
    "user": ("24h", "7d", "28d"),
    "post": ("1h", "24h", "7d", "28d"),
    "author": ("24h", "7d", "28d"),
    "topic": ("24h", "7d", "28d"),
    "user_topic": ("24h", "7d", "28d"),
    "user_author": ("24h", "7d", "28d"),
}
COUNTED = {
    "impressions": "impression",
    "clicks": "click",
    "likes": "like",
    "comments": "comment",
    "shares": "share",
    "hides": "hide",
    "reports": "report",
    "follows": "follow",
}
MICROSECOND = timedelta(microseconds=1)


class Event(NamedTuple):
    """An impression or engagement with what its post was when it became known."""

    type: str
    value: float | None
    known_at: datetime
    user: str | None
    post: str
    author: str | None
    topic: str | None


class Oracle:
    """Features and labels of one world."""

    def __init__(self, world: World, feed: Feed) -> None:
        self.world, self.feed = world, feed
        self.events = list(self._events())

    def as_of(self, impression: Impression) -> datetime:
        """A request's own hour, else the last full hour when features could have been published."""
        for request in self.world.requests:
            if request.request_id == impression.request_id:
                return request.features_as_of
        return (impression.shown_at - self.feed.feature_delay).replace(minute=0, second=0, microsecond=0)

    def post_shown(self, impression: Impression) -> Post | None:
        """The version that applied: the one in the request's snapshot, else the one known when shown."""
        is_logged = any(request.request_id == impression.request_id for request in self.world.requests)
        until = self.as_of(impression) - MICROSECOND if is_logged else impression.shown_at
        return self.version(impression.post_id, until)

    def version(self, post_id: str, at: datetime) -> Post | None:
        """The version of a post that was known last at an instant."""
        known = [
            (post.known_at, post.received_at or datetime.min, order, post)
            for order, post in enumerate(self.world.posts)
            if post.post_id == post_id and post.known_at <= at
        ]
        return max(known, key=lambda version: version[:3])[3] if known else None

    def stored(self, user: str | None, post_id: str, post: Post | None, as_of: datetime) -> dict[str, float]:
        """Every stored feature of a user, a post and its author and topic as of an hour."""
        about = {"user": user, "post": post_id}
        about |= {"author": post.author_id if post else None, "topic": post.topic if post else None}
        rate = self._global_rate(as_of)
        features: dict[str, float] = {}
        for group, windows in WINDOWS.items():
            mine = [
                event for event in self.events if event.known_at < as_of and _belongs(event, group, about)
            ]
            for window in windows:
                inside = [event for event in mine if event.known_at >= as_of - SPANS[window]]
                for measure, event_type in COUNTED.items():
                    features[f"{group}_{measure}_{window}"] = sum(e.type == event_type for e in inside)
                features[f"{group}_dwell_ms_{window}"] = sum(
                    round(e.value or 0) for e in inside if e.type == "dwell"
                )
                clicks, shown = (features[f"{group}_{name}_{window}"] for name in ("clicks", "impressions"))
                features[f"{group}_ctr_{window}"] = np.float32((clicks + 20 * rate) / (shown + 20))
            for event_type in ("impression", "click"):
                features[f"{group}_hours_since_{event_type}"] = _hours_since(mine, event_type, as_of)
        for group in ("user", "post"):
            features[f"{group}_is_cold"] = int(features[f"{group}_impressions_28d"] == 0)
        return features

    def deadline(self, impression: Impression) -> datetime:
        """When an impression's label is settled."""
        window, delay = self._label_times()
        return max(impression.shown_at + window, impression.known_at) + delay

    def labels(self, impression: Impression) -> dict[str, int]:
        """What came of an impression, by what was known before its deadline."""
        mine = {e.event_type for e in self.world.engagements if self._counts(e, impression)}
        return {f"label_{event}": int(event in mine) for event in EVENT_TYPES}

    def _counts(self, engagement: Engagement, impression: Impression) -> bool:
        window, _ = self._label_times()
        if not impression.shown_at <= engagement.occurred_at < impression.shown_at + window:
            return False
        if engagement.known_at >= self.deadline(impression):
            return False
        if engagement.impression_id is not None:
            return engagement.impression_id == impression.impression_id
        earlier = [
            (other.shown_at, other.impression_id)
            for other in self.world.impressions
            if engagement.user_id is not None
            and (other.user_id, other.post_id) == (engagement.user_id, engagement.post_id)
            and other.shown_at <= engagement.occurred_at
            and other.known_at < self.deadline(impression)
        ]
        return bool(earlier) and max(earlier)[1] == impression.impression_id

    def _label_times(self) -> tuple[timedelta, timedelta]:
        return timedelta(seconds=self.feed.label_window_seconds), timedelta(
            seconds=self.feed.label_delay_seconds
        )

    def _global_rate(self, as_of: datetime) -> float:
        inside = [event.type for event in self.events if as_of - SPANS["7d"] <= event.known_at < as_of]
        return (inside.count("click") + 1) / (inside.count("impression") + 20)

    def _events(self) -> Iterator[Event]:
        for shown in self.world.impressions:
            yield Event("impression", None, shown.known_at, shown.user_id, shown.post_id, *self._post(shown))
        for done in self.world.engagements:
            yield Event(
                done.event_type, done.value, done.known_at, done.user_id, done.post_id, *self._post(done)
            )

    def _post(self, event: Impression | Engagement) -> tuple[str | None, str | None]:
        version = self.version(event.post_id, event.known_at)
        return (version.author_id, version.topic) if version else (None, None)


def _belongs(event: Event, group: str, about: dict[str, str | None]) -> bool:
    """Whether an event is one of the entity's; an entity that isn't known has none."""
    parts = [(getattr(event, part), about[part]) for part in group.split("_")]
    return all(one is not None and one == other for one, other in parts)


def _hours_since(events: list[Event], event_type: str, as_of: datetime) -> float:
    """Hours between as_of and the hour of the last such event in 28 days; NaN where there is none."""
    times = [e.known_at for e in events if e.type == event_type and e.known_at >= as_of - SPANS["28d"]]
    if not times:
        return float("nan")
    return (as_of - max(times).replace(minute=0, second=0, microsecond=0)) / timedelta(hours=1)
