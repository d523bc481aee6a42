"""Features cut into bins, and the conditions that a slice can be made of: in words and in SQL."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from feed_platform.features.catalogue import catalogue
from feed_platform.feed import Feed

BINS = 6
DISTINCT = 8
SAMPLE = 100_000
WINDOW = re.compile(r"_(\d+[hd])$")
Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Condition:
    """The rows whose code lies in [low, high), in words and as SQL over a row of `training.examples`."""

    low: int
    high: int
    words: str
    where: str


@dataclass(frozen=True)
class Binned:
    """A feature's codes (n,), below `size`; code 0 is "unknown". `conditions` never take all rows."""

    feature: str
    codes: Codes
    size: int
    conditions: tuple[Condition, ...]

    @property
    def family(self) -> str:
        """The feature without its window: the same count over other days says much the same."""
        return WINDOW.sub("", self.feature)


def bin_numbers(feature: str, spoken: str, values: NDArray[np.float32]) -> Binned:
    """Cut numbers at their distinct values, or where these are many at quantiles; ranges are conditions."""
    sample = values[:: max(1, len(values) // SAMPLE)]
    sample = sample[~np.isnan(sample)]
    distinct = np.unique(sample)
    if len(distinct) <= DISTINCT:
        edges = distinct
    else:
        edges = np.unique(np.quantile(sample, np.linspace(0, 1, BINS + 1)[:-1], method="higher"))
    codes = np.maximum(np.searchsorted(edges, values, side="right"), 1).astype(np.uint8)
    codes[np.isnan(values)] = 0
    return Binned(feature, codes, len(edges) + 1, _ranges(feature, spoken, edges, bool((codes == 0).any())))


def bin_categories(feature: str, spoken: str, values: pl.Series) -> Binned:
    """The most common values of a column, each a condition; all others have code 0."""
    counts = values.drop_nulls().value_counts(sort=True).head(DISTINCT)
    common = counts[values.name].sort()
    codes = values.replace_strict(common, np.arange(1, len(common) + 1), default=0, return_dtype=pl.UInt8)
    conditions = [
        Condition(place, place + 1, f"{spoken} {value}", f"{feature} = {_literal(value)}")
        for place, value in enumerate(common, 1)
    ]
    return Binned(feature, codes.fill_null(0).to_numpy(), len(common) + 1, tuple(conditions))


def spoken_names(feed: Feed | None, features: Collection[str]) -> dict[str, str]:
    """Features in words: the catalogue's definitions, shortened."""
    known = {one.name: one.definition for one in catalogue(feed)} if feed else {}
    return {name: speak(known[name]) if name in known else name.replace("_", " ") for name in features}


def speak(definition: str) -> str:
    """A definition as the subject of a condition.

    Example:
        >>> speak("clicks of the user in the post's topic known in the 28d before as_of")
        "clicks of the user in the post's topic in the last 28d"
        >>> speak("UTC hour of the request, 0 to 23")
        'UTC hour of the request'
    """
    short = re.split(r"[,;:] ", definition)[0]
    return re.sub(r"known in the (\S+) before as_of", r"in the last \1", short)


def _ranges(
    feature: str, spoken: str, edges: NDArray[np.float32], has_unknown: bool
) -> tuple[Condition, ...]:
    """Every run of neighbouring bins that isn't all rows; bin k + 1 begins at edge k."""
    unknown = Condition(0, 1, f"{spoken} unknown", f"{feature} is null")
    last = len(edges)
    runs = [(low, high) for low in range(1, last + 1) for high in range(low + 1, last + 2)]
    kept = [run for run in runs if has_unknown or run != (1, last + 1)]
    found = [_range(feature, spoken, edges, low, high) for low, high in kept]
    return tuple([unknown, *found] if has_unknown else found)


def _range(feature: str, spoken: str, edges: NDArray[np.float32], low: int, high: int) -> Condition:
    start = None if low == 1 else float(edges[low - 1])
    end = None if high > len(edges) else float(edges[high - 1])
    parts = {">=": start, "<": end}
    where = " and ".join(f"{feature} {sign} {_number(at)}" for sign, at in parts.items() if at is not None)
    return Condition(low, high, _in_words(spoken, start, end), where or f"{feature} is not null")


def _in_words(spoken: str, start: float | None, end: float | None) -> str:
    if start is None and end is None:
        return f"{spoken} known"
    if start is None:
        return f"{spoken} below {_number(end)}"
    if end is None:
        return f"{spoken} {_number(start)} or more"
    return f"{spoken} from {_number(start)} to below {_number(end)}"


def _number(value: float | None) -> str:
    return f"{value:.6g}" if value is not None else ""


def _literal(value: object) -> str:
    return f"'{str(value).replace(chr(39), chr(39) * 2)}'" if isinstance(value, str) else str(value)


def bin_all(
    frame: pl.DataFrame, features: Mapping[str, str], categories: Collection[str], texts: Collection[str]
) -> list[Binned]:
    """Every feature of a frame that has more than one bin.

    Args:
        frame: n rows.
        features: column to words, in which conditions speak of it.
        categories: the features that hold codes of categories.
        texts: further columns of text, each a category.
    """
    found = [
        bin_categories(name, spoken, frame[name].cast(pl.Float32).fill_nan(None))
        if name in categories
        else bin_numbers(name, spoken, frame[name].cast(pl.Float32).fill_null(np.nan).to_numpy())
        for name, spoken in features.items()
    ]
    found += [bin_categories(name, name, frame[name]) for name in texts if name in frame.columns]
    return [binned for binned in found if len(binned.conditions) > 1]
