"""The gate as an asset: between evaluation and deployment."""

import dagster as dg

from feed_platform.learning.plots import markdown_image
from feed_platform.promotion.decisions import Decision, run_gate
from feed_platform.promotion.page import gaps_figure
from feed_platform.resources import Home

VERDICT = dg.AssetCheckSpec(
    "verdict",
    asset=dg.AssetKey(["training", "promotion"]),
    description="The challenger passed the gate, or there was none to judge.",
)


@dg.asset(
    key=["training", "promotion"],
    group_name="evaluation",
    deps=[["training", "model"], ["evaluation", "report"]],
    check_specs=[VERDICT],
    kinds={"html"},
    description="Challenger against champion on the same test rows: verdict, evidence, and who serves next.",
)
def promotion(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
    """Judge the challenger; any verdict but pass leaves the champion and ends the run well."""
    decision = run_gate(home.settings, home.feed)
    if decision is None:
        return _result(True, "no challenger to judge", {})
    evidence = decision.evidence
    said = f"{evidence.verdict} ({evidence.claim}): {evidence.reason} {decision.consequence}."
    if evidence.verdict != "pass":
        context.log.warning(said)
    return _result(evidence.verdict == "pass", said, _metadata(decision))


def _result(passed: bool, said: str, metadata: dict[str, dg.MetadataValue]) -> dg.MaterializeResult:
    check = dg.AssetCheckResult(
        passed=passed, check_name="verdict", severity=dg.AssetCheckSeverity.WARN, description=said
    )
    return dg.MaterializeResult(metadata=metadata, check_results=[check])


def _metadata(decision: Decision) -> dict[str, dg.MetadataValue]:
    evidence = decision.evidence
    table = [
        dg.TableRecord({"look": one.name, "outcome": one.outcome, "why": one.sentence})
        for one in evidence.findings
    ]
    champion = evidence.champion
    return {
        "verdict": dg.MetadataValue.text(evidence.verdict),
        "claim": dg.MetadataValue.text(evidence.claim),
        "candidate": dg.MetadataValue.text(f"{evidence.candidate.version} ({evidence.candidate.kind})"),
        "champion": dg.MetadataValue.text(f"{champion.version} ({champion.kind})" if champion else "none"),
        "attempt on these test days": dg.MetadataValue.int(evidence.attempt),
        "consequence": dg.MetadataValue.text(decision.consequence),
        "page": dg.MetadataValue.path(str(decision.files.page)),
        "evidence": dg.MetadataValue.path(str(decision.files.json)),
        "looks": dg.MetadataValue.table(table),
        "plot": dg.MetadataValue.md(markdown_image(gaps_figure(evidence.findings), "differences")),
    }
