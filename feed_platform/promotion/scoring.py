"""The process that measures a bundle: `python -m feed_platform.promotion.scoring FOLDER` prints JSON."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from feed_platform.learning.bundle import Bundle

CANDIDATES, WARM, TIMES = 200, 20, 200
MEGABYTE = 1 << 20


def main(folder: Path) -> dict[str, float]:
    """Load, self-test, score 200 candidates 200 times."""
    process = psutil.Process()
    before = process.memory_info().rss
    bundle = Bundle.load(folder)
    bundle.self_test()
    rows = np.resize(bundle.rows, (CANDIDATES, len(bundle.features)))
    seconds = [_timed(bundle, rows) for _ in range(WARM + TIMES)][WARM:]
    p50, p95 = np.quantile(seconds, [0.5, 0.95]) * 1_000
    grown = max(0, process.memory_info().rss - before) / MEGABYTE
    return {"p50_ms": float(p50), "p95_ms": float(p95), "memory_mb": grown}


def _timed(bundle: Bundle, rows: np.ndarray) -> float:
    began = time.perf_counter()
    bundle.score(bundle.probabilities(rows))
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
