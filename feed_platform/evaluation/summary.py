"""The page's first section: what an owner, an engineer and an auditor ask, answered in sentences."""

from dataclasses import dataclass

from feed_platform.evaluation.business import Business
from feed_platform.evaluation.evaluate import AS_SHOWN, EVENT_RATE, Evaluation
from feed_platform.evaluation.money import Money, Swing
from feed_platform.evaluation.off_policy.evaluate import OffPolicy
from feed_platform.evaluation.pages import order_name, thousand, told
from feed_platform.evaluation.proof import proof
from feed_platform.evaluation.verdict import verdict

UNITS = "by the declared weights"


@dataclass(frozen=True)
class Question:
    """What somebody asks, who, and the answers, each a sentence."""

    asked: str
    by: str
    answers: tuple[str, ...]


def questions(
    found: list[Evaluation], business: Business, off_policy: OffPolicy, against: tuple[str, ...]
) -> list[Question]:
    """All questions of the summary; `against` asks and says how the version compares with another."""
    compared = [Question(against[0], "product owner", against[1:])] if against else []
    return [
        Question("Is it better?", "product owner", tuple(said for part in found for said in _better(part))),
        *compared,
        Question("Worth how much?", "product owner", worth(found[0], business.money, off_policy)),
        Question("How sure?", "product owner", tuple(proof(part) for part in found)),
        Question("What next?", "engineer", tuple(sentence for part in found for sentence in _next(part))),
        Question("On what does this rest?", "auditor", _basis(found[0])),
    ]


def _better(found: Evaluation) -> tuple[str, str]:
    return verdict(found).sentence, older_system(found)


def older_system(found: Evaluation) -> str:
    """What the log's own policy earned, and whether the version would order its requests better."""
    log = found.models[AS_SHOWN]
    rate = log.measure(EVENT_RATE)
    said = (
        f"The older system, the log's own policy, earned a {found.event} on {rate.value:.2%} "
        f"({rate.low:.2%} to {rate.high:.2%}) of {rate.n:,} impressions"
    )
    if "ndcg_at_10" not in found.over_log:
        return f"{said}; its order can't be compared: no places, or no requests with both labels."
    gap, ndcg = found.over_log["ndcg_at_10"], log.values["ndcg_at_10"]
    word = {"more": "better than", "less": "worse than"}.get(told(gap), "not told apart from")
    return (
        f"{said}; {found.kind}'s order is {word} its own on {gap.n:,} requests, NDCG@10 {gap.value:+.4f} "
        f"({gap.low:+.4f} to {gap.high:+.4f}) from {ndcg:.4f}."
    )


def worth(found: Evaluation, money: Money, off_policy: OffPolicy) -> tuple[str, ...]:
    """What was observed, what the log can answer for, and what the model expects, in this order."""
    said = [f"Observed: the log's impressions earned {thousand(money.observed)} per thousand {UNITS}."]
    told = [one.verdict.sentence for one in off_policy.answers if one.verdict.word == "available"]
    if told:
        said.append(f"Off-policy: {told[0]}")
    other = found.rival.name if found.rival else ""
    for order in (AS_SHOWN, money.rival, other):
        if order in money.gaps:
            said.append(_expected(found.kind, order, money))
    if not money.expected:
        said.append("Expected: no requests in the test rows, so no order can be compared.")
    if money.swings:
        said.append(sensitivity(found.kind, money))
    return tuple(said)


def sensitivity(kind: str, money: Money) -> str:
    """Whether another weighing would prefer the rival, where, and where nobody can tell."""
    named = {word: [one for one in money.swings if told(one.gap) == word] for word in ("more", "less")}
    if not named["more"] and not named["less"]:
        return f"Whichever weight is changed (0 to 4 times), {kind} and {money.rival} aren't told apart."
    if not named["less"]:
        return f"Weights of 0 to 4 times those declared never make {money.rival} worth more than {kind}."
    where = ", ".join(_swung(one) for one in named["less"])
    return f"{money.rival} would be worth more than {kind} with {where}."


def _expected(kind: str, order: str, money: Money) -> str:
    gap, other = (
        money.gaps[order],
        "the order as shown" if order == AS_SHOWN else f"{order_name(order)}'s order",
    )
    word = {"more": "worth more than", "less": "worth less than"}.get(told(gap), "not told apart from")
    return (
        f"Expected by the model: {kind}'s first choices are {word} those of {other}: "
        f"{thousand(gap, '+')} per thousand."
    )


def _swung(one: Swing) -> str:
    return f"{one.factor:g} times the weight of {one.event}"


def _next(found: Evaluation) -> list[str]:
    said = []
    if "log_loss" in found.headroom:
        share = found.headroom["log_loss"]
        said.append(
            f"{found.event}: {share.value:.0%} ({share.low:.0%} to {share.high:.0%}) of the way in log loss "
            "from popularity to what the truth allows is gone; features and training can win the rest."
        )
    worse = [part for part in found.slices if part.gap.low > 0]
    for part in sorted(worse, key=lambda part: -part.gap.value)[:3]:
        said.append(
            f"{found.event}: on {part.name} ({part.gap.n:,} impressions) {found.baseline} is better, "
            f"log loss {part.gap.value:+.4f} ({part.gap.low:+.4f} to {part.gap.high:+.4f})."
        )
    return said or [f"{found.event}: no slice is shown to be worse than under {found.baseline}."]


def _basis(found: Evaluation) -> tuple[str, ...]:
    rows, _ = found.parts["test"]
    start, end = found.record.split.as_json()["test"]
    return (
        f"Training table of lake version {found.record.lake_version}, read at {found.record.read_at}; code "
        f"{found.bundle.code_version}; bundle {found.version.bundle[:12]}; MLflow run "
        f"{found.version.run_id}.",
        f"Test: {rows:,} impressions of {found.users:,} users, {start[:16]} to {end[:16]} UTC, after all "
        "that training, calibration and thresholds saw, with a gap of one label window.",
        "Intervals are 95 %, from 200 resamplings of users; none is corrected for how many are read.",
        "What the gate said of this version is in promotion-*.html beside this page and in the lake.",
    )
