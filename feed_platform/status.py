"""What a home holds, in a few facts."""

from typing import Any

from feed_platform.erasure import Erasures, erasures
from feed_platform.feed import load_feed
from feed_platform.lake import Lake, now, seal
from feed_platform.lake.connection import version_of
from feed_platform.settings import Settings

COUNTED = ("raw.users", "raw.posts", "raw.impressions", "raw.engagements", "serving.requests")


def home_status(settings: Settings) -> dict[str, Any]:
    """Feed, clock, seal, row counts, quarantined rows, lake version, what was erased, service."""
    from feed_platform.serving.service import status as service_status

    feed = load_feed(settings)
    with Lake.of(settings).read() as con:
        count = {table: _count(con, table) for table in COUNTED}
        quarantined = sum(_count(con, f"quarantine.{name.split('.')[1]}") for name in COUNTED[:4])
        facts = {
            "home": settings.root,
            "feed": feed.name,
            "clock": feed.clock,
            "now": now(con, feed),
            "sealed until": seal(con, feed),
            "lake version": version_of(con),
            **count,
            "quarantined": quarantined,
            **_erased(erasures(con)),
        }
    return {**facts, "service": service_status(settings)}


def _erased(done: Erasures) -> dict[str, Any]:
    """Nothing to say where nobody was erased."""
    if not done.people:
        return {}
    return {
        "erased people": done.people,
        "models trained on their data": ", ".join(done.model_versions) or "none",
        "lake versions readable": f"from {done.readable_from}",
    }


def _count(con: Any, table: str) -> int:
    return int(con.execute(f"select count(*) from {table}").fetchone()[0])
