"""Feeds and money of one version: what its order does, and what that is worth."""

from dataclasses import dataclass

from feed_platform.evaluation.bootstrap import Measure
from feed_platform.evaluation.evaluate import best_baseline
from feed_platform.evaluation.feeds import Feeds, make_feeds
from feed_platform.evaluation.money import Money, value_models
from feed_platform.evaluation.predictions import Material


@dataclass(frozen=True)
class Business:
    """A version's feeds, None where requests show too few posts, and the worth of all models."""

    feeds: Feeds | None
    money: Money

    def numbers(self) -> list[tuple[str, str, Measure]]:
        """Every number as (model, metric, measure); `_gap` is the version's less that model's."""
        money = self.money
        orders = self.feeds.orders.items() if self.feeds else ()
        return [
            *((order, name, measure) for order, made in orders for name, measure in made.measures().items()),
            ("as_shown", "value_per_thousand", money.observed),
            *((kind, "value_per_thousand_top_tenth", measure) for kind, measure in money.tenth.items()),
            *((order, "expected_value_per_thousand", measure) for order, measure in money.expected.items()),
            *((order, "expected_value_per_thousand_gap", measure) for order, measure in money.gaps.items()),
        ]


def value_version(material: Material) -> Business:
    """Compare orders and values of the models of a version's training and the log."""
    rival = best_baseline(material.record, material.version.kind)
    return Business(make_feeds(material), value_models(material, rival))
