"""Builds the guide's examples in a process of their own, which FEED_DBT_PROJECT has the project of."""

import json
import sys
from datetime import datetime, timedelta

from feed_platform.features.builds import record_build
from feed_platform.features.catalogue import feature_names
from feed_platform.features.online import OnlineSnapshot
from feed_platform.features.publishing import publish
from feed_platform.feed import Feed, load_feed
from feed_platform.interactions.merge import add_attribute_columns
from feed_platform.interactions.schemas import RAW
from feed_platform.lake import Lake
from feed_platform.lake.connection import version_of
from feed_platform.settings import Settings
from feed_platform_tests.features.lake_builds import (
    DAY,
    Engagement,
    Impression,
    Post,
    World,
    dbt_build,
    insert,
    rows_of,
)

START = datetime(2026, 1, 1)
YESTERDAY, HOUR = START + 64 * DAY + timedelta(hours=12), timedelta(hours=1)
SEAL = START + 65 * DAY + 10 * HOUR
DECIDED = SEAL + timedelta(minutes=30)
CONTEXT = {"device": "phone"}


def world() -> World:
    """Ada sees one post: 60 days ago, three times yesterday, and now, at 10:30 of March 7, as of 10:00."""
    times = [START + 5 * DAY, YESTERDAY, YESTERDAY + HOUR, YESTERDAY + 2 * HOUR, DECIDED]
    shown = [Impression(f"i{place}", "ada", "p1", at, at) for place, at in enumerate(times)]
    done = (("save", None), ("save", None), ("share", None), ("dwell", 30_000.0), ("dwell", 29_999.0))
    at = YESTERDAY + timedelta(minutes=5)
    engagements = [
        Engagement(f"e{place}", "i1", "ada", "p1", event, value, at, at)
        for place, (event, value) in enumerate(done)
    ]
    return World([Post("p1", "ann", "cats", START, START)], shown, engagements)


def add_attributes(lake: Lake, feed: Feed) -> None:
    """Ada lives in Berlin and likes drama, the post is one and a comedy."""
    with lake.write("attributes") as con:
        for name in ("users", "posts"):
            add_attribute_columns(con, RAW[name], feed)
        con.execute("update raw.posts set genres = ['Drama', 'Comedy']")
        con.execute(
            "insert into raw.users by name select 'ada' as user_id, ? as known_at, "
            "'Europe/Berlin' as tz, ['Drama'] as genres",
            [START],
        )


def main() -> None:
    """Print the names, the last impression's stored features and what is served for it."""
    settings = Settings()
    feed, lake = load_feed(settings), Lake.of(settings)
    insert(settings, world())
    add_attributes(lake, feed)
    dbt_build(settings, feed, (START, SEAL + DAY), SEAL, "--resource-type", "model")
    with lake.write("built") as con:
        record_build(con, version_of(con), SEAL)
    snapshot = OnlineSnapshot.open(publish(settings, lake, feed))
    served = snapshot.matrix(["ada"], ["p1"], DECIDED, 1, CONTEXT)[0].tolist()
    stored = next(
        row for row in rows_of(settings, "marts.impression_features") if row["impression_id"] == "i4"
    )
    labels = next(row for row in rows_of(settings, "marts.labels") if row["impression_id"] == "i1")
    found = {
        "names": feature_names(feed),
        "served": dict(zip(snapshot.names, served, strict=True)),
        "stored": stored,
        "labels": labels,
    }
    sys.stdout.write(json.dumps(found, default=str))


if __name__ == "__main__":
    main()
