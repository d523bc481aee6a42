"""The demo, stage by stage."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from feed_platform.demo.dagster_run import run_job
from feed_platform.demo.open_bandit import show_verdict
from feed_platform.demo.preflight import check_machine
from feed_platform.demo.story import show_gate, show_models, show_ranking, show_way
from feed_platform.demo.traffic import recent_posts, send_traffic, some_users
from feed_platform.feed import SimulatorSource, feed_path
from feed_platform.home import port_base, prepare_home
from feed_platform.lake import Lake
from feed_platform.serving.service import check_ports, connect
from feed_platform.settings import Settings

USERS, CANDIDATES = 200, 60
NO_DEPLOYMENT = {"ops": {"serving__deployment": {"config": {"deploy": False}}}}


def run_demo(settings: Settings) -> None:
    """Run the whole line on two feeds in two homes; leaves the simulated feed's service answering.

    Raises:
        FeedError: disk, memory, ports or a stage; the message says which and what to do.
    """
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    console.print(f"[bold]Feed platform demo[/] in {settings.root}: {check_machine(settings.root)}")
    check_ports(settings)
    with _stage(console, "1/5  a simulated month: raw rows, features, models, report, service, drift"):
        _prepare_simulated(settings)
        run_job(settings, "whole_line", {})
    with _stage(console, f"2/5  {USERS} people open their feed: rank requests, then feedback"):
        lake = Lake.of(settings)
        before = _raw_rows(lake)
        with connect(settings) as client:
            answers = send_traffic(client, some_users(lake, USERS), recent_posts(lake, CANDIDATES))
    with _stage(console, "3/5  refresh: the service's logs come back as raw rows and features"):
        run_job(settings, "refresh", {})
    impressions, engagements = (after - then for after, then in zip(_raw_rows(lake), before, strict=True))
    console.print(f"     {impressions} new impressions and {engagements} new engagements in the lake")
    real = settings.model_copy(update={"home": settings.root.with_name(settings.root.name + "-open-bandit")})
    with _stage(console, "4/5  a real log: Open Bandit, 60,000 impressions of a fashion shop"):
        _import_open_bandit(real)
        run_job(real, "whole_line", NO_DEPLOYMENT)
    console.print("5/5  results")
    show_ranking(console, lake, answers[0])
    console.print("\nThe simulated feed's models. Bayes is the limit: the true click probabilities.")
    show_models(console, lake, answers[0].answer["model_version"])
    show_gate(console, lake)
    show_way(console, lake, answers[0])
    show_verdict(console, Lake.of(real))
    show_gate(console, Lake.of(real))
    _where_next(console, settings)
    console.print(f"\nDone in {time.monotonic() - began:.0f} s. [bold]make stop[/] ends the service.")


def _prepare_simulated(settings: Settings) -> None:
    from feed_platform.interactions.sources import init_simulated_feed

    prepare_home(settings)
    if not feed_path(settings).exists():
        init_simulated_feed(settings, SimulatorSource())


def _import_open_bandit(settings: Settings) -> None:
    from feed_platform.interactions.mapping import import_mapping, open_bandit_mapping

    prepare_home(settings)
    import_mapping(settings, open_bandit_mapping())


def _raw_rows(lake: Lake) -> tuple[int, int]:
    with lake.read() as con:
        row = con.execute(
            "select (select count(*) from raw.impressions), (select count(*) from raw.engagements)"
        ).fetchone()
    assert row is not None
    return row[0], row[1]


@contextmanager
def _stage(console: Console, title: str) -> Iterator[None]:
    console.print(f"[bold]{title}[/]")
    began = time.monotonic()
    yield
    console.print(f"     [green]{time.monotonic() - began:.0f} s[/]")


def _where_next(console: Console, settings: Settings) -> None:
    console.print("\n[bold]Where to look next[/]")
    newest = max(settings.reports.glob("model-*.html"), key=lambda path: path.stat().st_mtime, default=None)
    for what, where in (
        ("API docs", f"http://127.0.0.1:{port_base(settings)}/docs"),
        ("model report", newest),
        ("Dagster UI", "make ui, then http://127.0.0.1:3000"),
        ("SQL", '.venv/bin/feed sql "from marts.impressions_scored limit 5"'),
    ):
        console.print(f"  {what:<13} {where}", soft_wrap=True)
