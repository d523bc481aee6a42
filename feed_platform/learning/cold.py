"""Training rows again as cold starts: with what serving gives where it doesn't know their post or user.

The values are those of row 0 of the online tables at the row's hour: no counts, prior rates, nothing else.
A rate of an entity without impressions is the prior itself, so the rows carry it for one another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.features.catalogue import GROUPS, catalogue
from feed_platform.features.on_demand import LOCAL_HOUR, matches
from feed_platform.features.project import IMPRESSIONS, definitions, measures, rates, recency
from feed_platform.feed import Feed
from feed_platform.learning.dataset import Labels, Part, Rows
from feed_platform.learning.ranker import RankerConfig
from feed_platform.learning.scorers import Matrix
from feed_platform.learning.spool import as_matrix

Owner = Literal["post", "user"]
Unknown = tuple[Owner, ...]
Vector = NDArray[np.float32]

OWNERS: tuple[Owner, ...] = ("post", "user")
SHARED = {"user_topic", "user_author", "user and post"}
DESCRIBED = {"post": {"post", "author", "topic", *SHARED}, "user": {"user", *SHARED}}
MOMENT = {"post": "post_age_hours", "user": LOCAL_HOUR}
UTC_HOUR = "hour_of_day"
WHO: tuple[Unknown, ...] = (("post",), ("post",), ("user",), ("post", "user"))
"""Who is unknown in a repeated row, each as often as the others."""


def with_cold(part: Part, feed: Feed, config: RankerConfig) -> Rows:
    """The part as the ranker learns it: a share of its rows comes twice, the second time as a cold start."""
    return Cold(part, feed, config.cold_share, config.seed) if config.cold_share else part


@dataclass(frozen=True)
class Cold:
    """A part's rows in order; rows of a random share are followed by themselves as cold starts.

    Which ones depends on their ids, the share and the seed alone. Nothing is repeated where the rows don't
    show the prior of a rate that is among the features.
    """

    part: Part
    feed: Feed
    share: float
    seed: int
    who: tuple[Unknown, ...] = WHO

    @property
    def features(self) -> tuple[str, ...]:
        """The part's features."""
        return self.part.features

    def label(self, event: str) -> Labels:
        """1 where the event followed the impression, else 0; a repeated row has its own label again."""
        label, rows = self.part.label(event), self._drawn.rows
        return np.insert(label, rows + 1, label[rows])

    def batches(self) -> Iterator[Matrix]:
        """The matrix some rows at a time."""
        start = 0
        for batch in self.part.batches():
            first, last = np.searchsorted(self._drawn.rows, (start, start + len(batch)))
            rows = self._drawn.rows[first:last] - start
            yield np.insert(batch, rows + 1, self._forgotten(batch[rows], slice(first, last)), axis=0)
            start += len(batch)

    def _forgotten(self, rows: Matrix, places: slice) -> Matrix:
        """Rows as cold starts; `places` are theirs among the drawn ones."""
        drawn = self._drawn
        for owner, blank in self._blanks.items():
            lost = drawn.lacks[owner][places]
            rows[lost] = blank.over(rows[lost], drawn.hours[places][lost], drawn.utc_hour[places][lost])
        return rows

    @cached_property
    def _blanks(self) -> "dict[Owner, Blank]":
        values = unknown_values(self._drawn.priors, self.feed)
        return {owner: Blank.of(owner, values, self.features, self.feed) for owner in OWNERS}

    @cached_property
    def _drawn(self) -> "Drawn":
        return draw(self)


@dataclass(frozen=True)
class Drawn:
    """The m rows that are repeated.

    `rows` are their numbers, ascending; `hours` the places of their `as_of` among the priors';
    `lacks` says by owner whose owner is unknown; `utc_hour` is the request's. All are (m,). `priors` has a
    row for each `as_of` and a column for each rate.
    """

    rows: NDArray[np.int64]
    hours: NDArray[np.int64]
    lacks: dict[Owner, NDArray[np.bool_]]
    utc_hour: Vector
    priors: pl.DataFrame


@dataclass(frozen=True)
class Blank:
    """What is left of an unknown owner: `values` (hours, c) of the features in these `columns` (c,).

    `shared` are the columns that count what user and post have in common where the owner's values are a
    list, `local` the user's hour of the day.
    """

    columns: NDArray[np.intp]
    values: Matrix
    shared: NDArray[np.intp]
    local: NDArray[np.intp]

    @classmethod
    def of(cls, owner: Owner, values: pl.DataFrame, features: Sequence[str], feed: Feed) -> "Blank":
        """For features in any order, of which any may be left out."""
        kinds = feed.attributes.users if owner == "user" else feed.attributes.posts
        lists = {f"match_{name}" for name, kind in kinds.items() if kind == "list"}
        lost = {one.name for one in catalogue(feed) if one.of in DESCRIBED[owner]} | {MOMENT[owner]}
        plain = [name for name in features if name in lost - lists - {LOCAL_HOUR}]

        def places(names: set[str] | list[str]) -> NDArray[np.intp]:
            return np.array([place for place, name in enumerate(features) if name in names], dtype=np.intp)

        local = places(lost & {LOCAL_HOUR})
        matrix = as_matrix(values.select(plain)).reshape(len(values), len(plain))
        return cls(places(plain), matrix, places(lost & lists), local)

    def over(self, rows: Matrix, hours: NDArray[np.int64], utc_hour: Vector) -> Matrix:
        """The rows (n, features) without the owner."""
        rows[:, self.columns] = self.values[hours]
        rows[:, self.shared] *= 0  # an empty list shares nothing; the other's missing category stays missing
        rows[:, self.local] = utc_hour[:, None]
        return rows


def draw(cold: Cold) -> Drawn:
    """Choose the rows, and find the priors of all hours, in one reading of a few columns."""
    cells, frames, seen = _cells(cold.feed), [], []
    read = dict.fromkeys(("impression_id", "as_of", UTC_HOUR, *(name for cell in cells for name in cell[1:])))
    for batch in cold.part.source.batches(list(read)):
        chance = (pl.col("impression_id").hash(cold.seed) // 2**11) / 2**53
        frames.append(batch.select("as_of", UTC_HOUR, chance=chance))
        seen.append(batch.group_by("as_of").agg(_shown_priors(cells)))
    rows = pl.concat(frames).with_row_index("row").filter(pl.col("chance") < cold.share)
    priors = pl.concat(seen).group_by("as_of").max().sort("as_of")
    priors = priors.with_columns(pl.exclude("as_of").forward_fill().backward_fill())
    if any(priors[rate].null_count() for rate in _rates_among(cold.features, cold.feed)):
        rows = rows.clear()
    return _drawn(rows, priors, cold)


def _drawn(rows: pl.DataFrame, priors: pl.DataFrame, cold: Cold) -> Drawn:
    who = np.floor(rows["chance"].to_numpy() / cold.share * len(cold.who)).astype(np.int64)
    who = np.minimum(who, len(cold.who) - 1)
    return Drawn(
        rows["row"].to_numpy().astype(np.int64),
        np.searchsorted(priors["as_of"].to_numpy(), rows["as_of"].to_numpy()),
        {owner: np.array([owner in one for one in cold.who])[who] for owner in OWNERS},
        rows[UTC_HOUR].cast(pl.Float32).to_numpy(),
        priors,
    )


def unknown_values(priors: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """Every feature that is stored, an attribute or a match as an unknown entity has it.

    One row for each of the priors'. What is missing is null. Matches of lists are 0 and the age is missing.
    """
    stored, derived = priors.with_columns(_stored(feed)), definitions().derived
    made = "".join(f', cast({one.sql} as {one.type}) as "{name}"' for name, one in derived.items())
    keys = "".join(f", 0::ubigint as {group}_key" for group in GROUPS)
    with duckdb.connect() as con:
        con.register("stored", stored.to_arrow())
        values = con.execute(f"select *{made} from (select *{keys} from stored) order by as_of").pl()
    return values.with_columns(_attributes(feed), post_age_hours=pl.lit(None, pl.Float32))


def _stored(feed: Feed) -> Iterator[pl.Expr]:
    for group, windows in definitions().windows.items():
        for window in windows:
            yield from (pl.lit(0, pl.Int64).alias(f"{group}_{one}_{window}") for one in measures(feed))
            yield from (pl.col(rate).alias(f"{group}_{rate}_{window}") for rate in rates(feed))
        yield from (pl.lit(None, pl.Int32).alias(f"{group}_hours_since_{event}") for event in recency(feed))


def _attributes(feed: Feed) -> list[pl.Expr]:
    declared = feed.attributes
    owners = (("user", declared.users), ("post", declared.posts))
    kinds = {f"{owner}_attr_{name}": kind for owner, of in owners for name, kind in of.items()}
    values = {name: 0.0 if kind == "list" else None for name, kind in kinds.items()}
    values |= {f"match_{name}": None for name in matches(declared)}
    return [pl.lit(value, pl.Float32).alias(name) for name, value in values.items()]


def _cells(feed: Feed) -> list[tuple[str, str, str, str]]:
    """Where priors show: each rate with its feature, its measure and the impressions, in short windows."""
    return [
        (rate, *(f"{group}_{one}_{windows[0]}" for one in (rate, measure, IMPRESSIONS)))  # type: ignore[misc]
        for rate, measure in rates(feed).items()
        for group, windows in definitions().windows.items()
    ]


def _shown_priors(cells: list[tuple[str, str, str, str]]) -> list[pl.Expr]:
    shown: dict[str, list[pl.Expr]] = {}
    for rate, value, measure, impressions in cells:
        is_prior = (pl.col(measure) == 0) & (pl.col(impressions) == 0)
        shown.setdefault(rate, []).append(pl.col(value).filter(is_prior).max())
    return [pl.max_horizontal(found).alias(rate) for rate, found in shown.items()]


def _rates_among(features: Sequence[str], feed: Feed) -> list[str]:
    """The rates of which a feature is there."""
    heads = {rate: tuple(f"{group}_{rate}_" for group in GROUPS) for rate in rates(feed)}
    return [rate for rate, starts in heads.items() if any(name.startswith(starts) for name in features)]
