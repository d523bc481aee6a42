"""Policies that wrote a part of the log each: what each earned, and how small a difference it could show."""

from dataclasses import dataclass
from itertools import groupby

import duckdb
import numpy as np

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.intervals import rate_interval
from feed_platform.evaluation.off_policy.power import visible_difference
from feed_platform.evaluation.off_policy.verdict import per_thousand
from feed_platform.learning.examples import TABLE

RATES = """
with rates as (
    select coalesce(impressions.surface, 'home') as surface, impressions.policy, count(*) as rows,
        sum({label}) as hits
    from {table} join raw.impressions using (impression_id) where impressions.policy is not null group by all
)
from rates qualify count(*) over (partition by surface) > 1 order by surface, policy
"""


@dataclass(frozen=True)
class OwnRate:
    """How often the event followed an impression that a policy chose."""

    policy: str
    rate: Measure


def own_policies(con: duckdb.DuckDBPyConnection, event: str) -> list[str]:
    """A sentence for each surface on which several policies showed something; matured impressions count."""
    rows = con.execute(RATES.format(label=f'"label_{event}"', table=TABLE)).fetchall()
    return [
        compared(
            surface,
            f"{event}s",
            [OwnRate(policy, rate_interval(int(hits), n)) for _, policy, n, hits in group],
        )
        for surface, group in groupby(rows, key=lambda row: row[0])
    ]


def compared(surface: str, events: str, own: list[OwnRate]) -> str:
    """What the policies of one surface earned, and what that can't prove."""
    rows = min(one.rate.n for one in own)
    mean = float(np.mean([one.rate.value for one in own]))
    least = visible_difference(mean, rows)
    found = ", ".join(f"{one.policy} {per_thousand(one.rate)}" for one in own)
    share = f" ({least / mean:.0%} of what they have)" if mean else ""
    return (
        f"{surface}: {found} {events} per 1,000 impressions. With {rows:,} impressions of each, a difference "
        f"under {1_000 * least:.1f}{share} stays unseen more often than one time in five."
    )
