"""Training table, baselines, ranker, calibration, registry."""
