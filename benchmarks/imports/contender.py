"""One side of the comparison, in a process of its own: `python -m benchmarks.imports.contender`."""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from feed_platform.interactions.mapping import import_mapping
from feed_platform.lake import Lake
from feed_platform.settings import Settings

# What one would write by hand: the same casts, the least time of each id, into the same kind of lake.
CTAS = """
create table by_hand as
select impression_id, request_id, user_id, post_id, try_cast(shown_at as timestamp) as shown_at,
       try_cast(position as integer) as position, try_cast(propensity as double) as propensity, policy
from {source} qualify row_number() over (partition by impression_id order by shown_at) = 1
"""


def ours(settings: Settings, log: Path) -> int:
    """The product's import, from a mapping file; the rows that came in."""
    return import_mapping(settings, log.with_name("mapping.yaml"), mode="history").impressions.inserted


def ctas(settings: Settings, log: Path) -> int:
    """DuckDB's CREATE TABLE AS; the rows that came in."""
    source = f"read_csv('{log}', all_varchar = true)" if log.suffix == ".csv" else f"'{log}'"
    with Lake.of(settings).write("by hand") as con:
        con.execute(CTAS.format(source=source))
        row = con.execute("select count(*) from by_hand").fetchone()
    return int(row[0]) if row else 0


CONTENDERS: dict[str, Callable[[Settings, Path], int]] = {"ours": ours, "ctas": ctas}


def main(name: str, log: str) -> None:
    """Run one contender and print seconds, peak resident memory (MiB) and rows as JSON."""
    start = time.perf_counter()
    rows = CONTENDERS[name](Settings(), Path(log))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_mib": peak, "rows": rows}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
