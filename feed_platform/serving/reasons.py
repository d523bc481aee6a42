"""Features in words that a person understands: which belong together, and what is said of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from feed_platform.features.on_demand import LOCAL_HOUR
from feed_platform.serving.drawing import Vector

_COUNTED = re.compile(
    r"(?P<of>user_topic|user_author|user|post|author|topic)_(?P<measure>\w+?)_(?P<window>\d+[hd])"
)
_SINCE = re.compile(r"(?P<of>user_topic|user_author|user|post|author|topic)_hours_since_(?P<event>\w+)")
_ATTRIBUTE = re.compile(r"(?P<owner>user|post)_attr_(?P<name>\w+)")

OBJECTS = {
    "user_topic": ("you", "this topic"),
    "user_author": ("you", "this author"),
    "user": ("you", "posts"),
    "post": ("people", "this post"),
    "author": ("people", "this author's posts"),
    "topic": ("people", "this topic"),
}
VERBS = {
    "clicks": ("click on", "clicked on"),
    "ctr": ("click on", "clicked on"),
    "likes": ("like", "liked"),
    "comments": ("comment on", "commented on"),
    "shares": ("share", "shared"),
    "hides": ("hide", "hidden"),
    "reports": ("report", "reported"),
    "follows": ("follow", "followed"),
    "dwell_ms": ("spend time on", "spent time on"),
}
UNWANTED = ("hides", "reports")
OF_THE_MOMENT = {
    "post_age_hours": "how old the post is",
    "position": "where it stands in the feed",
    **dict.fromkeys(("hour_of_day", "day_of_week", LOCAL_HOUR), "the time of the day and the week"),
}


@dataclass(frozen=True)
class Theme:
    """Features that say the same thing over different windows.

    Attributes:
        name: what they are about, whatever they add.
        often, seldom, never: said where they add to a score, take from it, or count nothing; empty where
            only the name can be said.
    """

    name: str
    often: str = ""
    seldom: str = ""
    never: str = ""

    def words(self, contribution: float, counts: Vector) -> str:
        """What is said of a contribution; `counts` are the theme's features, missing is NaN."""
        if not self.often:
            return self.name
        if not np.nan_to_num(counts).any():
            return self.never
        return self.often if contribution > 0 else self.seldom


def theme_of(feature: str) -> Theme:
    """What a feature is about.

    Example:
        >>> theme_of("user_topic_likes_7d").words(0.8, np.array([3.0]))
        'you often like this topic'
    """
    if feature in OF_THE_MOMENT:
        return Theme(OF_THE_MOMENT[feature])
    if found := _COUNTED.fullmatch(feature):
        return _counted(found["of"], found["measure"])
    if found := _SINCE.fullmatch(feature):
        who, what = OBJECTS[found["of"]]
        return Theme(f"how lately {who} had a {found['event'].replace('_', ' ')} with {what}")
    if found := _ATTRIBUTE.fullmatch(feature):
        return Theme(f"{'your' if found['owner'] == 'user' else 'its'} {found['name'].replace('_', ' ')}")
    return Theme(feature.replace("_", " "))


@cache
def themes(features: Sequence[str]) -> dict[Theme, list[int]]:
    """The places of a model's features by theme."""
    found: dict[Theme, list[int]] = {}
    for place, feature in enumerate(features):
        found.setdefault(theme_of(feature), []).append(place)
    return found


def _counted(of: str, measure: str) -> Theme:
    who, what = OBJECTS[of]
    whose = "your" if who == "you" else "people's"
    if measure not in VERBS:
        return Theme(f"{whose} {measure.replace('_', ' ')} of {what}")
    now, past = VERBS[measure]
    more, less = ("seldom", "often") if measure in UNWANTED else ("often", "seldom")
    return Theme(
        f"how often {who} {now} {what}",
        f"{who} {more} {now} {what}",
        f"{who} {less} {now} {what}",
        f"{who} have not {past} {what} lately",
    )
