"""How little, or how much, so many rows can prove, in words."""

import math

from feed_platform.evaluation.bootstrap import detectable
from feed_platform.evaluation.evaluate import Evaluation

CONSTANT = "constant"


def proof(found: Evaluation) -> str:
    """The least difference that the test rows would show, and how many rows the found one would take."""
    rows, positives = found.parts["test"]
    ours, theirs = (found.models[kind].replicates["log_loss"] for kind in (found.kind, found.baseline))
    least, gap = detectable(ours - theirs), abs(found.gaps["log_loss"].value)
    if not math.isfinite(least) or least == 0:
        return f"{rows:,} test impressions with {positives:,} {found.event}s can't tell these models apart."
    said = (
        f"{rows:,} test impressions with {positives:,} {found.event}s of {found.users:,} users show a "
        f"difference of {least:.5f} in log loss{_share(found, least)} four times in five; "
        "smaller ones mostly stay unseen."
    )
    if gap >= least:
        return f"{said} The one found, {gap:.5f}, is large enough to be seen."
    if gap == 0:
        return f"{said} None was found."
    return f"{said} The one found, {gap:.5f}, would take about {rows_for(rows, least, gap):,} of them."


def rows_for(rows: int, least: float, gap: float) -> int:
    """How many rows show a gap, when `rows` show `least`: errors fall with the root of the rows.

    Example:
        >>> rows_for(10_000, 0.002, 0.001), rows_for(10_000, 0.003, 0.001)
        (40000, 90000)
    """
    needed = rows * (least / gap) ** 2
    digits = max(0, math.floor(math.log10(needed)) - 1)
    return round(needed / 10**digits) * 10**digits


def _share(found: Evaluation, least: float) -> str:
    """The difference as a share of what the baseline has gained over the overall rate."""
    if CONSTANT not in found.models or found.baseline == CONSTANT:
        return ""
    gain = found.models[CONSTANT].values["log_loss"] - found.models[found.baseline].values["log_loss"]
    return f" ({least / gain:.0%} of what {found.baseline} gains over the overall rate)" if gain > 0 else ""
