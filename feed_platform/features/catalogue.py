"""What features there are, and the one order that training and serving keep them in.

The windows and measures are defined by the dbt project's vars, which a test holds equal to these.
"""

from itertools import product

from feed_platform.features.on_demand import ON_DEMAND
from feed_platform.feed import Feed

GROUPS = ("user", "post", "topic", "user_topic")
MEASURES = (
    "impressions",
    "clicks",
    "likes",
    "comments",
    "shares",
    "hides",
    "reports",
    "follows",
    "dwell_ms",
)
WINDOWS = ("24h", "7d")


def stored_names(group: str) -> tuple[str, ...]:
    """The columns that the lake stores for one entity group: by window, measures then the rate."""
    return tuple(f"{group}_{measure}_{window}" for window, measure in product(WINDOWS, (*MEASURES, "ctr")))


def user_attribute_names(feed: Feed) -> tuple[str, ...]:
    """The feature columns of the users' declared attributes."""
    return tuple(f"user_attr_{name}" for name in feed.attributes.users)


def post_attribute_names(feed: Feed) -> tuple[str, ...]:
    """The feature columns of the posts' declared attributes."""
    return tuple(f"post_attr_{name}" for name in feed.attributes.posts)


def feature_names(feed: Feed) -> tuple[str, ...]:
    """Every feature of a feed in the order of every matrix: stored, on demand, attributes."""
    stored = (name for group in GROUPS for name in stored_names(group))
    return (*stored, *ON_DEMAND, *user_attribute_names(feed), *post_attribute_names(feed))
