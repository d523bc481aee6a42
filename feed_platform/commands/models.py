"""Commands on a feed's models: what could be learnt, verdicts, reports, where an answer comes from."""

import json
from functools import partial
from typing import Annotated

import typer

from feed_platform.feed import FeedError, load_feed
from feed_platform.settings import Settings

models = typer.Typer()


@models.command()
def feasibility() -> None:
    """What a training could learn and show: label rates, coverage, least detectable differences."""
    from feed_platform.lake import Lake
    from feed_platform.learning.dataset import load_dataset
    from feed_platform.learning.feasibility import feasibility as figures

    settings = Settings()
    feed = load_feed(settings)
    print("\n".join(figures(load_dataset(Lake.of(settings), feed), feed).lines()))


@models.command()
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
    found = search_home(settings, load_feed(settings), base, limits, launch, partial(typer.echo, err=True))
    print(*found.lines(), advice(settings, found), sep="\n")


@models.command()
def approve(
    version: Annotated[str | None, typer.Argument(help="Of the registry; none: the one that waits.")] = None,
    despite: Annotated[str | None, typer.Option(help="Why, where the version didn't pass.")] = None,
) -> None:
    """Make a model that passed the gate the champion, in service where one runs: docs/promotion.md."""
    from feed_platform.promotion import decisions

    settings = Settings()
    print(decisions.approve(settings, load_feed(settings), version, despite))


@models.command()
def reject(
    version: Annotated[str | None, typer.Argument(help="Of the registry; none: the one that waits.")] = None,
    reason: Annotated[str, typer.Option(help="Kept with the version.")] = "",
) -> None:
    """Turn a model that waits for approval down."""
    from feed_platform.promotion import decisions

    settings = Settings()
    print(decisions.reject(settings, load_feed(settings), version, reason))


@models.command()
def rollback() -> None:
    """Put the previously deployed model back into service."""
    from feed_platform.promotion.decisions import roll_back

    settings = Settings()
    print(roll_back(settings, load_feed(settings)))


@models.command("off-policy")
def off_policy(
    sample: Annotated[bool, typer.Option(help="Of the shipped Open Bandit logs, not of this home.")] = False,
) -> None:
    """What the evaluated models would have earned as the feed's policy, told from the log; and how surely."""
    from feed_platform.evaluation.off_policy.open_bandit_lines import sample_lines
    from feed_platform.evaluation.off_policy.publish import saved_verdicts
    from feed_platform.lake import Lake

    for line in sample_lines() if sample else saved_verdicts(Lake.of(Settings())):
        print(line)


@models.command()
def card(
    version: Annotated[str | None, typer.Argument(help="Of the registry; none: the champion.")] = None,
) -> None:
    """Where a model's card lies: intended use, data, metrics, limits, how to roll back."""
    from feed_platform.evaluation.card import find_card

    print(find_card(Settings(), version))


@models.command()
def compare(
    one: Annotated[str, typer.Argument(help="A version of the registry.")],
    other: Annotated[str, typer.Argument(help="Another one.")],
) -> None:
    """Compare two versions on the same rows, shown after both trainings; prints the page's path."""
    from feed_platform.evaluation.compare_page import compare_versions

    print(compare_versions(Settings(), one, other))


@models.command()
def diagnose(
    version: Annotated[str | None, typer.Argument(help="Of the registry; none: the newest.")] = None,
) -> None:
    """Is more data worth it, and which features carry a model? Fits it some fifteen times: takes its time."""
    from feed_platform.evaluation.errors.diagnosis_publish import publish_diagnosis

    settings, progress = Settings(), partial(typer.echo, err=True)
    for line in publish_diagnosis(settings, load_feed(settings), version, progress).lines():
        print(line)


@models.command()
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
