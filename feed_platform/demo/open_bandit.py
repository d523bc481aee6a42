"""The honest verdict on the real log."""

from rich.console import Console
from rich.table import Table

from feed_platform.evaluation.off_policy.open_bandit import crossed
from feed_platform.evaluation.off_policy.open_bandit_lines import table_lines
from feed_platform.lake import Lake

CLICKS = """
select i.surface, i.policy, count(distinct i.impression_id) as n, count(distinct e.engagement_id) as clicks
from raw.impressions i left join raw.engagements e using (impression_id)
group by 1, 2 order by 1, 2
"""
COMPARED = """
select model, value, low, high, n from training.evaluations
where split = 'test' and slice = 'all' and metric = 'roc_auc' and model_version = '1'
order by value
"""


def show_verdict(console: Console, lake: Lake) -> None:
    """Click rates by campaign and policy with Wilson intervals, and what they can't prove."""
    with lake.read() as con:
        rows, compared = con.execute(CLICKS).fetchall(), con.execute(COMPARED).fetchall()
    table = Table("campaign", "policy", "impressions", "clicks", "CTR, 95 % interval")
    for surface, policy, n, clicks in rows:
        low, high = wilson(clicks, n)
        table.add_row(surface, policy, f"{n:,}", str(clicks), f"{clicks / n:.2%}  [{low:.2%}, {high:.2%}]")
    console.print("\nThe real log: two policies that ran in three campaigns of a shop")
    console.print(table)
    for line in table_lines(list(crossed())):
        console.print(line)
    for model, value, low, high, n in compared:
        console.print(f"  {model:<12} ROC AUC {value:.3f}  [{low:.3f}, {high:.3f}] on {n:,} test impressions")
    console.print(
        "Verdict: 10,000 impressions with some 40 clicks per campaign prove little. Where intervals\n"
        "overlap, no policy and no model is shown to be better than another; the whole log has 26M rows.\n"
        "feed off-policy --sample says how little."
    )


def wilson(successes: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval of a rate (Wilson 1927).

    Example:
        >>> [round(bound, 4) for bound in wilson(5, 100)]
        [0.0215, 0.1118]
    """
    rate, square = successes / n, z * z
    centre = (rate + square / (2 * n)) / (1 + square / n)
    margin = z / (1 + square / n) * ((rate * (1 - rate) + square / (4 * n)) / n) ** 0.5
    return centre - margin, centre + margin
