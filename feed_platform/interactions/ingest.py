"""The import: batches of raw rows into the lake, each row once."""

from collections.abc import Iterable
from datetime import datetime

from feed_platform.feed import Feed
from feed_platform.interactions.batch import Batch, Counts, Mode
from feed_platform.lake import Lake


def ingest(
    lake: Lake,
    feed: Feed,
    batches: Iterable[Batch],
    *,
    mode: Mode,
    source: str,
    imported_at: datetime,
    as_history: bool = False,
) -> Counts:
    """Bring batches into the raw tables in one write transaction."""
    raise NotImplementedError
