"""What a home holds, in a few facts."""

from collections.abc import Mapping
from typing import Any, get_args

from feed_platform.erasure import Erasures, erasures
from feed_platform.feed import load_feed
from feed_platform.lake import Lake, now, seal
from feed_platform.lake.connection import version_of
from feed_platform.settings import Settings

COUNTED = ("raw.users", "raw.posts", "raw.impressions", "raw.engagements", "serving.requests")


def home_status(settings: Settings) -> dict[str, Any]:
    """Feed, clock, seal, row counts, lake version, what was erased, models and last verdict, service."""
    from feed_platform.promotion import ledger
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
        judged, waiting = ledger.last(con, None, "verdict"), ledger.waiting(con)
    return {
        **facts,
        **_models(settings),
        "last verdict": _said(judged) if judged else "none",
        "wait for approval": ", ".join(waiting) or "none",
        "service": service_status(settings),
    }


def service_line(service: Mapping[str, Any]) -> str:
    """What `home_status` says of the service, in words; `feed serve status` says all.

    Example:
        >>> service_line({"running": False, "deployed_version": "3"})
        'stopped, version 3 deployed: feed serve start'
        >>> service_line({"running": False, "deployed_version": None})
        'stopped, no version deployed'
    """
    version = service["deployed_version"]
    deployed = f"version {version} deployed" if version else "no version deployed"
    if not service["running"]:
        return f"stopped, {deployed}" + (": feed serve start" if version else "")
    replicas = service["replicas"]
    ready = f"{sum(one.get('ready', False) for one in replicas)} of {len(replicas)} replicas ready"
    wrong = ", errors: feed serve status" if any(one.get("errors") for one in replicas) else ""
    return f"{service['url']}, {deployed}, {ready}{wrong}"


def _models(settings: Settings) -> dict[str, str]:
    """Who carries which alias."""
    from feed_platform.learning import registry

    found = {alias: registry.with_alias(settings, alias) for alias in get_args(registry.Alias)}
    return {alias: f"version {one.version} ({one.kind})" if one else "none" for alias, one in found.items()}


def _said(judged: dict[str, Any]) -> str:
    against = f"against {judged['champion']}" if judged["champion"] else "for a home without a champion"
    which = f"{judged['verdict']}: version {judged['model_version']} {against}, claim {judged['claim']}"
    when = f"attempt {judged['attempt']} on its test days, {judged['decided_at']:%Y-%m-%d %H:%M} UTC"
    return f"{which}, {when}. {judged['reason']}"


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
