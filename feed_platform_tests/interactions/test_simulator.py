"""The simulator: reproducible day by day, exact in its truth, honest about its slates."""

from datetime import date, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from feed_platform.feed import Feed, FeedError, SimulatorSource, load_feed, save_feed
from feed_platform.interactions.batch import Batch
from feed_platform.interactions.simulator import bots, simulate, simulate_day
from feed_platform.settings import Settings

START = date(2026, 3, 1)
SMALL = SimulatorSource(seed=3, days=3, users=120, posts_per_day=8, requests_per_day=150)
EVERYTHING = SimulatorSource(
    seed=11,
    mode="live",
    days=6,
    users=3_000,
    requests_per_day=4_000,
    policy="softmax",
    click_rate=0.037,
    interests=4,
    week_cycle=0.2,
    viral_share=0.05,
    bot_share=0.01,
    duplicate_share=0.02,
    late_share=0.1,
    outages=("2:9:6",),
    concept_drift_day=3,
    data_drift_day=4,
)
FRAMES = ("users", "posts", "impressions", "engagements", "truth")
EVENTS = ("click", "like", "comment", "share", "follow", "hide", "report")


@cache
def log(source: SimulatorSource) -> dict[str, pl.DataFrame]:
    """All days of a source, one frame per table."""
    batches = [_frames(batch) for batch in simulate(source, START)]
    return {name: pl.concat([frames[name] for frames in batches]) for name in FRAMES}


@pytest.mark.parametrize("source", [SMALL, EVERYTHING])
def test_any_day_alone_equals_the_day_of_the_whole(source: SimulatorSource) -> None:
    for day, batch in enumerate(simulate(source, START)):
        assert _frames(batch).keys() == set(FRAMES)
        alone = _frames(simulate_day(source, START, day))
        assert all(frame.equals(alone[name]) for name, frame in _frames(batch).items())


def test_another_seed_gives_other_rows() -> None:
    other = simulate_day(SMALL.model_copy(update={"seed": 4}), START, 0)
    assert not _frames(other)["impressions"].equals(_frames(simulate_day(SMALL, START, 0))["impressions"])


def test_ids_are_unique_and_refer_to_what_is_known() -> None:
    month = log(SimulatorSource())
    for name, column in (("users", "user_id"), ("posts", "post_id"), ("impressions", "impression_id")):
        assert month[name][column].is_unique().all()
    assert month["engagements"]["engagement_id"].is_unique().all()
    seen = _with_entities(month)
    assert seen.null_count()["joined_at"].item() == seen.null_count()["created_at"].item() == 0
    assert (seen["shown_at"] >= seen["joined_at"]).all()
    assert (seen["shown_at"] > seen["created_at"]).all()
    assert not seen.select("request_id", "post_id").is_duplicated().any()


@pytest.mark.parametrize("source", [SMALL, EVERYTHING])
def test_every_event_happens_within_its_day(source: SimulatorSource) -> None:
    for day, batch in enumerate(simulate(source, START)):
        begin = datetime.combine(START, datetime.min.time()) + timedelta(days=day)
        times = {"impressions": "shown_at", "engagements": "occurred_at"}
        for name, column in times.items():
            found = _frames(batch)[name][column]
            assert found.is_between(begin, begin + timedelta(days=1), closed="left").all()


def test_new_users_and_posts_come_every_day() -> None:
    for name in ("users", "posts"):
        assert log(SimulatorSource())[name]["known_at"].dt.date().n_unique() == SimulatorSource().days


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("source", [SimulatorSource(), EVERYTHING])
def test_events_happen_as_often_as_the_truth_says(source: SimulatorSource, event: str) -> None:
    happened = log(source)["engagements"].filter(event_type=event).select("impression_id").unique()
    truth = log(source)["truth"].filter(pl.col(f"{event}_probability") > 0)
    bins = (
        truth.join(happened.with_columns(happened=1), on="impression_id", how="left")
        .select(chance=f"{event}_probability", happened=pl.col("happened").fill_null(0))
        .with_columns(bin=pl.col("chance").rank("ordinal") * 10 // (len(truth) + 1))
        .group_by("bin")
        .agg(
            pl.col("happened").sum(),
            expected=pl.col("chance").sum(),
            spread=(pl.col("chance") * (1 - pl.col("chance"))).sum().sqrt(),
        )
    )
    assert len(bins) == 10
    deviations = (bins["happened"] - bins["expected"]) / bins["spread"]
    assert deviations.abs().max() < 4  # type: ignore[operator]


def test_the_default_month_has_a_realistic_signal() -> None:
    from sklearn.metrics import roc_auc_score

    month = log(SimulatorSource())
    clicks = month["engagements"].filter(event_type="click").select("impression_id", clicked=1)
    joined = month["truth"].join(clicks, on="impression_id", how="left")
    clicked = joined["clicked"].fill_null(0)
    assert 0.08 < clicked.mean() < 0.12  # type: ignore[operator]
    assert 0.75 < roc_auc_score(clicked, joined["click_probability"]) < 0.82
    assert len(clicked) == 300_000


@pytest.mark.parametrize("rate", [0.003, 0.037, 0.3])
def test_people_click_at_the_rate_that_was_asked_for(rate: float) -> None:
    source = SimulatorSource(days=14, bot_share=0.02, click_rate=rate)
    people = log(source)["truth"].filter(~pl.col("is_bot"))
    assert people["click_probability"].mean() == pytest.approx(rate, rel=0.03)


def test_a_rate_above_what_is_looked_at_is_refused() -> None:
    with pytest.raises(FeedError, match=r"click_rate 0\.9 can't be reached: people look at 0\.6"):
        simulate_day(SMALL.model_copy(update={"click_rate": 0.9}), START, 0)


def test_bots_click_regardless_and_are_known() -> None:
    known = bots(EVERYTHING, START)
    assert len(known) == 30
    seen = log(EVERYTHING)["truth"].join(
        log(EVERYTHING)["impressions"].unique("impression_id"), on="impression_id"
    )
    assert set(seen.filter("is_bot")["user_id"]) <= set(known)
    assert not seen.filter(~pl.col("is_bot"))["user_id"].is_in(known).any()
    assert seen.filter("is_bot")["click_probability"].unique().to_list() == [0.6]
    assert 0.05 < seen["is_bot"].mean() < 0.15  # type: ignore[operator]


def test_positions_and_freshness_bias_what_is_clicked() -> None:
    flat = SMALL.model_copy(update={"position_bias": 0.0, "freshness_decay": 0.0})
    steep = SMALL.model_copy(update={"position_bias": 1.0, "freshness_decay": 0.0})
    shown = log(flat)["impressions"]
    assert shown.equals(log(steep)["impressions"])
    ratio = log(steep)["truth"]["click_probability"] / log(flat)["truth"]["click_probability"]
    np.testing.assert_allclose(ratio, 1 / shown["position"])


def test_viral_posts_rise_and_fall() -> None:
    quiet, viral = (SMALL.model_copy(update={"viral_share": share, "policy": "uniform"}) for share in (0, 1))
    shown = log(quiet)["impressions"].join(log(quiet)["posts"], on="post_id")
    odds = [
        (p / (e - p)).to_numpy()
        for source in (quiet, viral)
        for p, e in [(log(source)["truth"]["click_probability"], shown["position"].cast(float) ** -0.3)]
    ]
    age = (shown["shown_at"] - shown["created_at"]).dt.total_microseconds().to_numpy() / 3.6e9 / 12
    np.testing.assert_allclose(np.log(odds[1] / odds[0]), 2 * age * np.exp(1 - age), atol=1e-6)


def test_weekends_are_busier() -> None:
    source = SMALL.model_copy(update={"days": 14, "week_cycle": 0.3, "requests_per_day": 1_000})
    days = log(source)["impressions"].group_by(day=pl.col("shown_at").dt.date()).len()
    weekend = pl.col("day").dt.weekday() >= 6
    assert days.filter(weekend)["len"].min() > days.filter(~weekend)["len"].max()  # type: ignore[operator]


def test_concept_drift_changes_only_what_people_like_from_its_day_on() -> None:
    steady = SMALL.model_copy(update={"policy": "softmax"})
    drifting = steady.model_copy(update={"concept_drift_day": 1})
    for day in range(3):
        one, other = (_frames(simulate_day(source, START, day)) for source in (steady, drifting))
        assert all(one[name].equals(other[name]) for name in ("users", "posts", "impressions"))
        assert one["truth"].equals(other["truth"]) == (day < 1)


def test_concept_drift_moves_tastes_to_the_opposite_topic() -> None:
    """All of each taste moves six topics on: what was liked of one topic is liked of the other."""
    moved = SMALL.model_copy(update={"users": 1, "concept_drift_day": 1, "concept_drift": 1.0})
    likes = [
        _given_click(simulate_day(source, START, 1)).group_by("topic").agg(pl.col("like").first())
        for source in (moved.model_copy(update={"concept_drift_day": None}), moved)
    ]
    before, after = (dict(frame.iter_rows()) for frame in likes)
    from feed_platform.interactions.simulator import TOPICS

    pairs = [(topic, TOPICS[(place + 6) % 12]) for place, topic in enumerate(TOPICS)]
    compared = [(after[a], before[b]) for a, b in pairs if a in after and b in before]
    assert len(compared) >= 4
    np.testing.assert_allclose(*np.transpose(compared))


def test_data_drift_changes_users_and_posts_but_not_what_a_pair_does() -> None:
    steady = SimulatorSource(days=3, requests_per_day=3_000, policy="uniform")
    drifting = steady.model_copy(update={"data_drift_day": 2, "data_drift": 1.0})
    same, changed = (
        [
            a.equals(b)
            for a, b in zip(
                *(_frames(simulate_day(s, START, day)).values() for s in (steady, drifting)), strict=True
            )
        ]
        for day in (1, 2)
    )
    assert all(same)
    assert changed == [True, False, False, False, False]
    assert set(simulate_day(drifting, START, 2).posts["format"]) == {"video"}  # type: ignore[index]
    shares = [
        _share_of_countries(simulate_day(source, START, 2), log(steady)["users"])
        for source in (steady, drifting)
    ]
    assert shares[1] > 1.5 * shares[0]


def test_a_tiny_source_still_makes_days() -> None:
    tiny = SimulatorSource(days=2, users=1, posts_per_day=1, requests_per_day=2)
    assert all(len(_frames(batch)["impressions"]) > 0 for batch in simulate(tiny, START))


def test_options_survive_feed_toml(home: Settings) -> None:
    save_feed(home, Feed(start=START, sources=(EVERYTHING,)))
    assert load_feed(home).sources == (EVERYTHING,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"late_share": 0.1}, "late_share and outages need mode = 'live'"),
        ({"candidates": 5}, "candidates is 5: give at least positions, 10"),
        ({"mode": "live", "outages": ("3",)}, "'3' is not DAY:HOUR:HOURS"),
    ],
)
def test_options_that_contradict_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SimulatorSource.model_validate(options)


def _frames(batch: Batch) -> dict[str, pl.DataFrame]:
    return {name: frame for name in FRAMES if (frame := batch.table(name)) is not None}


def _with_entities(month: dict[str, pl.DataFrame]) -> pl.DataFrame:
    users = month["users"].select("user_id", joined_at="known_at")
    posts = month["posts"].select("post_id", "created_at")
    return month["impressions"].join(users, on="user_id", how="left").join(posts, on="post_id", how="left")


def _given_click(batch: Batch) -> pl.DataFrame:
    """The day's probability of a like given a click, with the post's topic."""
    assert batch.truth is not None
    assert batch.impressions is not None
    topics = pl.concat([day.posts for day in simulate(SMALL, START) if day.posts is not None])
    likes = batch.truth.select("impression_id", like=pl.col("like_probability") / pl.col("click_probability"))
    return likes.join(batch.impressions, on="impression_id").join(topics, on="post_id")


def _share_of_countries(batch: Batch, users: pl.DataFrame) -> float:
    assert batch.impressions is not None
    country = batch.impressions.join(users, on="user_id")["country"]
    return country.is_in(["IN", "BR"]).mean()  # type: ignore[return-value]
