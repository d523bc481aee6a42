"""`feed serve` and `feed token`: the ranking service of a home, and who may ask it."""

import json
from typing import Annotated

import typer

from feed_platform.settings import Settings

serve = typer.Typer(help="The ranking service of this home.", no_args_is_help=True)
token = typer.Typer(help="Bearer tokens of this home's HTTP API.", no_args_is_help=True)


@serve.command("start")
def serve_start() -> None:
    """Bring the service up with the last deployed model."""
    from feed_platform.serving.service import start

    start(Settings(), progress=typer.echo)


@serve.command("stop")
def serve_stop() -> None:
    """Stop this home's service and nothing else."""
    from feed_platform.serving.cluster import stop

    stop(Settings(), progress=typer.echo)


@serve.command("status")
def serve_status() -> None:
    """What runs, where, and with which versions."""
    from feed_platform.serving.service import status as service_status

    print(json.dumps(service_status(Settings()), default=str, indent=2))


@serve.command("logs")
def serve_logs(lines: Annotated[int, typer.Option("-n", min=1, help="How many of each file.")] = 50) -> None:
    """The end of the logs of Ray's head and of the replicas."""
    from feed_platform.serving.service import log_tails

    for path, tail in log_tails(Settings(), lines):
        print(f"==> {path} <==\n{tail}")


@token.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Whose it is: letters, digits, '.', '-' and '_'.")],
    scope: Annotated[list[str], typer.Option(help="rank, feedback or admin; may be given again.")],
) -> None:
    """Make a token and print its secret, which is kept nowhere. From the first on, tokens are needed."""
    from feed_platform.serving.tokens import create

    print(create(Settings(), name, scope))


@token.command("list")
def token_list() -> None:
    """The tokens' names, scopes and when they were made."""
    from feed_platform.serving.tokens import tokens

    for one in tokens(Settings()):
        print(f"{one.name}  {','.join(one.scopes)}  {one.created_at}")


@token.command("revoke")
def token_revoke(name: Annotated[str, typer.Argument(help="Of feed token list.")]) -> None:
    """Take a token away: replicas refuse it within two seconds."""
    from feed_platform.serving.tokens import revoke

    revoke(Settings(), name)
