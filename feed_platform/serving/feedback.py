"""Feedback events, each judged by itself."""

from collections.abc import Container, Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from feed_platform.serving.problems import fault
from feed_platform.serving.schemas import FeedbackEvent, Rejected

IMPRESSION = "impression"
CLOCK_SKEW = timedelta(hours=1)
_DECODER = msgspec.json.Decoder(FeedbackEvent)


def judge(
    events: Iterable[msgspec.Raw], event_types: Container[str], now: datetime
) -> tuple[list[FeedbackEvent], list[Rejected]]:
    """Split raw events into good ones and those rejected, with reasons that name the field.

    Args:
        event_types: the feed's, without `impression`, which is always one.
        now: the machine's time (UTC, naive); later than an hour after it is refused.
    """
    good, rejected = [], []
    for index, raw in enumerate(events):
        try:
            event = _DECODER.decode(raw)
        except msgspec.ValidationError as error:
            found = fault(error)
            rejected.append(Rejected(index, f"{found.pointer or '/'}: {found.detail}"))
            continue
        reason = _objection(event, event_types, now)
        if reason:
            rejected.append(Rejected(index, reason))
        else:
            good.append(event)
    return good, rejected


def utc(instant: datetime) -> datetime:
    """An instant with a time zone as naive UTC, the platform's form."""
    return instant.astimezone(UTC).replace(tzinfo=None)


def _objection(event: FeedbackEvent, event_types: Container[str], now: datetime) -> str | None:
    if event.event_type != IMPRESSION and event.event_type not in event_types:
        return f"/event_type: {event.event_type!r} is not an event type of this feed"
    if utc(event.occurred_at) > now + CLOCK_SKEW:
        return "/occurred_at: lies more than an hour in the future"
    if event.event_type == IMPRESSION and event.request_id is None:
        return "/request_id: an impression needs the request that ranked it"
    if event.event_type == IMPRESSION and event.position is None:
        return "/position: an impression needs the position that was shown"
    return None
