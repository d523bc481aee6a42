"""The candidates of one feed request: from all sources in turn, without what was seen or hidden."""

import numpy as np

from feed_platform.features.candidates.lists import Candidates, Rows, interleave
from feed_platform.features.keys import Keys, key
from feed_platform.features.online import OnlineSnapshot
from feed_platform.serving.schemas import Source


def gather(
    snapshot: OnlineSnapshot, known: Candidates, user_id: str | None, left_out: Keys, most: int
) -> dict[str, list[Source]]:
    """At most so many posts, and where each of them came from.

    Args:
        known: the snapshot's candidates.
        user_id: None, or an unknown person: fresh and trending posts alone.
        left_out: keys of posts besides those that the snapshot knows as seen or hidden.
    """
    user = known.user(key(user_id))
    gone = np.concatenate([snapshot.keys_at(known.left_out(user)), left_out])
    lists = {
        source: rows[~np.isin(snapshot.keys_at(rows), gone)] for source, rows in _sources(known, user).items()
    }
    rows = interleave(list(lists.values()), most)
    ids = snapshot.ids_at(rows)
    found: dict[str, list[Source]] = {post_id: ["fresh"] for post_id in _changed(snapshot, gone)}
    for source, listed in lists.items():
        for place in np.flatnonzero(np.isin(rows, listed)).tolist():
            sources = found.setdefault(ids[place], [])
            if source not in sources:
                sources.append(source)
    return dict(list(found.items())[:most])


def _sources(known: Candidates, user: int) -> dict[Source, Rows]:
    return {
        "similar": known.similar(user),
        "topic": known.by_topic(user),
        "author": known.by_author(user),
        "trending": known.trending,
        "fresh": known.fresh,
    }


def _changed(snapshot: OnlineSnapshot, gone: Keys) -> list[str]:
    """Posts that have come in since the snapshot's hour."""
    without = set(gone.tolist()) if snapshot.newest_changed else set()
    return [post_id for post_id in snapshot.newest_changed if key(post_id) not in without]
