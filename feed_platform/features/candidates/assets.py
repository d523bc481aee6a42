"""The neighbours of posts as an asset. The other candidates are arrays of the online snapshot."""

import dagster as dg

from feed_platform.features.candidates.neighbours import COLUMNS, TABLE, write_neighbours
from feed_platform.features.catalogue import GROUPS
from feed_platform.resources import Home
from feed_platform.table_metadata import add_profile, table_definition


@dg.asset(
    key=TABLE.split("."),
    deps=[dg.AssetKey(["features", f"online_{group}"]) for group in GROUPS],
    group_name="features",
    kinds={"ducklake"},
    metadata=table_definition(TABLE, COLUMNS),
    description="Each post's 20 nearest by who engages with both, of the last 28 days: for /v1/feed.",
)
def neighbours(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
    """Compare posts by the people who engage with them, as of the last build."""
    written = write_neighbours(home.lake, home.feed)
    with home.lake.read() as con:
        add_profile(context, con, context.asset_key, None)
    return dg.MaterializeResult(metadata={"posts with neighbours": written.posts, "pairs": written.pairs})
