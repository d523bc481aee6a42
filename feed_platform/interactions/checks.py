"""Checks of the raw tables, one query each."""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import duckdb

from feed_platform.feed import Feed
from feed_platform.interactions.batch import RAW_TABLES
from feed_platform.interactions.validation import GAP, GAPS
from feed_platform.lake import now
from feed_platform.lake.seal import HOUR
from feed_platform.resources import Home

QUARANTINE_SHARE = 0.01
REPEATED = "select count(*) - count(distinct {0}) from raw.{1}"
SHARE = """
select bad / greatest(bad + good, 1) from (
    select (select count(*) from quarantine.{0}) as bad, (select count(*) from raw.{0}) as good
)
"""
THIN_DAYS = """
with days as (select cast(known_at as date) as day, count(*) as n from raw.{0} group by 1),
span as (
    select unnest(generate_series(greatest(min(day) + 1, max(day) - 14), max(day) - 1, interval 1 day)) as day
    from days
),
filled as (select coalesce(n, 0) as n from span left join days on span.day = days.day)
select count(*) from filled where n < (select median(n) from filled) / 10
"""
NEWEST = "select max(known_at) from raw.impressions"
STALE_HOURS = 24


@dataclass(frozen=True)
class Rule:
    """A query that gives one number, and the most that it may be."""

    table: str
    name: str
    description: str
    sql: str
    most: float = 0
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN

    @property
    def spec(self) -> dg.AssetCheckSpec:
        """What Dagster knows of it."""
        return dg.AssetCheckSpec(self.name, asset=["raw", self.table], description=self.description)


def _unique(table: str, column: str) -> Rule:
    description = f"Rows whose {column} is there already."
    sql = REPEATED.format(column, table)
    return Rule(table, "unique", description, sql, severity=dg.AssetCheckSeverity.ERROR)


def _refers(table: str, other: str, column: str) -> Rule:
    description = f"Rows whose {column} isn't in raw.{other} (yet): they count, without its attributes."
    return Rule(table, f"knows_{other}", description, GAP.format(table=table, other=other, column=column))


def _clean(table: str) -> Rule:
    description = f"Share of the rows that went to quarantine.{table}."
    return Rule(table, "quarantine_share", description, SHARE.format(table), QUARANTINE_SHARE)


def _steady(table: str) -> Rule:
    description = "Of the 14 days before the newest those with under a tenth of their median rows."
    return Rule(table, "steady_volume", description, THIN_DAYS.format(table))


RULES = (
    _unique("users", "(user_id, known_at)"),
    _unique("posts", "(post_id, known_at)"),
    _unique("impressions", "impression_id"),
    _unique("engagements", "engagement_id"),
    *(_refers(table, other, column) for table, gaps in GAPS.items() for column, other in gaps.items()),
    *map(_clean, RAW_TABLES),
    *map(_steady, ("impressions", "engagements")),
)


RECENT = dg.AssetCheckSpec(
    "recent",
    asset=["raw", "impressions"],
    description="A live feed's newest impression is at most a day old. Of a log: there is one.",
)


@dg.multi_asset_check(name="raw_checks", specs=[*(rule.spec for rule in RULES), RECENT])
def raw_checks(home: Home) -> Iterator[dg.AssetCheckResult]:
    """Run every rule on the lake as it is now."""
    with home.lake.read() as con:
        for rule in RULES:
            row = con.execute(rule.sql).fetchone()
            found = row[0] if row else 0
            yield dg.AssetCheckResult(
                passed=found <= rule.most,
                asset_key=["raw", rule.table],
                check_name=rule.name,
                severity=rule.severity,
                metadata={"found": found, "most": rule.most, "sql": dg.MetadataValue.md(f"`{rule.sql}`")},
            )
        yield recent(con, home.feed)


def recent(con: duckdb.DuckDBPyConnection, feed: Feed) -> dg.AssetCheckResult:
    """Whether rows still come: refreshes also go well where nothing does."""
    (newest,) = con.execute(NEWEST).fetchone() or (None,)
    hours = (now(con, feed) - newest) / HOUR if newest else None
    return dg.AssetCheckResult(
        passed=hours is not None and (feed.clock == "log" or hours <= STALE_HOURS),
        asset_key=RECENT.asset_key,
        check_name=RECENT.name,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"newest": str(newest), "hours": hours, "most": STALE_HOURS},
    )
