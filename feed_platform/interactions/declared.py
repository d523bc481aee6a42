"""What a mapping says about the feed: the first import's `feed.toml`, and what a later one adds."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from feed_platform.feed import EVENT_TYPES, Attributes, Feed, FeedError, Objective, first_mistake
from feed_platform.interactions.batch import Mode
from feed_platform.interactions.mapping_model import Cell, InRow, Mapping
from feed_platform.lake.seal import DAY

IN_ROW_WINDOW_SECONDS = 60
SCALARS = (
    "name",
    "start",
    "clock",
    "label_window_seconds",
    "label_delay_seconds",
    "feature_delay_minutes",
    "objectives",
)
Span = tuple[datetime, datetime]


def declared_feed(mapping: Mapping, mode: Mode, at: datetime, span: Span | None) -> Feed:
    """The feed that a home's first import declares; what the mapping leaves open follows from the log.

    Args:
        at: the import's time.
        span: the first and the last time in the log; None where no time is known.

    Raises:
        FeedError: what the mapping declares doesn't go together, such as an objective that is no event type.
    """
    declared = mapping.feed
    given = {name: value for name in SCALARS if (value := getattr(declared, name)) is not None}
    first, last = span or (at, at)
    types = declared.event_types or _union(EVENT_TYPES, mapping.event_types())
    predicted = _predicted(mapping)
    is_old = mode == "history" and at - last > DAY
    defaults: dict[str, Any] = {
        "name": mapping.name,
        "start": first.date(),
        "clock": "log" if is_old else "live",
        "event_types": types,
        "objectives": (Objective(event=predicted if predicted in types else types[0]),),
        "attributes": declared.attributes,
    }
    window = {"label_window_seconds": IN_ROW_WINDOW_SECONDS} if _is_in_row(mapping) else {}
    try:
        return Feed(**{**defaults, **window, **given})
    except ValidationError as error:
        raise FeedError(f"feed.{first_mistake(error)}") from error


def extended_feed(known: Feed, mapping: Mapping, *, is_source: bool) -> tuple[Feed, list[str]]:
    """A feed with the attributes and event types that a mapping adds, and what of it no longer holds.

    Args:
        is_source: the mapping has been imported before: where it differs, `feed.toml` was edited
            since and is right.

    Raises:
        FeedError: a new mapping contradicts the feed.
    """
    differing = list(_contradictions(known, mapping))
    if differing and not is_source:
        raise FeedError(f"{differing[0]}: change the mapping, or edit feed.toml in the home")
    named = mapping.event_types() if mapping.feed.event_types is None else mapping.feed.event_types
    types = _union(known.event_types, named)
    extended = known.model_copy(
        update={"attributes": _added(known.attributes, mapping.feed.attributes), "event_types": types}
    )
    return extended, differing


def _contradictions(known: Feed, mapping: Mapping) -> Iterator[str]:
    """What a mapping declares otherwise than `feed.toml`; a log's clock may have started to run."""
    for name in SCALARS:
        said, holds = getattr(mapping.feed, name), getattr(known, name)
        if said is not None and said != holds and not (name == "clock" and holds == "live"):
            yield f"feed.{name} is {_shown(said)} in the mapping and {_shown(holds)} in feed.toml"
    held = _flat(known.attributes)
    for name, kind in _flat(mapping.feed.attributes).items():
        if held.get(name, kind) != kind:
            yield f"feed.attributes.{name} is {kind} in the mapping and {held[name]} in feed.toml"


def _flat(attributes: Attributes) -> dict[str, str]:
    """Every attribute's kind under its dotted name."""
    flat: dict[str, str] = {}
    for name, said in attributes.model_dump(exclude_none=True).items():
        flat |= (
            {f"{name}.{key}": kind for key, kind in said.items()} if isinstance(said, dict) else {name: said}
        )
    return flat


def _added(known: Attributes, more: Attributes) -> Attributes:
    """The attributes of both."""
    new, held = more.model_dump(exclude_none=True), known.model_dump(exclude_none=True)
    both = {
        name: {**new.get(name, {}), **said} if isinstance(said, dict) else said for name, said in held.items()
    }
    return Attributes(**{**new, **both})


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{each.event} x {each.weight:g}" for each in value)
    return str(value)


def _predicted(mapping: Mapping) -> str:
    """The event type to predict: click, unless the mapping names all of its types and that is not among them.

    Then the first that a threshold decides, else the first.
    """
    named = mapping.event_types()
    if "click" in named or not named or _has_unnamed_types(mapping):
        return "click"
    return next((each.event_type for each in _in_row(mapping) if each.is_threshold), named[0])


def _has_unnamed_types(mapping: Mapping) -> bool:
    """Whether a column brings event types that the mapping doesn't list."""
    columns = (one.columns.get("event_type") for one in mapping.engagements)
    return any(column is not None and not (isinstance(column, Cell) and column.values) for column in columns)


def _in_row(mapping: Mapping) -> list[InRow]:
    return [each for one in mapping.impressions for each in one.engagements_in_row]


def _is_in_row(mapping: Mapping) -> bool:
    """Whether every engagement has the time of its impression."""
    if mapping.sampled_negatives is not None:
        return True
    has_own_time = any(each.occurred_at for each in _in_row(mapping))
    return (
        not mapping.engagements and not has_own_time and any(one.in_row_types for one in mapping.impressions)
    )


def _union(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))
