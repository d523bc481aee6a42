"""A model reads the features that it wants and no others, each as the whole matrix has it."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_platform.features.online import OnlineSnapshot
from feed_platform.feed import Attributes
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

CONTEXT = [{"device": "tv"}, {"device": "phone"}, {}]
POSTS = ["p1", "p9", "new"]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> OnlineSnapshot:
    declared = Attributes(
        posts={"language": "category", "flags": "list", "length": "number"}, context={"device": "category"}
    )
    feed = samples.FEED.model_copy(update={"attributes": declared})
    return samples.open_snapshot(Settings(home=tmp_path_factory.mktemp("blocks")), feed)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), users=st.sampled_from([["u1"], [None], ["u1", "u2", "nobody"]]))
def test_what_is_wanted_is_what_the_whole_matrix_has(
    snapshot: OnlineSnapshot, data: st.DataObject, users: list[str | None]
) -> None:
    numbers = data.draw(st.lists(st.sampled_from(range(len(snapshot.names))), min_size=1, unique=True))
    at = np.datetime64(samples.AS_OF + timedelta(minutes=30))
    whole = snapshot.matrix(users, POSTS, at, [1, 2, 3], CONTEXT)
    wanted = snapshot.wanted([snapshot.names[number] for number in numbers])
    np.testing.assert_array_equal(
        snapshot.matrix(users, POSTS, at, [1, 2, 3], CONTEXT, wanted), whole[:, numbers]
    )


def test_a_feature_that_is_not_there(snapshot: OnlineSnapshot) -> None:
    with pytest.raises(KeyError, match="no_such"):
        snapshot.wanted(["no_such"])
