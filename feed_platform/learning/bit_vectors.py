"""Trees as bit vectors: which leaves a row's features leave of every tree.

QuickScorer (Lucchese et al. 2015): a split that sends a row to the right strikes out the leaves on its left;
the first leaf that stays is the row's. What all splits on one feature strike out follows from how many of
their thresholds the feature has reached, so there is a line for each number (as RapidScorer merges equal
nodes, Ye et al. 2018). Trees with few leaves share a word of 64 bits, others
take several.

The rows of a request share a person, and requests share posts: what the columns of a group strike out
together is remembered by their values.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from feed_platform.learning.calibration import logit

if TYPE_CHECKING:
    import xgboost

Words = NDArray[np.uint64]
Places = NDArray[np.int64]
Floats = NDArray[np.float32]
Bits = NDArray[np.uint32]
WORD = 64
EVERY_LEAF = np.uint64(2**WORD - 1)
MOST_LINES = 128 * 2**20  # bytes of a booster's lines
MOST_REMEMBERED, MOST_MEMORY = 8_192, 32 * 2**20  # values of a group, bytes of all groups


class Trees(NamedTuple):
    """A booster of t trees in w words.

    Attributes:
        cuts: all features' thresholds, ascending within each.
        first_cut: where feature f's begin; (features + 1,).
        first_line: where its lines begin: one for each number of thresholds reached, one for a missing value.
        lines: which leaves stay (lines, w).
        first_bit: each tree's among all words' bits (t,).
        leaves: what each bit's leaf adds to the log-odds (64 w,).
        bias: what all rows begin with.
    """

    cuts: Floats
    first_cut: Places
    first_line: Places
    lines: Words
    first_bit: Words
    leaves: NDArray[np.float64]
    bias: float


NO_TREES = Trees(
    cuts=np.empty(0, dtype=np.float32),
    first_cut=np.zeros(2, dtype=np.int64),
    first_line=np.zeros(2, dtype=np.int64),
    lines=np.empty((0, 1), dtype=np.uint64),
    first_bit=np.empty(0, dtype=np.uint64),
    leaves=np.empty(0),
    bias=0.0,
)


class Memory(NamedTuple):
    """What g groups of columns struck out before, up to c values of each; forgotten where room may lack.

    Attributes:
        columns: each group's columns, one group after another; `begins` (g + 1,) says where.
        alone: columns in no group.
        factors: of the columns' hash.
        slots: by hash, where a value is remembered, from 1; 0 is free (g, a power of two).
        values: columns' bits (g, c, most columns).
        words: what stays (g, c, w).
        counts: how many are remembered (g,).
        entries: where the rows of a call are remembered (g, c).
        varying: the columns in no group that differ among them; (alone,).
        stays: what stays of a row before each group, then behind all but the last one (g + 1, w).
    """

    columns: Words
    begins: Places
    alone: Places
    factors: Words
    slots: NDArray[np.int32]
    values: Bits
    words: Words
    counts: Places
    entries: Places
    varying: Places
    stays: Words


SPLIT = np.dtype(
    [
        ("feature", "i8"),
        ("cut", "f4"),
        ("missing_goes_right", "?"),
        ("tree", "i8"),
        ("first", "i8"),
        ("leaves", "i8"),
    ]
)


def trees_of(booster: "xgboost.Booster") -> Trees:
    """A booster's trees.

    Raises:
        ValueError: it isn't of `binary:logistic`, its trees aren't of numbers alone, or they take too much.
    """
    learner = json.loads(booster.save_raw("json"))["learner"]
    leaves: list[list[float]] = []
    found: list[tuple[Any, ...]] = []
    for number, tree in enumerate(_plain_trees(learner)):
        leaves.append([])
        _read(tree, 0, number, leaves[-1], found)
    splits = np.array(found, dtype=SPLIT)
    first_bit, words = _packed([len(one) for one in leaves])
    values = np.zeros(WORD * words)
    for begin, own in zip(first_bit, leaves, strict=True):
        values[begin : begin + len(own)] = own
    parameters = learner["learner_model_param"]
    bias = logit(np.array(float(parameters["base_score"].strip("[]"))))
    lines = _lines(splits, int(parameters["num_feature"]), first_bit, words)
    return Trees(*lines, first_bit.astype(np.uint64), values, float(bias))


def memory_of(trees: Trees, groups: Iterable[Sequence[int]]) -> Memory:
    """Room to remember what groups of columns strike out, those first that change least often."""
    is_used = np.diff(trees.first_cut) > 0
    used = [columns for group in groups if (columns := [column for column in group if is_used[column]])]
    used = used or [[]]
    is_alone = is_used.copy()
    for columns in used:
        is_alone[columns] = False
    words, widest = trees.lines.shape[1], max(map(len, used))
    entries = max(1, min(MOST_REMEMBERED, MOST_MEMORY // (len(used) * (8 * words + 4 * widest))))
    return Memory(
        columns=np.array([column for columns in used for column in columns], dtype=np.uint64),
        begins=np.cumsum([0, *map(len, used)]),
        alone=np.flatnonzero(is_alone),
        factors=np.random.default_rng(0).integers(2**63, 2**64, widest, dtype=np.uint64) | np.uint64(1),
        slots=np.zeros((len(used), 1 << (2 * entries - 1).bit_length()), dtype=np.int32),
        values=np.empty((len(used), entries, widest), dtype=np.uint32),
        words=np.empty((len(used), entries, words), dtype=np.uint64),
        counts=np.zeros(len(used), dtype=np.int64),
        entries=np.empty((len(used), entries), dtype=np.int64),
        varying=np.empty(is_alone.sum(), dtype=np.int64),
        stays=np.empty((len(used) + 1, words), dtype=np.uint64),
    )


def _plain_trees(learner: Mapping[str, Any]) -> list[dict[str, Any]]:
    gradient_booster = learner["gradient_booster"]
    if learner["objective"]["name"] != "binary:logistic" or gradient_booster["name"] != "gbtree":
        raise ValueError("the booster isn't of binary:logistic and plain trees")
    trees: list[dict[str, Any]] = gradient_booster["model"]["trees"]
    if any(any(tree["split_type"]) for tree in trees):
        raise ValueError("a tree splits by categories")
    return trees


def _read(
    tree: Mapping[str, Any], node: int, number: int, leaves: list[float], splits: list[tuple[Any, ...]]
) -> None:
    """Add a node's leaves from the left, and the splits below it."""
    left = tree["left_children"][node]
    if left < 0:
        leaves.append(tree["split_conditions"][node])
        return
    first = len(leaves)
    _read(tree, left, number, leaves, splits)
    split = (tree["split_indices"][node], tree["split_conditions"][node], not tree["default_left"][node])
    splits.append((*split, number, first, len(leaves) - first))
    _read(tree, tree["right_children"][node], number, leaves, splits)


def _packed(leaves: Sequence[int]) -> tuple[Places, int]:
    """Each tree's first bit, and how many words there are; a tree begins a word where it wouldn't fit in."""
    firsts, end = [], 0
    for count in leaves:
        if end % WORD + count > WORD:
            end += -end % WORD
        firsts.append(end)
        end += count
    return np.array(firsts, dtype=np.int64), max(1, -(-end // WORD))


def _lines(
    splits: NDArray[Any], features: int, first_bit: Places, words: int
) -> tuple[Floats, Places, Places, Words]:
    """`cuts`, `first_cut`, `first_line` and `lines` of `Trees`."""
    splits = splits[np.lexsort((splits["cut"], splits["feature"]))]
    feature, cut = splits["feature"], splits["cut"]
    is_new = np.ones(len(splits), dtype=bool)
    is_new[1:] = (feature[1:] != feature[:-1]) | (cut[1:] != cut[:-1])
    first_cut = np.searchsorted(feature[is_new], np.arange(features + 1))
    first_line = first_cut + 2 * np.arange(features + 1)
    if 8 * words * first_line[-1] > MOST_LINES:
        raise ValueError(f"{len(splits)} splits would take more than {MOST_LINES >> 20} MiB")
    lines = np.full((first_line[-1], words), EVERY_LEAF)
    split, word, stays = _stays(splits, first_bit)
    np.bitwise_and.at(lines, ((np.cumsum(is_new) + 2 * feature)[split], word), stays)
    goes = splits["missing_goes_right"][split]
    np.bitwise_and.at(lines, (first_line[feature[split[goes]] + 1] - 1, word[goes]), stays[goes])
    for begin, end in zip(first_line[:-1], first_line[1:] - 1, strict=True):
        np.bitwise_and.accumulate(lines[begin:end], axis=0, out=lines[begin:end])
    return cut[is_new], first_cut, first_line, lines


def _stays(splits: NDArray[Any], first_bit: Places) -> tuple[Places, Places, Words]:
    """What splits leave when they send a row to the right, by split and word."""
    begin = first_bit[splits["tree"]] + splits["first"]
    end = begin + splits["leaves"]
    spans = (end - 1) // WORD - begin // WORD + 1
    split = np.repeat(np.arange(len(splits)), spans)
    word = begin[split] // WORD + np.arange(len(split)) - np.repeat(np.cumsum(spans) - spans, spans)
    low = np.maximum(begin[split] - WORD * word, 0)
    high = np.minimum(end[split] - WORD * word, WORD)
    return split, word, ~(EVERY_LEAF >> (WORD - high + low).astype(np.uint64) << low.astype(np.uint64))
