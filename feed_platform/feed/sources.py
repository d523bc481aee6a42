"""Where a feed's rows come from: `[[sources]]` in `feed.toml`, written by imports."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from feed_platform.feed.parts import Part, Share


class Outage(Part):
    """Hours in which nothing arrives: from `hour` of day `day` (0 is the feed's first), for `hours`."""

    day: int = Field(ge=0)
    hour: float = Field(ge=0, lt=24)
    hours: float = Field(gt=0, le=240)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = value.split(":")
        if len(parts) != len(cls.model_fields):
            raise ValueError(f"{value!r} is not DAY:HOUR:HOURS, for example 12:9:6")
        return dict(zip(cls.model_fields, parts, strict=True))


MOST_CANDIDATES_KEPT = 5_000_000
LogPolicy = Literal["popularity", "softmax", "uniform"]


class SimulatorSource(Part):
    """Raw interactions with known truth: docs/simulator.md says what each option does to it."""

    kind: Literal["simulator"] = "simulator"
    seed: int = Field(7, ge=0, description="Another seed is another world.")
    mode: Literal["history", "live"] = Field(
        "history", description="history: events count from their own time; live: from when they arrive."
    )
    days: int = Field(30, ge=1, description="Days that the log covers.")
    users: int = Field(2_000, ge=1, description="People, bots included.")
    founders: Share = Field(0.85, description="Share of the users who are there at the start.")
    posts_per_day: int = Field(40, ge=1, description="New posts a day.")
    requests_per_day: int = Field(1_000, ge=1, description="Times a day that someone opens the feed.")
    positions: int = Field(10, ge=1, description="Posts that a request shows.")
    candidates: int = Field(50, ge=1, description="Posts that the policy ranks for a request.")
    policy: LogPolicy = Field("popularity", description="How the log's slates were ranked.")
    temperature: float = Field(1.0, gt=0, description="Of the policy: small is greedy, large is uniform.")
    exploration: Share = Field(0.3, description="Share of uniform choice mixed into the policy.")
    slates: bool | None = Field(
        None, description="Keep requests with all candidates; default: up to 5 million candidates."
    )
    click_rate: float | None = Field(
        None, gt=0, lt=1, description="Clicks per impression of people, e.g. 0.037; default: about 0.1."
    )
    interests: int = Field(0, ge=0, description="Dimensions of latent interests beyond the topics.")
    position_bias: float = Field(0.3, ge=0, description="Position k is looked at with probability k^-bias.")
    freshness_decay: float = Field(0.35, ge=0, description="What a post's click logit loses in a day.")
    author_spread: float = Field(0.4, ge=0, description="Deviation of the authors' quality, in logits.")
    post_spread: float = Field(0.5, ge=0, description="Deviation of posts around their author, in logits.")
    day_cycle: float = Field(0.15, ge=0, description="Amplitude of the click logit over the day.")
    week_cycle: float = Field(0.0, ge=0, lt=1, description="Amplitude of logit and requests over the week.")
    viral_share: Share = Field(0.0, description="Share of the posts that go viral.")
    bot_share: Share = Field(0.0, description="Share of the users who are bots.")
    duplicate_share: Share = Field(0.0, description="Share of the events that are delivered twice.")
    late_share: Share = Field(0.0, description="Share of the events that arrive late; needs mode live.")
    late_hours: float = Field(12.0, gt=0, description="Mean delay of late events; none is over 3 days.")
    outages: tuple[Outage, ...] = Field((), description="DAY:HOUR:HOURS without arrivals; needs mode live.")
    concept_drift_day: int | None = Field(None, ge=0, description="Day from which tastes are others.")
    concept_drift: Share = Field(0.5, description="Share of each taste that moves to another topic.")
    data_drift_day: int | None = Field(None, ge=0, description="Day from which users and posts are others.")
    data_drift: Share = Field(0.5, description="Strength of the data drift.")

    @property
    def keeps_slates(self) -> bool:
        """Whether whole rankings belong to the log."""
        ranked = self.days * self.requests_per_day * self.candidates
        return ranked <= MOST_CANDIDATES_KEPT if self.slates is None else self.slates

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.candidates < self.positions:
            raise ValueError(f"candidates is {self.candidates}: give at least positions, {self.positions}")
        if self.mode == "history" and (self.late_share or self.outages):
            raise ValueError("late_share and outages need mode = 'live': a history has no time of arrival")
        return self


class MappingSource(Part):
    """The user's own log, described by a mapping file.

    `excluded` counts the rows that each rule of the mapping left out; `sampled_negatives` says how
    impressions were made for a log without any.
    """

    kind: Literal["mapping"] = "mapping"
    path: str
    mode: Literal["history", "live"] = "live"
    excluded: dict[str, int] | None = None
    sampled_negatives: dict[str, int] | None = None


Source = Annotated[SimulatorSource | MappingSource, Field(discriminator="kind")]
