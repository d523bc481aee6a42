"""A few people who open their feed: rank requests, then feedback, over plain HTTP."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np

from feed_platform.feed import FeedError
from feed_platform.lake import Lake

SEEN = 5
SEED = 7


@dataclass(frozen=True)
class Answered:
    """One ranking and who asked for it."""

    user_id: str
    answer: dict[str, Any]


def some_users(lake: Lake, count: int) -> list[str]:
    """The users who engaged most in the last week of the log."""
    return _column(
        lake,
        "select user_id from raw.engagements where event_type = 'click' and known_at > (select max(known_at) "
        f"- interval 7 day from raw.engagements) group by 1 order by count(*) desc, 1 limit {count}",
    )


def recent_posts(lake: Lake, count: int) -> list[str]:
    """The newest posts of the feed."""
    return _column(lake, f"select distinct post_id from raw.posts order by post_id desc limit {count}")


def send_traffic(client: httpx.Client, users: list[str], posts: list[str]) -> list[Answered]:
    """Rank for every user and report what they saw and clicked. Clicks are drawn from the
    returned probabilities, with a fixed seed."""
    random = np.random.default_rng(SEED)
    answers = [Answered(user, rank(client, user, posts)) for user in users]
    events = [event for answered in answers for event in _events(answered, random)]
    reply = client.post("/v1/feedback", json={"events": events})
    reply.raise_for_status()
    if reply.json()["accepted"] != len(events):
        raise FeedError(f"the service rejected feedback: {reply.text[:500]}")
    return answers


def rank(client: httpx.Client, user_id: str, posts: list[str], limit: int = 10) -> dict[str, Any]:
    """One call of /v1/rank."""
    reply = client.post("/v1/rank", json={"user_id": user_id, "candidate_ids": posts, "limit": limit})
    reply.raise_for_status()
    return dict(reply.json())


def _events(answered: Answered, random: np.random.Generator) -> list[dict[str, Any]]:
    events = []
    for item in answered.answer["items"][:SEEN]:
        events.append(_event("impression", answered, item))
        if random.random() < item["probabilities"]["click"]:
            events.append(_event("click", answered, item))
    return events


def _event(kind: str, answered: Answered, item: dict[str, Any]) -> dict[str, Any]:
    request_id = answered.answer["request_id"]
    return {
        "event_id": f"{kind}-{request_id}-{item['post_id']}",
        "event_type": kind,
        "user_id": answered.user_id,
        "post_id": item["post_id"],
        "request_id": request_id,
        "position": item["rank"],
        "occurred_at": datetime.now(UTC).isoformat(),
    }


def _column(lake: Lake, sql: str) -> list[str]:
    with lake.read() as con:
        return [row[0] for row in con.execute(sql).fetchall()]
