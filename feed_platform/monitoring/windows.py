"""Which rows are compared: those that the champion was fitted to, and the newest days since."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate

import duckdb
import polars as pl

from feed_platform.features.frame import recent_frame
from feed_platform.feed import Feed
from feed_platform.lake.seal import DAY
from feed_platform.learning import registry
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.examples import TABLE as EXAMPLES
from feed_platform.learning.record import TrainingRecord
from feed_platform.learning.splits import Window
from feed_platform.settings import Settings

BEGINNING = datetime(1970, 1, 1)
MOST_DAYS = 7
NEEDED_ROWS = 500
WANTED_ROWS = 2_000
SAMPLE_ROWS = 10_000
WARM_UP = timedelta(days=7)  # the longest window that features count in

IMPRESSIONS = "select known_day as day from marts.impression_features"
PREDICTIONS = """select cast(requested_at as date) as day, request_id, post_id, score
    from serving.requests join serving.candidates using (request_id)
    where served_by = 'champion' and model_version = $version"""
LABELLED = f"select matured_day as day from {EXAMPLES} where shown_at >= $trained_until"


@dataclass(frozen=True)
class Reference:
    """The champion: its version, the `shown_at` of the rows that it was fitted to, and itself."""

    version: str
    window: Window
    bundle: Bundle

    @property
    def first_day_after(self) -> datetime:
        """Midnight of the first day that holds none of its rows."""
        return midnight((self.window.end - timedelta(microseconds=1)).date()) + DAY


def champion_reference(settings: Settings) -> Reference | None:
    """What the champion was fitted to; None before the first training."""
    champion = registry.champion(settings)
    if champion is None:
        return None
    training = TrainingRecord.of(registry.client(settings), champion.run_id)
    return Reference(champion.version, training.split.train, registry.load_bundle(champion))


def newest_days(
    con: duckdb.DuckDBPyConnection, relation: str, since: datetime, **names: str | datetime
) -> Window | None:
    """The fewest newest days, a week at most, that hold 2,000 rows together.

    Args:
        con: the lake.
        relation: a query with a column `day`; `names` are its parameters.
        since: midnight of the first day that may be taken.

    Returns:
        Whole days; all there are where they hold fewer rows, None where there is none.
    """
    days = con.execute(
        f"select day, count(*) from ({relation}) where day >= $since "
        f"group by day order by day desc limit {MOST_DAYS}",
        {"since": since, **names},
    ).fetchall()
    if not days:
        return None
    totals = accumulate(rows for _, rows in days)
    oldest = next((day for (day, _), total in zip(days, totals, strict=True) if total >= WANTED_ROWS), None)
    return Window(midnight(oldest or days[-1][0]), midnight(days[0][0]) + DAY)


def reference_features(
    con: duckdb.DuckDBPyConnection, feed: Feed, reference: Reference
) -> tuple[pl.DataFrame, str | None]:
    """The model's features, as it saw them, of at most 10,000 rows that it was fitted to, and their `day`.

    The feed's first week, in which counters only fill, is left out if 500 later rows are there;
    else a note says that it is in.
    """
    settled = _fitted_rows(con, reference, max(reference.window.start, feed.start_at + WARM_UP))
    if len(settled) >= NEEDED_ROWS:
        return settled, None
    note = "The reference is from the feed's first week, in which counters only fill: they seem to drift."
    return _fitted_rows(con, reference, reference.window.start), note


def recent_features(con: duckdb.DuckDBPyConnection, feed: Feed, days: Window | None) -> pl.DataFrame:
    """The features of at most 10,000 impressions known on these days; none without days."""
    return recent_frame(con, feed, days.start, days.end, SAMPLE_ROWS) if days else pl.DataFrame()


def _fitted_rows(con: duckdb.DuckDBPyConnection, reference: Reference, since: datetime) -> pl.DataFrame:
    features = ", ".join(f'cast("{name}" as float) as "{name}"' for name in reference.bundle.features)
    return con.execute(
        f"""select {features}, cast(shown_at as date) as day from (
                select * from {EXAMPLES} where shown_at >= $since and shown_at < $end
                order by md5_number_lower(impression_id) limit {SAMPLE_ROWS}
            ) order by shown_at, impression_id""",
        {"since": since, "end": reference.window.end},
    ).pl()


def scores(con: duckdb.DuckDBPyConnection, version: str, days: Window) -> pl.Series:
    """At most 10,000 scores that a model gave to candidates on these days."""
    return con.execute(
        f"""select score from ({PREDICTIONS}) where day >= $start and day < $end
            order by md5_number_lower(request_id || chr(31) || post_id) limit {SAMPLE_ROWS}""",
        {**vars(days), "version": version},
    ).pl()["score"]


def midnight(day: date) -> datetime:
    """The day's first instant."""
    return datetime.combine(day, datetime.min.time())
