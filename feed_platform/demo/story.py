"""What the demo shows of its results: one ranking, the model beside its peers, one impression's way."""

from typing import Any

from rich.console import Console
from rich.table import Table

from feed_platform.demo.traffic import Answered
from feed_platform.lake import Lake
from feed_platform.promotion import ledger

TASTE = """
select p.topic, count(*) filter (e.event_type = 'click') as clicks
from raw.engagements e join (select distinct post_id, topic from raw.posts) p using (post_id)
where e.user_id = ? and e.known_at > (select max(known_at) - interval 7 day from raw.engagements)
group by 1 order by clicks desc, 1 limit 3
"""
POSTS = """
select post_id, any_value(topic), any_value(created_at) from raw.posts
where list_contains(?, post_id) group by post_id
"""
NUMBERS = """
select model, metric, value, low, high, n from training.evaluations
where split = 'test' and slice = 'all' and metric in ('log_loss', 'roc_auc')
  and model_version = ?
order by metric, value
"""
WAY = """
select r.served_by, r.model_version, r.features_as_of, c.rank, c.score, i.impression_id, i.position,
       i.propensity, i.known_at, f.as_of
from serving.requests r
join serving.candidates c using (request_id)
join raw.impressions i on i.request_id = r.request_id and i.post_id = c.post_id
left join marts.impression_features f using (impression_id)
where r.request_id = ? and c.post_id = ?
"""


def show_ranking(console: Console, lake: Lake, answered: Answered) -> None:
    """One ranking that a person can judge: the user's taste, then the posts with topic, score and why."""
    with lake.read() as con:
        taste = con.execute(TASTE, [answered.user_id]).fetchall()
        ids = [item["post_id"] for item in answered.answer["items"]]
        posts = {row[0]: row[1:] for row in con.execute(POSTS, [ids]).fetchall()}
    liked = ", ".join(f"{topic} ({clicks})" for topic, clicks in taste)
    console.print(f"\nA ranking. In the last week [bold]{answered.user_id}[/] clicked most on: {liked}")
    table = Table("rank", "post", "topic", "posted (UTC)", "score", "why")
    topics = {topic: clicks for topic, clicks in taste}
    for item in answered.answer["items"]:
        topic, created_at = posts.get(item["post_id"], (None, None))
        why = f"{topics[topic]} clicks on its topic" if topic in topics else "popular or fresh"
        table.add_row(
            str(item["rank"]),
            item["post_id"],
            topic,
            f"{created_at:%m-%d %H:%M}",
            f"{item['score']:.4f}",
            why,
        )
    console.print(table)
    console.print(
        f"Served by {answered.answer['served_by']}, model version {answered.answer['model_version']}, "
        f"features as of {answered.answer['features_as_of']}. The score is the expected value of showing "
        "the post at position 1."
    )


def show_models(console: Console, lake: Lake, model_version: str) -> None:
    """The model beside every baseline and the Bayes limit, on test data, with 95 % intervals."""
    table = Table("on the test days", "log loss (less is better)", "ROC AUC (more is better)")
    with lake.read() as con:
        rows = con.execute(NUMBERS, [model_version]).fetchall()
    cells: dict[str, dict[str, str]] = {}
    for model, metric, value, low, high, _ in rows:
        interval = "" if low is None else f"  [{low:.4f}, {high:.4f}]"
        cells.setdefault(model, {})[metric] = f"{value:.4f}{interval}"
    for model, cell in cells.items():
        table.add_row(model, cell.get("log_loss", ""), cell.get("roc_auc", ""))
    console.print(table)


def show_gate(console: Console, lake: Lake) -> None:
    """What the gate said of the newest model, and why."""
    with lake.read() as con:
        judged = ledger.last(con, None, "verdict")
    if judged:
        console.print(
            f"The gate on version {judged['model_version']}, claim {judged['claim']}: "
            f"[bold]{judged['verdict']}[/]. {judged['reason']}"
        )


def show_way(console: Console, lake: Lake, answered: Answered) -> None:
    """One impression followed from the HTTP answer to its row in the lake."""
    request_id, item = answered.answer["request_id"], answered.answer["items"][0]
    with lake.read() as con:
        row = con.execute(WAY, [request_id, item["post_id"]]).fetchone()
        names = [column[0] for column in con.description or []]
    console.print("\nOne impression's way")
    console.print(f"  HTTP answer       request {request_id}: {item['post_id']} at rank {item['rank']}")
    if row is None:
        console.print("  [red]its row is not in the lake[/]")
        return
    found: dict[str, Any] = dict(zip(names, row, strict=True))
    console.print(f"  serving.requests  by {found['served_by']}, features as of {found['features_as_of']}")
    console.print(f"  serving.candidates rank {found['rank']}, score {found['score']:.4f}")
    console.print(
        f"  raw.impressions   {found['impression_id']} at position {found['position']}, "
        f"known at {found['known_at']}"
    )
    console.print(f"  marts.impression_features  as of {found['as_of']}")
