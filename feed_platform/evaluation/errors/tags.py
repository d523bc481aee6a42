"""The tags of a test row: what may make it hard, and what could be done. New ones go into `TAGS` alone."""

from dataclasses import dataclass

import polars as pl

from feed_platform.evaluation.errors.rows import Mask

NIGHT, EVENING = 6, 18


@dataclass(frozen=True)
class Tag:
    """A name, the rows that carry it (a condition over a row of `training.examples`), what could be done."""

    name: str
    where: pl.Expr
    advice: str


def known(name: str) -> pl.Expr:
    """A feature, null where it is missing: polars takes NaN for the greatest number."""
    return pl.col(name).cast(pl.Float64).fill_nan(None)


def _above(name: str, share: float) -> pl.Expr:
    """The rows whose feature lies above that of a share of the rows."""
    return known(name) > known(name).quantile(share)


_HISTORY = known("user_impressions_28d")
_HOUR = known("hour_of_day")
_CLOCK = "Check that the hour has the user's time zone (attributes.time_zone in feed.toml)."

TAGS = (
    Tag(
        "no user id",
        pl.col("user_id").is_null(),
        "Only context can tell these requests apart: declare context keys (device, locale, referrer) in "
        "feed.toml, or give sessions an id.",
    ),
    Tag(
        "new user (nothing seen in 28 days)",
        pl.col("user_id").is_not_null() & (_HISTORY == 0),
        "Declare what is known at sign-up as user attributes; train on rows whose history was dropped.",
    ),
    Tag(
        "thin user history (1 to 20 impressions in 28 days)",
        _HISTORY.is_between(1, 20),
        "Draw a user's rates more strongly to those of people like them: declare user attributes.",
    ),
    Tag(
        "user back after a week or more",
        known("user_hours_since_impression") >= 168,
        "Windows of 28 days forget old tastes: a longer window, or counts that decay, would keep them.",
    ),
    Tag(
        "bot-like activity (top 1 % by impressions in 24 hours)",
        _above("user_impressions_24h", 0.99),
        "Look at these users in raw.impressions: exclude bots at import, or add a feature of the pace.",
    ),
    Tag(
        "very active user (top tenth by impressions in 7 days)",
        _above("user_impressions_7d", 0.9),
        "Much is known of them: crosses of their own rates with the post's would use it.",
    ),
    Tag(
        "new post (under 24 hours old)",
        known("post_age_hours") < 24,
        "Author and topic must speak for it: declare post attributes (length, media, language).",
    ),
    Tag(
        "post not shown before (in 28 days)",
        known("post_impressions_28d") == 0,
        "Give new posts some exploration, so that the first impressions come soon; declare post attributes.",
    ),
    Tag(
        "popular post (top tenth by impressions in 7 days)",
        _above("post_impressions_7d", 0.9),
        "Its overall rate is known well, who likes it isn't: crosses of user and post are what can help.",
    ),
    Tag(
        "author new to the user",
        (known("user_author_impressions_28d") == 0) & (_HISTORY > 0),
        "Features of authors like those that the user follows would speak for these.",
    ),
    Tag(
        "topic new to the user",
        (known("user_topic_impressions_28d") == 0) & (_HISTORY > 0),
        "Neighbouring topics would speak for these: a coarser topic as a post attribute.",
    ),
    Tag(
        "rare topic (under 2 % of the rows)",
        pl.col("topic").is_not_null() & (pl.len().over("topic") < 0.02 * pl.len()),
        "Merge rare topics into coarser ones when importing.",
    ),
    Tag(
        "author or topic unknown",
        pl.col("author_id").is_null() | pl.col("topic").is_null(),
        "Complete the posts' author_id and topic in the log.",
    ),
    Tag(
        "first position",
        known("position") == 1,
        "What stands first is clicked for standing there: more exploration at position 1 would tell.",
    ),
    Tag(
        "deep position (6 or more)",
        known("position") >= 6,
        "Few people look so far down: log whether a post was in view.",
    ),
    Tag("at night (0 to 6 UTC)", _HOUR < NIGHT, _CLOCK),
    Tag("in the evening (18 to 24 UTC)", _HOUR >= EVENING, _CLOCK),
    Tag(
        "weekend (UTC)",
        known("day_of_week") >= 5,
        "A log of few weeks has few weekends: more weeks in training.",
    ),
    Tag(
        "not the main surface",
        pl.col("surface") != pl.col("surface").drop_nulls().mode().first(),
        "Other surfaces, other habits: declare the surface as a context key, so that it is a feature.",
    ),
)


def tagged(frame: pl.DataFrame, tags: tuple[Tag, ...] = TAGS) -> list[tuple[Tag, Mask]]:
    """The tags with the rows that carry them, (n,) each.

    Left out are tags whose columns the frame lacks, and those that no row carries, or every one.
    """
    able = [tag for tag in tags if set(tag.where.meta.root_names()) <= set(frame.columns)]
    masks = frame.select(tag.where.fill_null(False).alias(tag.name) for tag in able)
    return [(tag, masks[tag.name].to_numpy()) for tag in able if masks[tag.name].n_unique() > 1]
