"""All error analysis of a model version's test rows."""

from dataclasses import dataclass

import numpy as np

from feed_platform.evaluation.errors.bins import Binned, bin_all, spoken_names
from feed_platform.evaluation.errors.categories import Categories, categories
from feed_platform.evaluation.errors.consistency import Consistency, consistency
from feed_platform.evaluation.errors.declared import DeclaredSlice, declared_slices
from feed_platform.evaluation.errors.mistakes import Mistakes, mistakes
from feed_platform.evaluation.errors.rows import Rows
from feed_platform.evaluation.errors.slice_search import Search, search_slices
from feed_platform.evaluation.evaluate import TRUTH_EVENT, known_truth
from feed_platform.evaluation.predictions import Material
from feed_platform.features.catalogue import category_names
from feed_platform.feed import SLICES, Feed, find_feed
from feed_platform.lake import Lake
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.calibration import Vector
from feed_platform.learning.dataset import Part
from feed_platform.settings import Settings

TEXTS = ("topic", "surface")


@dataclass(frozen=True)
class ErrorAnalysis:
    """One objective's errors on n test rows of so many users."""

    event: str
    n: int
    users: int
    lake_version: int
    categories: Categories
    mistakes: Mistakes
    consistency: tuple[Consistency, ...]
    declared: tuple[DeclaredSlice, ...]
    search: Search


def analyse_errors(settings: Settings, material: Material) -> list[ErrorAnalysis]:
    """Where a version errs on its test rows, by objective.

    Raises:
        FeedError: a declared slice can't be evaluated.
    """
    feed, test, bundle = find_feed(settings), material.data.test, material.bundle
    binned = _binned(test, feed)
    truth = _truth(Lake.of(settings), test) if TRUTH_EVENT in bundle.objectives else None
    return [
        _analyse(_rows(material, event, truth), bundle, feed, binned, material.record.lake_version)
        for event in bundle.objectives
    ]


def _analyse(
    rows: Rows, bundle: Bundle, feed: Feed | None, binned: list[Binned], lake_version: int
) -> ErrorAnalysis:
    scorer = next(head.scorer for head in bundle.heads if head.event == rows.event)
    return ErrorAnalysis(
        event=rows.event,
        n=len(rows),
        users=rows.users,
        lake_version=lake_version,
        categories=categories(rows),
        mistakes=mistakes(rows, scorer),
        consistency=consistency(rows),
        declared=declared_slices(rows, feed.promotion.slices if feed else SLICES),
        search=search_slices(rows.label, rows.probability, rows.user, binned),
    )


def _rows(material: Material, event: str, truth: Vector | None) -> Rows:
    test = material.data.test
    return Rows(
        event=event,
        frame=test.frame,
        matrix=test.matrix,
        features=test.features,
        label=test.label(event),
        probability=material.predictions[material.version.kind].shown[event],
        user=material.user,
        truth=truth if event == TRUTH_EVENT else None,
    )


def _truth(lake: Lake, test: Part) -> Vector | None:
    with lake.read() as con:
        found = known_truth(con, test.frame)
    return None if found.has_nulls() else found.to_numpy().astype(np.float64)


def _binned(test: Part, feed: Feed | None) -> list[Binned]:
    codes = category_names(feed) if feed else set()
    return bin_all(test.frame, spoken_names(feed, test.features), codes, TEXTS)
