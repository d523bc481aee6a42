"""The looks that the gate takes at a candidate: each gives findings, none decides alone."""

from collections.abc import Iterator

import numpy as np

from feed_platform.evaluation.metrics import (
    BINS,
    Curve,
    calibration_bins,
    calibration_error,
    roc_auc,
)
from feed_platform.evaluation.predictions import matrix_of
from feed_platform.evaluation.slices import declared
from feed_platform.features.differences import Differences
from feed_platform.feed import Promotion, SliceFloor
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Labels, Part
from feed_platform.promotion.contest import Contest, Side
from feed_platform.promotion.finding import Finding, Outcome
from feed_platform.promotion.gaps import Gap, gaps

FEW_POSITIVES = 100
FEW_USERS = 30
SHOWN_ERRORS = 3.0  # standard errors by which a model must beat the constant
NO_BETTER_ERRORS = 1.645
SAMPLED_ROWS = 50_000
CLAIM, ABOVE_CONSTANT = "claim", "beats the constant"


def comparisons(contest: Contest, rules: Promotion) -> list[Finding]:
    """The claim, the constant, every declared slice: paired on the same rows, on the same draws of users."""
    mine, rate = contest.losses(contest.candidate), contest.losses(contest.constant)
    everything = np.ones(len(mine), dtype=bool)
    values = {ABOVE_CONSTANT: (mine - rate, everything)}
    masks = declared(contest.test.frame, rules.slices)
    if contest.champion:
        theirs = contest.losses(contest.champion)
        values[CLAIM] = (mine - _bar(theirs, rate, contest, rules), everything)
        values |= {one.name: (mine - (1 + one.floor) * theirs, masks[one.name]) for one in rules.slices}
    found = gaps(values, contest.user)
    findings = [_above_constant(found[ABOVE_CONSTANT])]
    if contest.champion:
        findings.insert(0, _claim(found[CLAIM], contest, rules))
        findings += [_slice(one, found[one.name]) for one in rules.slices]
    return findings


def calibration(contest: Contest, rules: Promotion) -> Iterator[Finding]:
    """The calibration error of each objective, less what chance gives, against the declared share."""
    for event in contest.events:
        label = contest.test.label(event)
        error, chance = expected_error(label, contest.candidate.probabilities[event])
        allowed = rules.calibration * float(label.mean())
        before = _error_before(contest.champion, event, label)
        is_off = error - 2 * chance > allowed and (before is None or error > before)
        yield Finding(
            f"calibration of {event}",
            "fail" if is_off else "pass",
            f"The calibration error for {event} is {error:.4f}; by chance it would be {chance:.4f}, "
            f"and {allowed:.4f} is allowed.",
            numbers={"error": error, "by chance": chance, "allowed": allowed}
            | ({"champion": before} if before is not None else {}),
        )


def expected_error(label: Labels, probability: Vector) -> tuple[float, float]:
    """Calibration error in ten equal bins, and about what it would be were the probabilities true.

    A bin's excess of n true probabilities p has variance sum(p (1 - p)); its mean distance from 0 is
    sqrt(2 / pi) of its deviation.
    """
    bin_of = calibration_bins(probability)
    excess: Vector = np.bincount(bin_of, probability - label, BINS).astype(np.float64)
    variance = np.bincount(bin_of, probability * (1 - probability), BINS)
    chance = float(np.sqrt(2 / np.pi * variance).sum()) / len(label)
    return calibration_error(excess, len(label)), chance


def leakage(found: Differences) -> Finding:
    """Stored features against the raw rows known before: a difference is a leak, or a broken build."""
    if not found.vectors:
        return Finding("leakage", "not available", "No stored features to compare with the raw rows.")
    which = f": {', '.join(found.by_feature)}" if found.found else ""
    return Finding(
        "leakage",
        "fail" if found.found else "pass",
        f"{found.found} of {found.values} stored feature values differ from what the raw rows known before "
        f"their hour give{which}.",
        numbers={"differences": found.found, "compared": found.values},
    )


def single_features(contest: Contest, rules: Promotion) -> Finding:
    """The feature that ranks best by itself: one that ranks too well knows what came after."""
    rows = np.unique(np.linspace(0, len(contest.test) - 1, min(SAMPLED_ROWS, len(contest.test))).astype(int))
    label = contest.test.label(contest.events[0])[rows]
    columns = matrix_of(contest.test.frame, contest.candidate.bundle.features)[rows]
    names = contest.candidate.bundle.features
    aucs = {name: alone(label, columns[:, place]) for place, name in enumerate(names)}
    known = {name: auc for name, auc in aucs.items() if np.isfinite(auc)}
    if not known:
        return Finding("single features", "not available", "One class alone: no feature can be judged.")
    best = max(known, key=lambda name: known[name])
    suspects = [name for name, auc in known.items() if auc > rules.feature_auc]
    said = f"{best} by itself has ROC-AUC {known[best]:.3f}; above {rules.feature_auc} one is suspected "
    return Finding(
        "single features",
        "fail" if suspects else "pass",
        f"{said}of knowing what came after the impression{_named(suspects)}.",
        numbers={name: known[name] for name in (suspects or [best])},
    )


def alone(label: Labels, column: Vector) -> float:
    """ROC-AUC of one feature in whichever direction ranks better; a missing value ranks lowest.

    Example:
        >>> alone(np.array([1, 1, 0, 0]), np.array([np.nan, 0.1, 0.5, 0.6]))
        1.0
    """
    filled = np.where(np.isnan(column), -np.inf, column.astype(np.float64))
    places = np.unique(filled, return_inverse=True)[1].astype(np.float64)
    auc = roc_auc(*Curve.of(label, places).counts())
    return max(auc, 1 - auc)


def data(contest: Contest) -> Finding:
    """Whether the rows are fit to judge by: enough of them, each once, no feature gone silent."""
    test, train = contest.test, contest.data.train
    repeated = len(test) - test.frame["impression_id"].n_unique()
    silent = _silent(train, test, contest.candidate.bundle.features)
    few = contest.positives < FEW_POSITIVES or contest.users < FEW_USERS
    outcome: Outcome = "fail" if repeated or silent else "inconclusive" if few else "pass"
    sentence = f"{len(test):,} test impressions of {contest.users:,} users, {contest.positives:,} positives"
    needed = f"; {FEW_POSITIVES} positives of {FEW_USERS} users are needed" if few else ""
    twice = f"; {repeated} impressions stand there twice" if repeated else ""
    gone = f"; without a value in the test, with values in training{_named(silent)}" if silent else ""
    numbers: dict[str, float] = {"users": contest.users, "positives": contest.positives}
    return Finding("data", outcome, f"{sentence}{needed}{twice}{gone}.", numbers=numbers)


def _bar(theirs: Vector, rate: Vector, contest: Contest, rules: Promotion) -> Vector:
    """The losses to stay below: the champion's, drawn to the constant's or pushed away from it."""
    share = rules.margin if contest.claim == "refresh" else -rules.improvement
    return (1 - share) * theirs + share * rate


def _claim(gap: Gap, contest: Contest, rules: Promotion) -> Finding:
    outcome: Outcome = "pass" if gap.is_below else "fail" if gap.is_above else "inconclusive"
    is_refresh = contest.claim == "refresh"
    share = rules.margin if is_refresh else rules.improvement
    wanted = (
        f"{'not worse' if is_refresh else 'better'} than the champion by more than {share:.1%} of its gain"
    )
    shown = {"pass": "is shown to be", "fail": "is shown not to be", "inconclusive": "is not shown to be"}
    bounds = f"{gap.value:+.5f}, one-sided 95 % bounds {gap.low:+.5f} and {gap.high:+.5f}"
    return Finding(
        CLAIM,
        outcome,
        f"The candidate {shown[outcome]} {wanted} (log loss less that bar {bounds}; below 0 is better).",
        gap,
    )


def _above_constant(gap: Gap) -> Finding:
    errors = gap.in_errors
    outcome: Outcome = "inconclusive"
    if errors < -SHOWN_ERRORS:
        outcome = "pass"
    elif errors > -NO_BETTER_ERRORS:
        outcome = "fail"
    word = {"pass": "better", "fail": "no better", "inconclusive": "not surely better"}[outcome]
    return Finding(
        ABOVE_CONSTANT,
        outcome,
        f"The candidate is {word} than the constant rate: log loss {gap.value:+.5f}, {abs(errors):.1f} "
        f"standard errors {'below' if errors < 0 else 'above'} it ({SHOWN_ERRORS:.0f} below are asked for; "
        "labels without meaning give none).",
        gap,
    )


def _slice(one: SliceFloor, gap: Gap) -> Finding:
    name = f"slice {one.name}"
    if not gap.n or not np.isfinite(gap.low):
        return Finding(name, "not available", f"No test impression is in the slice {one.name}.", gap)
    outcome: Outcome = "fail" if gap.is_above else "inconclusive" if gap.value > 0 else "pass"
    word = {"fail": "worse", "inconclusive": "probably worse", "pass": "not worse"}[outcome]
    return Finding(
        name,
        outcome,
        f"On the slice {one.name} ({gap.n:,} impressions) the candidate is {word} than the champion by more "
        f"than the floor, {one.floor:.1%} of its log loss there ({gap.value:+.5f} beyond it, one-sided 95 % "
        f"bounds {gap.low:+.5f} and {gap.high:+.5f}).",
        gap,
    )


def _error_before(champion: Side | None, event: str, label: Labels) -> float | None:
    known = champion.probabilities.get(event) if champion else None
    return expected_error(label, known)[0] if known is not None else None


def _silent(train: Part, test: Part, features: tuple[str, ...]) -> list[str]:
    before, after = train.present(features), test.present(features)
    return [name for name in features if len(test) and before[name] and not after[name]]


def _named(names: list[str]) -> str:
    return f": {', '.join(names)}" if names else ""
