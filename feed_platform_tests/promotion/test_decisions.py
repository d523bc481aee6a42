"""From training to champion: evidence kept, attempts counted, a person's word, the way back."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import dagster as dg
import pytest

from feed_platform.evaluation.off_policy.answer import unanswered
from feed_platform.evaluation.off_policy.publish import save_answers
from feed_platform.evaluation.off_policy.verdict import Subject
from feed_platform.feed import Feed, FeedError
from feed_platform.lake import Lake
from feed_platform.learning import registry
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.registry import ModelVersion
from feed_platform.learning.tracking import Launch
from feed_platform.learning.training import train
from feed_platform.promotion import decisions, ledger
from feed_platform.promotion.assets import promotion
from feed_platform.promotion.decisions import Decision, run_gate
from feed_platform.promotion.jobs import approve_job
from feed_platform.resources import RESOURCES
from feed_platform.serving import pointer
from feed_platform.serving.pointer import Deployed, Pointer
from feed_platform.settings import Settings
from feed_platform.status import home_status
from feed_platform_tests.learning.homes import NewHome
from feed_platform_tests.promotion.homes import feed_in, fill
from feed_platform_tests.serving.samples import registered

pytestmark = pytest.mark.slow

KEPT = "event, model_version, champion, claim, verdict, attempt"
AUTOMATIC, APPROVAL = feed_in("automatic"), feed_in("approval")


def attempt(home: Settings, feed: Feed, seed: int) -> tuple[ModelVersion, Decision | None]:
    """Train and judge."""
    outcome = train(home, feed, RankerConfig(rounds=40, seed=seed), Launch(f"run-{seed}", "train"))
    silent = unanswered(Subject("xgboost", "clicks", "requests"), "the log is greedy")
    save_answers(Lake.of(home), outcome.candidate, [silent])
    return outcome.candidate, run_gate(home, feed)


def lines(home: Settings) -> list[tuple[Any, ...]]:
    with Lake.of(home).read() as con:
        return con.sql(f"select {KEPT} from {ledger.TABLE} order by decided_at").fetchall()


def waiting(home: Settings) -> list[str]:
    with Lake.of(home).read() as con:
        return ledger.waiting(con)


@pytest.fixture(scope="module")
def judged(new_home: NewHome) -> tuple[Settings, list[tuple[ModelVersion, Decision | None]]]:
    """A home in which a model and the same with another seed were judged."""
    home = new_home()
    fill(home, AUTOMATIC)
    first = attempt(home, AUTOMATIC, 7)
    assert run_gate(home, AUTOMATIC) is None, "the champion is judged against itself"
    return home, [first, attempt(home, AUTOMATIC, 8)]


def test_the_first_model_that_beats_the_constant_is_champion_and_another_seed_is_not(judged: Any) -> None:
    home, ((first, passed), (second, refused)) = judged
    assert passed.evidence.verdict == "pass" and passed.evidence.claim == "first"
    assert refused.evidence.claim == "change" and refused.evidence.verdict != "pass"
    assert registry.champion(home) == first
    assert registry.with_alias(home, "challenger") == second
    facts = home_status(home)
    assert facts["champion"] == f"version {first.version} ({first.kind})"
    assert facts["last verdict"].startswith(f"{refused.evidence.verdict}: version {second.version} against")
    assert lines(home) == [
        ("verdict", first.version, None, "first", "pass", 1),
        ("verdict", second.version, first.version, "change", refused.evidence.verdict, 2),
    ]


def test_the_evidence_is_one_page_and_one_json_and_names_no_user(judged: Any) -> None:
    home, (_, (second, refused)) = judged
    page, content = refused.files.page.read_text(), json.loads(refused.files.json.read_text())
    assert not re.search(r"<script|<link|<img|\bsrc=|@import|url\((?!#)", page)
    assert refused.evidence.verdict in page and "Attempt 2 on these test days" in page
    assert "the log is greedy" in page
    assert content["verdict"] == refused.evidence.verdict and content["attempt"] == 2
    looks = {one["name"] for one in content["findings"]}
    assert looks >= {"claim", "beats the constant", "slice new users", "latency", "data", "single features"}
    assert not re.search(r"\bu\d+\b", refused.files.json.read_text())
    client = registry.client(home)
    logged = {one.path for one in client.list_artifacts(second.run_id, "promotion")}
    assert logged == {f"promotion/{path.name}" for path in (refused.files.page, refused.files.json)}
    tags = client.get_model_version(registry.MODEL, second.version).tags
    assert (tags["promotion_claim"], tags["promotion_attempt"]) == ("change", "2")


def test_what_did_not_pass_is_approved_only_with_a_reason_and_what_was_rolled_back_stays_out(
    judged: Any,
) -> None:
    home, ((first, _), (second, _)) = judged
    pointer.write(home, Pointer(Deployed(first.bundle, first.version)))
    with pytest.raises(FeedError, match=f"version {second.version} was judged"):
        decisions.approve(home, AUTOMATIC, second.version)
    decisions.approve(home, AUTOMATIC, second.version, despite="a person wants it")
    assert registry.champion(home) == second
    deployed = pointer.read(home)
    assert deployed and deployed.current.version == second.version
    decisions.roll_back(home, AUTOMATIC)
    deployed = pointer.read(home)
    assert deployed and deployed.current.version == first.version
    assert registry.champion(home) == first
    assert lines(home)[-2:] == [
        ("approved", second.version, first.version, None, None, None),
        ("rolled back", second.version, first.version, None, None, None),
    ]
    with pytest.raises(FeedError, match="was rolled back"):
        decisions.approve(home, AUTOMATIC, second.version)


def test_in_mode_approval_what_passes_waits_for_a_person(home: Settings) -> None:
    fill(home, APPROVAL)
    candidate, decision = attempt(home, APPROVAL, 7)
    assert decision and decision.evidence.verdict == "pass"
    assert registry.champion(home) is None and waiting(home) == [candidate.version]
    decisions.reject(home, APPROVAL, reason="too soon")
    assert waiting(home) == [] and registry.with_alias(home, "challenger") is None
    _, again = attempt(home, APPROVAL, 7)
    assert again and "was rejected" in again.consequence
    with pytest.raises(FeedError, match="was rejected"):
        decisions.approve(home, APPROVAL, candidate.version)
    config = {"ops": {"approve": {"config": {"version": candidate.version, "despite": "it is time"}}}}
    assert approve_job.execute_in_process(run_config=config).success
    assert registry.champion(home) == candidate


def test_where_nothing_is_shown_popularity_stands_in_and_the_run_ends_well_with_a_warning(
    home: Settings,
) -> None:
    fill(home, AUTOMATIC, rows=1_000, rate=-4.0)
    train(home, AUTOMATIC, RankerConfig(rounds=40), Launch("run", "train"))
    result = dg.materialize([promotion], resources=RESOURCES)
    (checked,) = result.get_asset_check_evaluations()
    assert result.success and not checked.passed
    assert checked.severity == dg.AssetCheckSeverity.WARN
    assert "popularity" in str(checked.description) and "stands in" in str(checked.description)
    champion = registry.champion(home)
    assert champion and champion.kind == "popularity"
    assert lines(home)[-1][:2] == ("stand-in", champion.version)


def test_killed_between_any_two_writes_alias_and_pointer_agree_again(home: Settings) -> None:
    for seed in (1, 2, 3):
        registered(home, seed)
    module = [sys.executable, "-m", "feed_platform_tests.promotion.killed"]
    environment = {**os.environ, "FEED_HOME": str(home.root)}
    done = subprocess.run(module, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {one["move"] for one in found} == {"rollback", "promote"} and len(found) >= 6
    assert any(one["killed"]["champion"] != one["killed"]["pointer"] for one in found)
    for one in found:
        assert one["settled"]["champion"] == one["settled"]["pointer"], one
