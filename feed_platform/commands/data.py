"""Commands on a feed's data: logs, lake, features."""

import os
import shutil
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from feed_platform.feed import FeedError, SimulatorSource, load_feed
from feed_platform.options import mirroring
from feed_platform.settings import Settings

data = typer.Typer()
lake = typer.Typer(help="The lake of this home.", no_args_is_help=True)
data.add_typer(lake, name="lake")


@data.command("import")
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
            settings,
            mapping,
            mode=mode,
            as_history=as_history,
            progress=progress,
            note=partial(typer.echo, err=True),
        )
    print(counts)


def _check_mapping(mapping: Path, mode: Literal["history", "live"] | None) -> None:
    from feed_platform.interactions.mapping_check import check_mapping
    from feed_platform.progress import reading

    with reading() as progress:
        found = check_mapping(Settings(), mapping, mode=mode, progress=progress)
    print(found)


@data.command()
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


@data.command()
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
    typer.echo(f"{rows:,} rows", err=True)


@data.command()
def validate() -> None:
    """Check the raw tables and print the issues found, quarantined rows included."""
    from feed_platform.interactions.validation import validate as find_issues

    issues = find_issues(Settings())
    for issue in issues:
        print(issue)
    print(f"{len(issues)} issue(s)")


@data.command()
def features() -> None:
    """What features there are: definition, window, when null, and their coverage in the training table."""
    from feed_platform.features.listing import as_table, listing
    from feed_platform.lake import Lake

    settings = Settings()
    print(as_table(listing(load_feed(settings), Lake.of(settings))))


@data.command()
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


@lake.command("maintain")
def lake_maintain(
    keep_days: Annotated[int, typer.Option(min=0, help="How long old versions and imported logs stay.")] = 30,
) -> None:
    """Compact the lake, expire old versions, remove what nothing names. Readers go on."""
    from feed_platform.upkeep import keep_up

    for line in keep_up(Settings(), timedelta(days=keep_days)).lines():
        print(line)


@data.command("erase-user")
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
