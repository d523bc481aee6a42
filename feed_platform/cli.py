"""`feed`, the command line."""

import json
import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from feed_platform.commands.data import data
from feed_platform.commands.models import models
from feed_platform.feed import FeedError
from feed_platform.serving.commands import serve, token
from feed_platform.settings import Settings

app = typer.Typer(
    help="From a raw interaction log to a ranked feed and back. FEED_HOME (default .feed) names the feed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data)
app.add_typer(models)
app.add_typer(serve, name="serve")
app.add_typer(token, name="token")


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
    from feed_platform.status import home_status, service_line

    facts = home_status(Settings())
    if as_json:
        print(json.dumps(facts, default=str, indent=2))
        return
    width = max(map(len, facts))
    for name, value in (facts | {"service": service_line(facts["service"])}).items():
        print(f"{name:{width}} {value}")


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
def demo() -> None:
    """The whole line on a simulated month and on a real log; leaves the service answering."""
    from feed_platform.demo import run_demo

    run_demo(Settings())


if __name__ == "__main__":
    main()
