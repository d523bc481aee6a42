"""The first sentence of a report: better, worse, or within noise."""

from dataclasses import dataclass

from feed_platform.evaluation.evaluate import Evaluation

FEW_POSITIVES = 100
WORDS = {"better": "better than", "worse": "worse than", "within noise": "not told apart from"}


@dataclass(frozen=True)
class Verdict:
    """`better`, `worse` or `within noise`, and a sentence that says so with numbers."""

    word: str
    sentence: str


def verdict(found: Evaluation) -> Verdict:
    """The version's log loss against the best baseline's, in one sentence.

    The best baseline is the one that validation liked best, so the test chooses nothing.
    """
    gap, (rows, positives) = found.gaps["log_loss"], found.parts["test"]
    word = "within noise" if not gap.is_clear else "better" if gap.high < 0 else "worse"
    few = f" {positives} positives are too few to tell models apart." if positives < FEW_POSITIVES else ""
    sentence = (
        f"{found.kind} is {WORDS[word]} {found.baseline}, the best other baseline, on {rows:,} test "
        f"impressions with {positives:,} {found.event}s: its log loss differs by {gap.value:+.4f} "
        f"(95 % interval {gap.low:+.4f} to {gap.high:+.4f}; below 0 is better).{few}"
    )
    return Verdict(word, sentence)
