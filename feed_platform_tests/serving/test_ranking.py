"""Rankings as clients ask for them: filters, pinned places, chance; their way into the lake."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feed_platform.feed import Attributes, Exploration, Moderation, Serving
from feed_platform.interactions.log_import import import_logs
from feed_platform.interactions.records import FeedbackRecord, encode
from feed_platform.interactions.segments import SegmentWriter
from feed_platform.lake import Lake
from feed_platform.serving.ranking import Ranking, rank
from feed_platform.serving.records import request_record
from feed_platform.serving.schemas import Condition, Explore, Filters, Pin, RankRequest
from feed_platform.serving.store import Loaded, Model
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

AT = samples.AS_OF + timedelta(minutes=30)
POSTS = [f"p{n}" for n in range(samples.POSTS)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A model and a snapshot whose posts have a language, flags and a length."""
    kinds = {"language": "category", "flags": "list", "length": "number"}
    feed = samples.FEED.model_copy(update={"attributes": Attributes(posts=kinds)})
    home = Settings(home=tmp_path_factory.mktemp("ranking"))
    snapshot = samples.open_snapshot(home, feed)
    return Loaded(snapshot, Model("1", samples.make_bundle(1, feed)).fitted_to(snapshot))


def ranked(
    loaded: Loaded, request_id: str = "r", serving: Serving | None = None, **fields: object
) -> Ranking:
    request = RankRequest(**{"candidate_ids": POSTS[:20], "user_id": "u1", **fields})
    return rank(request, request_id, AT, loaded, serving=serving or Serving())


def shown(ranking: Ranking) -> list[str]:
    return [item.post_id for item in ranking.response().items]


def reasons(ranking: Ranking) -> dict[str, str]:
    return {one.post_id: one.reason for one in ranking.asked.excluded}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    candidates=st.lists(st.sampled_from([*POSTS, "unknown", "ünknown"]), min_size=1, max_size=40),
    blocked=st.lists(st.sampled_from(POSTS), max_size=5),
    limit=st.none() | st.integers(1, 50),
    temperature=st.none() | st.sampled_from([1e-3, 0.1, 10.0]),
    pin=st.none() | st.integers(1, 60),
    random=st.randoms(use_true_random=False),
)
def test_an_answer_is_a_permutation_of_what_filters_leave(
    loaded: Loaded, candidates: list[str], blocked: list[str], limit: int | None,
    temperature: float | None, pin: int | None, random: object,
) -> None:  # fmt: skip
    fields = {
        "filters": Filters(posts=blocked),
        "limit": limit,
        "explore": Explore(temperature=temperature) if temperature else "off",
        "pinned": [Pin(post_id=candidates[0], position=pin)] if pin else [],
    }
    first = ranked(loaded, candidate_ids=candidates, **fields)
    turned = random.sample(candidates, len(candidates))  # type: ignore[attr-defined]
    again = ranked(loaded, candidate_ids=turned, **fields)
    left = set(candidates) - {*blocked, samples.REMOVED}
    whole = [first.asked.posts.ids[place] for place in first.drawn.order]
    assert len(whole) == len(set(whole)) and set(whole) == left
    assert set(reasons(first)) == set(candidates) - left
    assert shown(first) == whole[: limit or len(whole)] == shown(again)
    items, others = first.response().items, again.response().items
    assert [(one.propensity, one.score) for one in items] == [(one.propensity, one.score) for one in others]
    assert loaded.snapshot is not None and loaded.champion is not None
    if items:
        posts = [one.post_id for one in items]
        matrix = loaded.snapshot.matrix(["u1"], posts, np.datetime64(AT), 1)
        bundle, names = loaded.champion.bundle, loaded.snapshot.names
        own = matrix[:, [names.index(feature) for feature in bundle.features]]
        offline = bundle.score(bundle.probabilities(own))
        np.testing.assert_allclose([one.score for one in items], offline, rtol=0, atol=1e-6)


def test_filters_take_out_what_they_name_and_say_why(loaded: Loaded) -> None:
    def out(**fields: object) -> dict[str, str]:
        found = ranked(loaded, candidate_ids=[*POSTS[:8], "unknown"], filters=Filters(**fields))
        assert set(shown(found)).isdisjoint(reasons(found))
        return {post: why for post, why in reasons(found).items() if post != samples.REMOVED}

    assert out(posts=["p1", "p40"]) == {"p1": "blocked_post"}
    assert set(out(authors=["ann"])) == {"p0", "p6"}
    assert set(out(topics=["sport"])) == {"p1", "p5", "p7"}
    language = Condition(attribute="language", any_of=["de"])
    assert set(out(attributes=[language])) == {"p1", "p2", "p4", "p5", "p7", "unknown"}
    assert set(out(attributes=[Condition(attribute="flags", none_of=["spam"])])) == {"p0", "p4"}
    assert set(out(attributes=[Condition(attribute="length", at_least=2, at_most=5)])) == {
        *("p0", "p1", "p6", "p7", "unknown")
    }
    nothing = rank(
        RankRequest(candidate_ids=["p1", "p2"], filters=Filters(attributes=[language])), "r", AT, Loaded()
    )
    assert reasons(nothing) == {"p1": "attribute", "p2": "attribute"}


def test_a_feeds_moderation_holds_for_every_request(loaded: Loaded) -> None:
    serving = Serving(moderation=Moderation(attribute="flags", hide=("spam",)))
    assert reasons(ranked(loaded, serving=serving))["p4"] == "moderated"
    more = ranked(loaded, serving=serving, filters=Filters(flags=["nsfw"]))
    assert set(reasons(more)) - set(reasons(ranked(loaded, serving=serving))) == {
        "p2",
        "p6",
        "p10",
        "p14",
        "p18",
    }


def test_a_pinned_post_has_its_place_unless_it_may_not_be_shown(loaded: Loaded) -> None:
    pins = [Pin(post_id="p7", position=2), Pin(post_id="p9", position=1)]
    found = ranked(loaded, pinned=pins, explore=Explore(temperature=0.1))
    assert (shown(found)[:2], found.policy) == (["p9", "p7"], "pinned")
    assert found.drawn.propensity[:2].tolist() == [1.0, 1.0]
    void = ranked(loaded, pinned=pins, filters=Filters(posts=["p9"]))
    assert "p9" not in shown(void) and shown(void)[1] == "p7"


def test_a_share_of_the_requests_explores_by_their_ids(loaded: Loaded) -> None:
    serving = Serving(exploration=Exploration(share=0.3, temperature=0.5, experiment="autumn"))
    found = [ranked(loaded, f"r{n}", serving) for n in range(400)]
    arms = {(one.arm.experiment, one.arm.name, one.policy) for one in found}
    assert arms == {("autumn", "explore", "plackett_luce"), ("autumn", "greedy", "greedy")}
    assert 90 < sum(one.policy != "greedy" for one in found) < 150
    assert all((one.drawn.propensity[0] == 1) == (one.policy == "greedy") for one in found)
    asked = ranked(loaded, "r", serving, explore="on")
    assert (asked.arm.experiment, asked.arm.name) == ("request", "explore")
    probe = [ranked(loaded, f"r{n}", serving, surface="_probe").policy for n in range(40)]
    assert set(probe) == {"greedy"}


def test_new_posts_are_shown_more_often_when_the_feed_wants_it(loaded: Loaded) -> None:
    def share_on_top(new_post_share: float) -> float:
        config = Exploration(share=1, temperature=0.02, new_post_share=new_post_share, new_post_hours=5)
        tops = [shown(ranked(loaded, f"r{n}", Serving(exploration=config), limit=1))[0] for n in range(400)]
        return float(np.mean([top in {"p0", "p1", "p2", "p4"} for top in tops]))

    assert share_on_top(0.9) == pytest.approx(0.9, abs=0.05)
    assert share_on_top(0.0) < 0.7


def test_a_fallback_does_not_explore(loaded: Loaded) -> None:
    found = ranked(Loaded(loaded.snapshot), explore="on")
    assert (found.scored.served_by, found.policy, found.arm.name) == ("popularity", "greedy", "explore")


def test_propensities_come_to_the_impressions_of_the_lake(home: Settings, loaded: Loaded) -> None:
    serving = Serving(exploration=Exploration(share=1, temperature=0.1))
    found = ranked(loaded, "r1", serving, limit=3)
    items = found.response().items
    requests, feedback = (SegmentWriter(home.logs / kind, "w") for kind in ("requests", "feedback"))
    requests.append(encode(request_record(found, AT, with_vectors=False)))
    for item in items:
        seen = FeedbackRecord(
            event_id=item.post_id, event_type="impression", post_id=item.post_id, occurred_at=AT,
            received_at=AT, request_id="r1", position=item.rank,
        )  # fmt: skip
        feedback.append(encode(seen))
    requests.close()
    feedback.close()
    with Lake.of(home).write("import") as con:
        import_logs(con, home, samples.FEED, AT + timedelta(minutes=1))
    with Lake.of(home).read() as con:
        impressions = con.execute(
            "select post_id, position, propensity, propensity_kind, policy from raw.impressions "
            "order by position"
        ).fetchall()
        request = con.execute("select experiment, arm, policy from serving.requests").fetchall()
    assert impressions == [
        (one.post_id, one.rank, one.propensity, "conditional", "plackett_luce") for one in items
    ]
    assert 0 < items[0].propensity < 1
    assert request == [("exploration", "explore", "plackett_luce")]
