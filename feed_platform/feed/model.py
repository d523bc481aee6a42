"""The whole of `feed.toml`."""

from datetime import date, datetime, timedelta
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from feed_platform.feed.parts import Attributes, Objective, Owner, Part, Promotion, Ranker, Serving, nearest
from feed_platform.feed.sources import Source

HIDING = ("hide", "report")
EVENT_TYPES = ("click", "like", "comment", "share", "hide", "report", "dwell", "follow")


class Feed(Part):
    """What one feed is: owners, start, clock, event types, objectives, label window."""

    name: str = "feed"
    owners: tuple[Owner, ...] = ("team:feed",)
    start: date
    clock: Literal["live", "log"] = "live"
    feature_delay_minutes: int = Field(10, ge=0)
    label_window_seconds: int = Field(86_400, ge=1)
    label_delay_seconds: int = Field(3_600, ge=0)
    event_types: tuple[str, ...] = EVENT_TYPES
    objectives: tuple[Objective, ...] = (Objective(event="click"),)
    attributes: Attributes = Attributes()
    promotion: Promotion = Promotion()
    serving: Serving = Serving()
    ranker: Ranker = Ranker()
    sources: tuple[Source, ...] = ()

    @field_validator("objectives")
    @classmethod
    def _sound_objectives(
        cls, objectives: tuple[Objective, ...], info: ValidationInfo
    ) -> tuple[Objective, ...]:
        events = [objective.event for objective in objectives]
        known = info.data.get("event_types", events)
        for event in events:
            if event not in known:
                raise ValueError(
                    f"{event!r} is none of event_types ({', '.join(known)}){nearest(event, known)}; "
                    "one that the log's rows alone name must be listed there"
                )
        if repeated := {event for event in events if events.count(event) > 1}:
            raise ValueError(f"{sorted(repeated)[0]!r} is there twice: give each event one objective")
        if not any(objective.weight for objective in objectives):
            raise ValueError("every weight is 0, so nothing could be ranked: give one objective another")
        return objectives

    @model_validator(mode="after")
    def _a_tree_each(self) -> Self:
        trees, objectives = self.promotion.budgets.trees, len(self.objectives)
        if trees < objectives:
            raise ValueError(
                f"promotion.budgets.trees is {trees} for {objectives} objectives: give at least one tree each"
            )
        return self

    @property
    def feature_delay(self) -> timedelta:
        """The time that publishing features may take."""
        return timedelta(minutes=self.feature_delay_minutes)

    @property
    def wanted_events(self) -> tuple[str, ...]:
        """The event types that say that a person wants more such posts: objectives worth more than 0."""
        return tuple(objective.event for objective in self.objectives if objective.weight > 0)

    @property
    def hiding_events(self) -> tuple[str, ...]:
        """The event types that keep a post away from a person: hides, reports, objectives worth less."""
        unwanted = {objective.event for objective in self.objectives if objective.weight < 0}
        return tuple(event for event in self.event_types if event in {*HIDING, *unwanted})

    @property
    def start_at(self) -> datetime:
        """The feed's first instant (UTC)."""
        return datetime.combine(self.start, datetime.min.time())

    @model_validator(mode="after")
    def _moderated_by_what_is_declared(self) -> Self:
        name = self.serving.moderation.attribute
        if name is not None and self.attributes.posts.get(name, "number") == "number":
            raise ValueError(
                f"serving.moderation.attribute is {name!r}: "
                "declare it under [attributes.posts] as a list or a category"
            )
        return self
