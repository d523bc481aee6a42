"""`python -m benchmarks.headroom`: how much of what there is to learn the ranker learns.

Simulated worlds with eight latent interests and 3.7 % clicks, from raw rows through the lake and dbt to
models. Headroom recovered is the share of the way from popularity's ROC AUC (the post's smoothed click
rate over 28 days) to that of the true probabilities, on the test days. The reference is XGBoost as it
comes, on counters of six entity groups over three windows, smoothed rates and ages, of the same rows.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean

from benchmarks.headroom import IMPRESSIONS_PER_POST

MODELS = ("popularity", "reference", "ours", "bayes")
HEADER = (
    f"{'per user':>8} {'seed':>4}  {'model':10} {'ROC AUC':>8} {'log loss':>8} {'ECE':>8} {'headroom':>8}"
)
Figures = dict[str, dict[str, float]]


def main() -> None:
    """Print a line for each world and model, then the means of each density."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.headroom", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="impressions of a world")
    parser.add_argument("--densities", type=float, nargs="+", default=[60, 600], help="impressions per user")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--per-post", type=float, default=IMPRESSIONS_PER_POST, help="impressions per post")
    parser.add_argument("--plot", type=Path, help="a PNG of headroom by density")
    options = parser.parse_args()
    print(HEADER)
    found: dict[float, list[Figures]] = defaultdict(list)
    for density in options.densities:
        for seed in options.seeds:
            found[density].append(world(options.rows, density, seed, options.per_post))
            print(lines(density, str(seed), found[density][-1]), flush=True)
        print(lines(density, "mean", averaged(found[density])), flush=True)
    if options.plot:
        plot({density: averaged(worlds) for density, worlds in found.items()}, options.plot)


def world(rows: int, density: float, seed: int, per_post: float) -> Figures:
    """One world's figures by model, from a process of its own."""
    asked = map(str, (rows, density, seed, per_post))
    command = [sys.executable, "-m", "benchmarks.headroom.contender", *asked]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def averaged(worlds: list[Figures]) -> Figures:
    """The mean of every figure."""
    return {
        model: {figure: mean(one[model][figure] for one in worlds) for figure in worlds[0][model]}
        for model in MODELS
    }


def lines(density: float, seed: str, figures: Figures) -> str:
    """A world's lines, one for each model."""
    return "\n".join(
        f"{density:8,.0f} {seed:>4}  {model:10} {one['auc']:8.4f} {one['log_loss']:8.4f} "
        f"{one['calibration_error']:8.4f} {one['headroom']:8.3f}"
        for model, one in ((model, figures[model]) for model in MODELS)
    )


def plot(means: dict[float, Figures], file: Path) -> None:
    """Headroom recovered against impressions per user."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for model in ("ours", "reference"):
        axes.plot(list(means), [one[model]["headroom"] for one in means.values()], marker="o", label=model)
    axes.set(xscale="log", xlabel="impressions per user", ylabel="headroom recovered", ylim=(0, 1))
    axes.legend()
    figure.savefig(file, dpi=150)


if __name__ == "__main__":
    main()
