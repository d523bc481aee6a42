"""`feed`: a thin command for people; every command calls plain functions of the packages."""

import json
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from feed_platform.feed import FeedError, SimulatorSource, load_feed
from feed_platform.options import mirroring
from feed_platform.serving.commands import serve, token
from feed_platform.settings import Settings

app = typer.Typer(
    help="From a raw interaction log to a ranked feed and back. FEED_HOME (default .feed) names the feed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(serve, name="serve")
app.add_typer(token, name="token")
lake = typer.Typer(help="The lake of this home.", no_args_is_help=True)
app.add_typer(lake, name="lake")


def main() -> None:
    """Run `feed`; what a user can mend is one line on stderr and exit code 2."""
    try:
        app()
    except FeedError as error:
        sys.stderr.write(f"feed: {error}\n")
        sys.exit(2)
    except ValidationError as error:
        problem = error.errors()[0]
        name = (
            "FEED_" + "_".join(str(part) for part in problem["loc"]).upper() if problem["loc"] else "settings"
        )
        sys.stderr.write(f"feed: {name}: {problem['msg']}\n")
        sys.exit(2)


@app.command("import")
def import_(
    mapping: Annotated[
        Path | None, typer.Argument(help="Mapping file (YAML) that describes the log: docs/import.md.")
    ] = None,
    mode: Annotated[
        Literal["history", "live"] | None,
        typer.Option(
            help="history: events count from their own time; live: from now. Default: the mapping's."
        ),
    ] = None,
    as_history: Annotated[
        bool,
        typer.Option(
            "--as-history", help="Accept history below the seal; run the job build_features after it."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say what an import would do and what is missing; write nothing.")
    ] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of mapping files.")] = False,
) -> None:
    """Import a log of your own through a mapping file. The same input twice changes nothing."""
    from feed_platform.interactions.mapping_file import mapping_schema

    if schema:
        print(mapping_schema(), end="")
    elif mapping is None:
        raise FeedError("name a mapping file: feed import MAPPING (docs/import.md says what it holds)")
    elif check:
        _check_mapping(mapping, mode)
    else:
        _import_mapping(mapping, mode, as_history)


def _import_mapping(mapping: Path, mode: Literal["history", "live"] | None, as_history: bool) -> None:
    from feed_platform.home import prepare_home
    from feed_platform.interactions.mapping import import_mapping
    from feed_platform.progress import reading

    settings = Settings()
    prepare_home(settings)
    with reading() as progress:
        counts = import_mapping(
            settings, mapping, mode=mode, as_history=as_history, progress=progress, note=_to_stderr
        )
    print(counts)


def _check_mapping(mapping: Path, mode: Literal["history", "live"] | None) -> None:
    from feed_platform.interactions.mapping_check import check_mapping
    from feed_platform.progress import reading

    with reading() as progress:
        found = check_mapping(Settings(), mapping, mode=mode, progress=progress)
    print(found)


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@app.command()
def export(
    table: Annotated[str, typer.Argument(help="A table of the lake, for example raw.impressions.")],
    form: Annotated[Literal["csv", "parquet"], typer.Option("--format", help="Of the file.")] = "csv",
    where: Annotated[str | None, typer.Option(help="SQL condition of the rows.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default: standard output (csv).")
    ] = None,
) -> None:
    """Write a table of the lake to a file."""
    from feed_platform.lake import Lake
    from feed_platform.lake.export import export_table

    rows = export_table(Lake.of(Settings()), table, form, out, where)
    _to_stderr(f"{rows:,} rows")


@app.command()
def validate() -> None:
    """Check the raw tables and print the issues found, quarantined rows included."""
    from feed_platform.interactions.validation import validate as find_issues

    issues = find_issues(Settings())
    for issue in issues:
        print(issue)
    print(f"{len(issues)} issue(s)")


@app.command()
def features() -> None:
    """What features there are: definition, window, when null, and their coverage in the training table."""
    from feed_platform.features.listing import as_table, listing
    from feed_platform.lake import Lake

    settings = Settings()
    print(as_table(listing(load_feed(settings), Lake.of(settings))))


@app.command()
def feasibility() -> None:
    """What a training could learn and show: label rates, coverage, least detectable differences."""
    from feed_platform.lake import Lake
    from feed_platform.learning.dataset import load_dataset
    from feed_platform.learning.feasibility import feasibility as figures

    settings = Settings()
    feed = load_feed(settings)
    print("\n".join(figures(load_dataset(Lake.of(settings), feed), feed).lines()))


@app.command()
def search(
    trials: Annotated[int, typer.Option(min=1, help="Most settings that are tried, today's first.")] = 50,
    minutes: Annotated[float, typer.Option(help="No trial begins later; the first always does.")] = 15.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the search and of the models.")] = 7,
) -> None:
    """Search for better settings of the ranker, on train and validation alone: docs/search.md."""
    from uuid import uuid4

    from feed_platform.learning.ranker import RankerConfig
    from feed_platform.learning.search import Limits
    from feed_platform.learning.searching import advice, search_home
    from feed_platform.learning.tracking import Launch

    settings, launch = Settings(), Launch(uuid4().hex, "search")
    base, limits = RankerConfig(seed=seed), Limits(trials=trials, minutes=minutes)
    found = search_home(settings, load_feed(settings), base, limits, launch, _to_stderr)
    print(*found.lines(), advice(settings, found), sep="\n")


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="A query; without one, an interactive shell.")] = None,
    form: Annotated[
        Literal["table", "csv", "json"] | None,
        typer.Option("--format", help="Default: table on a terminal, csv when piped."),
    ] = None,
) -> None:
    """Query the lake, read-only; never blocks the line, never truncates."""
    from feed_platform.lake import Lake
    from feed_platform.lake.query import write_query

    settings = Settings()
    if query is not None:
        write_query(Lake.of(settings), query, form or ("table" if sys.stdout.isatty() else "csv"))
        return
    load_feed(settings)
    shell = shutil.which(
        "duckdb", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    )
    if shell is None:
        raise FeedError("duckdb is not on the PATH: pip install duckdb-cli==1.5.5")
    os.execv(shell, [shell, "-init", str(settings.root / "explore.sql")])


@app.command()
def env() -> None:
    """Print what a shell needs to use dagster, dbt and mlflow on this home: eval "$(feed env)"."""
    from shlex import quote

    from feed_platform.features.invocation import dbt_environment
    from feed_platform.home import shell_environment

    settings = Settings()
    for name, value in {**shell_environment(settings), **dbt_environment(settings)}.items():
        print(f"export {name}={quote(value)}")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """What this home holds: rows, seal, what was erased, models and the last verdict, service."""
    from feed_platform.status import home_status

    facts = home_status(Settings())
    if as_json:
        print(json.dumps(facts, default=str, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:{width}} {value}")


@app.command()
def lineage(
    request_id: Annotated[str | None, typer.Argument(help="Of an answer that /v1/rank gave.")] = None,
    model: Annotated[str | None, typer.Option(help="A registered version, in place of an answer.")] = None,
) -> None:
    """From an answer, or a model, back to training rows, features' hour, raw days and source files (YAML)."""
    import yaml

    from feed_platform.lineage import lineage as trace
    from feed_platform.lineage import model_lineage

    if (request_id is None) == (model is None):
        raise FeedError("name an answer or a model: feed lineage REQUEST_ID, or feed lineage --model VERSION")
    found = model_lineage(Settings(), model) if model else trace(Settings(), str(request_id))
    plain = json.loads(json.dumps(found, default=str))
    print(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), end="")


@lake.command("maintain")
def lake_maintain(
    keep_days: Annotated[int, typer.Option(min=0, help="How long old versions and imported logs stay.")] = 30,
) -> None:
    """Compact the lake, expire old versions, remove what nothing names. Readers go on."""
    from feed_platform.upkeep import keep_up

    for line in keep_up(Settings(), timedelta(days=keep_days)).lines():
        print(line)


@app.command("erase-user")
def erase_user(
    user_ids: Annotated[
        list[str] | None, typer.Argument(help="Who; nobody: end an erasure that broke off.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file with more ids, one a line.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go; change nothing.")] = False,
) -> None:
    """Erase people from the lake, its old versions, logs, snapshots and every other file: docs/erasure.md."""
    from feed_platform.erasure import erase, plan
    from feed_platform.erasure.people import listed

    people = listed(user_ids or [], file)
    if dry_run:
        print("\n".join(plan(Settings(), people).lines()))
        return
    report = erase(Settings(), people, progress=typer.echo)
    print("\n".join(report.lines()))
    if report.left:
        sys.exit(1)


@app.command()
def approve(
    version: Annotated[str | None, typer.Argument(help="Of the registry; none: the one that waits.")] = None,
    despite: Annotated[str | None, typer.Option(help="Why, where the version didn't pass.")] = None,
) -> None:
    """Make a model that passed the gate the champion, in service where one runs: docs/promotion.md."""
    from feed_platform.promotion import decisions

    settings = Settings()
    print(decisions.approve(settings, load_feed(settings), version, despite))


@app.command()
def reject(
    version: Annotated[str | None, typer.Argument(help="Of the registry; none: the one that waits.")] = None,
    reason: Annotated[str, typer.Option(help="Kept with the version.")] = "",
) -> None:
    """Turn a model that waits for approval down."""
    from feed_platform.promotion import decisions

    settings = Settings()
    print(decisions.reject(settings, load_feed(settings), version, reason))


@app.command()
def rollback() -> None:
    """Put the previously deployed model back into service."""
    from feed_platform.promotion.decisions import roll_back

    settings = Settings()
    print(roll_back(settings, load_feed(settings)))


@app.command("off-policy")
def off_policy(
    sample: Annotated[bool, typer.Option(help="Of the shipped Open Bandit logs, not of this home.")] = False,
) -> None:
    """What the evaluated models would have earned as the feed's policy, told from the log; and how surely."""
    from feed_platform.evaluation.off_policy.open_bandit_lines import sample_lines
    from feed_platform.evaluation.off_policy.publish import saved_verdicts
    from feed_platform.lake import Lake

    for line in sample_lines() if sample else saved_verdicts(Lake.of(Settings())):
        print(line)


@app.command()
def card(
    version: Annotated[str | None, typer.Argument(help="Of the registry; none: the champion.")] = None,
) -> None:
    """Where a model's card lies: intended use, data, metrics, limits, how to roll back."""
    from feed_platform.evaluation.card import find_card

    print(find_card(Settings(), version))


@app.command()
def compare(
    one: Annotated[str, typer.Argument(help="A version of the registry.")],
    other: Annotated[str, typer.Argument(help="Another one.")],
) -> None:
    """Compare two versions on the same rows, shown after both trainings; prints the page's path."""
    from feed_platform.evaluation.compare_page import compare_versions

    print(compare_versions(Settings(), one, other))


@app.command()
def diagnose(
    version: Annotated[str | None, typer.Argument(help="Of the registry; none: the newest.")] = None,
) -> None:
    """Is more data worth it, and which features carry a model? Fits it some fifteen times: takes its time."""
    from feed_platform.evaluation.errors.diagnosis_publish import publish_diagnosis

    settings = Settings()
    for line in publish_diagnosis(settings, load_feed(settings), version, _to_stderr).lines():
        print(line)


@app.command()
def ui(port: Annotated[int, typer.Option(help="Port of the Dagster webserver.")] = 3000) -> None:
    """Dagster's webserver and daemon on loopback, until Ctrl-C or `feed stop`."""
    from feed_platform.ui import run_ui

    run_ui(Settings(), port)


@app.command()
def stop() -> None:
    """End everything that this home started: the service and the Dagster UI."""
    from feed_platform.serving.cluster import stop as stop_service
    from feed_platform.ui import stop_ui

    settings = Settings()
    stop_ui(settings)
    stop_service(settings, progress=typer.echo)


@app.command()
@mirroring(SimulatorSource, without=("kind",))
def simulate(
    source: SimulatorSource,
    out: Annotated[Path, typer.Option(help="New folder for Parquet files and their mapping.yaml.")],
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="First day; default: all has arrived by yesterday."),
    ] = None,
) -> None:
    """Write a simulated log whose truth is known; docs/simulator.md says what each option does."""
    from rich.console import Console

    from feed_platform.interactions.simulator import days_on_the_way
    from feed_platform.interactions.simulator.export import write_log

    way = timedelta(days=source.days + days_on_the_way(source))
    first = start.date() if start else datetime.now(UTC).date() - way
    with Console(stderr=True).status("simulating") as shown:
        rows = write_log(
            out,
            source,
            first,
            progress=lambda day, rows: shown.update(f"{day}: {rows:,} impressions"),
        )
    print(f"{rows:,} impressions: feed import {out / 'mapping.yaml'}")


@app.command()
def demo() -> None:
    """The whole line on a simulated month and on a real log; leaves the service answering."""
    from feed_platform.demo import run_demo

    run_demo(Settings())


if __name__ == "__main__":
    main()
