"""The process that measures a bundle: `python -m feed_platform.promotion.scoring FOLDER [HOME]` prints JSON.

With a home it answers rank requests as a replica does, on the home's online snapshot: the request's text in,
features looked up, the bundle's scores, the answer's text out. The requests come as a JSON list on standard
input. Without a home it scores the bundle's own rows.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import psutil

from feed_platform.features.online import OnlineSnapshot
from feed_platform.feed import FeedError, load_feed
from feed_platform.learning.bundle import Bundle
from feed_platform.learning.quick_predict import compile_now
from feed_platform.serving.ranking import rank
from feed_platform.serving.schemas import RankRequest
from feed_platform.serving.store import Loaded, Model
from feed_platform.settings import Settings

CANDIDATES, WARM, TIMES = 200, 20, 200
MEGABYTE = 1 << 20

Answer = Callable[[int], object]


def main(folder: Path, home: Path | None, requests: Sequence[object]) -> dict[str, float]:
    """Load, self-test, answer 200 times for 200 candidates.

    Raises:
        FeedError: files or snapshot don't fit the model, or it doesn't answer.
    """
    compile_now()  # a replica does it once, whatever it serves
    process = psutil.Process()
    before = process.memory_info().rss
    bundle = Bundle.load(folder).quickened()
    bundle.self_test()
    answer = _as_replica(bundle, Settings(home=home), requests) if home else _alone(bundle)
    seconds = [_timed(answer, turn) for turn in range(WARM + TIMES)][WARM:]
    p50, p95 = np.quantile(seconds, [0.5, 0.95]) * 1_000
    grown = max(0, process.memory_info().rss - before) / MEGABYTE
    return {"p50_ms": float(p50), "p95_ms": float(p95), "memory_mb": grown}


def _alone(bundle: Bundle) -> Answer:
    rows = np.resize(bundle.rows, (CANDIDATES, len(bundle.features)))
    return lambda turn: bundle.score(bundle.probabilities(rows))


def _as_replica(bundle: Bundle, settings: Settings, requests: Sequence[object]) -> Answer:
    """What a replica's worker runs for a request, but for HTTP itself and the log's record."""
    feed, snapshot = load_feed(settings), OnlineSnapshot.current(settings)
    assert snapshot is not None
    loaded = Loaded().with_parts(Model("candidate", bundle), snapshot)
    at = snapshot.as_of + feed.feature_delay
    bodies = [msgspec.json.encode(request) for request in requests]
    decoder, encoder = msgspec.json.Decoder(RankRequest), msgspec.json.Encoder()

    def answer(turn: int) -> bytes:
        request = decoder.decode(bodies[turn % len(bodies)])
        ranking = rank(request, str(turn), at, loaded, serving=feed.serving)
        if ranking.scored.served_by != "champion":
            raise FeedError(f"the tier {ranking.scored.served_by} answers in the model's place")
        return encoder.encode(ranking.response())

    return answer


def _timed(answer: Answer, turn: int) -> float:
    began = time.perf_counter()
    answer(turn)
    return time.perf_counter() - began


if __name__ == "__main__":
    home = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), home, json.load(sys.stdin))))
