"""Both policies of the Open Bandit sample, each estimated from the other's log, beside what it really earned.

Saito, Aihara, Matsutani and Narita: Open Bandit Dataset and Pipeline, 2020, arXiv:2008.07146.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.off_policy.answer import Answer, answer
from feed_platform.evaluation.off_policy.diagnostics import calibrate
from feed_platform.evaluation.off_policy.estimators import Logged, Modelled, observed_value
from feed_platform.evaluation.off_policy.own_policies import OwnRate, compared
from feed_platform.evaluation.off_policy.power import rows_for_difference
from feed_platform.evaluation.off_policy.verdict import Subject
from feed_platform.evaluation.off_policy.weights import Matrix, Vector, independent
from feed_platform.interactions.mapping import open_bandit_mapping

CAMPAIGNS = ("all", "men", "women")
RANDOM, THOMPSON = "random", "bts"
NAMES = {RANDOM: "random", THOMPSON: "Bernoulli-Thompson"}
USER = [f"user_feature_{n}" for n in range(4)]
PLACES = 3
DRAWS, SEED, CHUNK = 100_000, 12345, 10_000
FOLDS, PENALTY = 3, 1.0
FULL_RATES = {"all": (0.0035, 0.0050), "men": (0.0051, 0.0067), "women": (0.0048, 0.0064)}


@dataclass(frozen=True)
class Crossed:
    """One campaign and direction: the answer, and what the target really earned in a log of its own."""

    campaign: str
    log: str
    target: str
    answer: Answer
    really: Measure


def crossed() -> Iterator[Crossed]:
    """Every campaign in both directions."""
    for campaign in CAMPAIGNS:
        for log, target in ((RANDOM, THOMPSON), (THOMPSON, RANDOM)):
            yield cross(campaign, log, target)


def cross(campaign: str, log: str, target: str) -> Crossed:
    """The target's value by the other policy's log."""
    logged, own = sample(campaign, log), sample(campaign, target)
    chance = probabilities(campaign, target)
    shown = (logged["item_id"].to_numpy(), logged["position"].to_numpy() - 1)
    propensity = logged["propensity_score"].to_numpy()[:, None]
    weight, above = independent(chance[shown][:, None], propensity)
    seen = Logged(_clicks(logged), weight, above, _cohort(logged), _modelled(logged, chance))
    subject = Subject(f"{NAMES[target]} in campaign {campaign}", "clicks", "impressions")
    calibration = calibrate(propensity, np.full(propensity.shape, float(len(chance))))
    return Crossed(campaign, log, target, answer(subject, seen, calibration), _own_rate(own))


def statement(campaign: str) -> str:
    """How little the sample can prove about which of the campaign's policies is better."""
    own = [OwnRate(NAMES[policy], _own_rate(sample(campaign, policy))) for policy in (RANDOM, THOMPSON)]
    full = FULL_RATES[campaign]
    return (
        f"{compared(campaign, 'clicks', own)} The whole log has {1_000 * full[0]:.1f} and "
        f"{1_000 * full[1]:.1f}: to see that takes {rows_for_difference(*full):,} rows of each."
    )


@lru_cache
def sample(campaign: str, policy: str) -> pl.DataFrame:
    """The shipped rows of a campaign and policy, in order of time."""
    return pl.read_parquet(open_bandit_mapping().parent / f"{policy}_{campaign}.parquet")


def probabilities(campaign: str, policy: str) -> Matrix:
    """A policy's probability of each item at each position, (items, 3).

    The Thompson policy's is how often an item takes the place in 100,000 draws from the published priors,
    which is how the paper's authors compute it; the draws are those of their examples' seed.
    """
    priors = json.loads((open_bandit_mapping().parent / "bts_priors.json").read_text())[campaign]
    alpha, beta = np.array(priors["alpha"]), np.array(priors["beta"])
    if policy == RANDOM:
        return np.full((len(alpha), PLACES), 1 / len(alpha))
    return _thompson(alpha, beta)


def _thompson(alpha: Vector, beta: Vector) -> Matrix:
    random, counts = np.random.RandomState(SEED), np.zeros((len(alpha), PLACES))
    for _ in range(DRAWS // CHUNK):
        drawn = random.beta(alpha, beta, (CHUNK, len(alpha)))
        best = np.argsort(-drawn, axis=1)[:, :PLACES]
        counts += np.column_stack([np.bincount(place, minlength=len(alpha)) for place in best.T])
    return counts / DRAWS


def _clicks(rows: pl.DataFrame) -> Matrix:
    return rows["click"].to_numpy().astype(np.float64)[:, None]


def _cohort(rows: pl.DataFrame) -> NDArray[np.int64]:
    """The number of each row's cohort: there are no users, their four features stand for one."""
    return rows.select(pl.struct(USER).rank("dense")).to_series().to_numpy().astype(np.int64) - 1


def _own_rate(rows: pl.DataFrame) -> Measure:
    clicks = _clicks(rows)
    alike = np.ones_like(clicks)
    return observed_value(Logged(clicks, alike, alike, _cohort(rows)))


def _modelled(rows: pl.DataFrame, chance: Matrix) -> Modelled:
    """Click probabilities by a logistic regression on cohort, item and position, fitted on other folds."""
    item, place = rows["item_id"].to_numpy(), rows["position"].to_numpy() - 1
    users = rows.select(USER).to_dummies().to_numpy().astype(np.float64)
    items, places = np.eye(len(chance)), np.eye(PLACES)
    design, clicks = np.hstack([users, items[item], places[place]]), _clicks(rows)[:, 0]
    fold = np.arange(len(rows)) % FOLDS
    expected = np.empty((len(rows), len(chance)))
    for part in range(FOLDS):
        inside, weights = fold == part, _fit(design[fold != part], clicks[fold != part])
        of_user, of_item, of_place = np.split(weights[1:], [users.shape[1], users.shape[1] + len(items)])
        common = weights[0] + users[inside] @ of_user + of_place[place[inside]]
        expected[inside] = 1 / (1 + np.exp(-(common[:, None] + of_item)))
    shown = expected[np.arange(len(rows)), item][:, None]
    chosen = (expected * chance[:, place].T).sum(axis=1, keepdims=True)
    return Modelled(shown, chosen, chosen)


def _fit(design: Matrix, clicks: Vector) -> Vector:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=PENALTY, solver="newton-cholesky").fit(design, clicks)
    return np.concatenate([model.intercept_, model.coef_[0]])
