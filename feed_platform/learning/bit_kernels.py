"""The loops of `bit_vectors`, compiled by Numba when they are first called. They hold no lock of Python's."""

import numpy as np
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from feed_platform.learning.bit_vectors import EVERY_LEAF, Bits, Floats, Memory, Trees


@njit(nogil=True)
def probabilities(matrix: Floats, bits: Bits, trees: Trees, memory: Memory, found: Floats) -> None:
    """Fill `found` (n,) for no more rows than can be remembered; `bits` is the matrix (n, k) as integers."""
    for group in range(len(memory.counts)):
        if memory.counts[group] + len(matrix) > memory.words.shape[1]:
            _forget(memory, group)
        _find(matrix, bits, trees, memory, group)
    varying = _strike_shared(matrix, trees, memory)
    for row in range(len(matrix)):
        at = _strike_groups(memory, row)
        if varying > 0:
            at = _strike_varying(matrix, trees, memory, row, varying)
        found[row] = 1.0 / (1.0 + np.exp(-_log_odds(trees, memory, row, at)))


@njit(nogil=True)
def _forget(memory: Memory, group: int) -> None:
    for at in range(memory.slots.shape[1]):
        memory.slots[group, at] = 0
    memory.counts[group] = 0


@njit(nogil=True)
def _find(matrix: Floats, bits: Bits, trees: Trees, memory: Memory, group: int) -> None:
    """Look up where it is remembered what a group strikes out of each row's leaves."""
    first = memory.begins[group]
    width = memory.begins[group + 1] - first
    last = memory.slots.shape[1] - 1
    for row in range(len(matrix)):
        if row > 0 and _is_repeated(bits, row, memory, group):
            memory.entries[group, row] = memory.entries[group, row - 1]
            continue
        hashed = np.uint64(0)
        for place in range(width):
            hashed += bits[row, memory.columns[first + place]] * memory.factors[place]
        at = np.int64(hashed >> np.uint64(32)) & last
        while memory.slots[group, at] > 0 and not _is_entry(bits, row, memory, group, at):
            at = (at + 1) & last
        if memory.slots[group, at] == 0:
            _remember(matrix, bits, row, trees, memory, group, at)
        memory.entries[group, row] = memory.slots[group, at] - 1


@njit(nogil=True)
def _is_repeated(bits: Bits, row: int, memory: Memory, group: int) -> bool:
    for place in range(memory.begins[group], memory.begins[group + 1]):
        column = memory.columns[place]
        if bits[row, column] != bits[row - 1, column]:
            return False
    return True


@njit(nogil=True)
def _is_entry(bits: Bits, row: int, memory: Memory, group: int, at: int) -> bool:
    first, entry = memory.begins[group], memory.slots[group, at] - 1
    for place in range(memory.begins[group + 1] - first):
        if memory.values[group, entry, place] != bits[row, memory.columns[first + place]]:
            return False
    return True


@njit(nogil=True)
def _remember(
    matrix: Floats, bits: Bits, row: int, trees: Trees, memory: Memory, group: int, at: int
) -> None:
    first, entry = memory.begins[group], memory.counts[group]
    memory.counts[group] = entry + 1
    memory.slots[group, at] = entry + 1
    for word in range(memory.words.shape[2]):
        memory.words[group, entry, word] = EVERY_LEAF
    for place in range(memory.begins[group + 1] - first):
        column = memory.columns[first + place]
        memory.values[group, entry, place] = bits[row, column]
        line = _line(trees, column, matrix[row, column])
        for word in range(memory.words.shape[2]):
            memory.words[group, entry, word] &= trees.lines[line, word]


@njit(nogil=True)
def _line(trees: Trees, column: int, value: float) -> int:
    """The line for a feature's value, by bisection."""
    low, high = trees.first_cut[column], trees.first_cut[column + 1]
    first = trees.first_line[column] - low
    if np.isnan(value):
        return first + high + 1
    while low < high:
        middle = (low + high) >> 1
        if trees.cuts[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return first + low


@njit(nogil=True)
def _strike_shared(matrix: Floats, trees: Trees, memory: Memory) -> int:
    """Strike out what columns without a group do to all rows alike; how many others there are."""
    stays, varying = memory.stays, 0
    for word in range(stays.shape[1]):
        stays[0, word] = EVERY_LEAF
    for column in memory.alone:
        row, line = 1, _line(trees, column, matrix[0, column])
        while row < len(matrix) and _line(trees, column, matrix[row, column]) == line:
            row += 1
        if row < len(matrix):
            memory.varying[varying] = column
            varying += 1
            continue
        for word in range(stays.shape[1]):
            stays[0, word] &= trees.lines[line, word]
    return varying


@njit(nogil=True)
def _strike_groups(memory: Memory, row: int) -> int:
    """Strike out what all groups but the last do, from the first that differs from the row before."""
    group, last = 0, len(memory.counts) - 1
    while row > 0 and group < last and memory.entries[group, row] == memory.entries[group, row - 1]:
        group += 1
    while group < last:
        entry = memory.entries[group, row]
        for word in range(memory.stays.shape[1]):
            memory.stays[group + 1, word] = memory.stays[group, word] & memory.words[group, entry, word]
        group += 1
    return last


@njit(nogil=True)
def _strike_varying(matrix: Floats, trees: Trees, memory: Memory, row: int, varying: int) -> int:
    stays, at = memory.stays, len(memory.counts)
    for word in range(stays.shape[1]):
        stays[at, word] = stays[at - 1, word]
    for place in range(varying):
        column = memory.varying[place]
        line = _line(trees, column, matrix[row, column])
        for word in range(stays.shape[1]):
            stays[at, word] &= trees.lines[line, word]
    return at


@njit(nogil=True)
def _log_odds(trees: Trees, memory: Memory, row: int, at: int) -> float:
    """A row's leaves, added up: always in the same order, so that equal rows have equal sums."""
    count = len(trees.first_bit)
    a, b, c, d = trees.bias, 0.0, 0.0, 0.0  # side by side: an addition waits for the one before
    for tree in range(0, count - 3, 4):
        a += _leaf(trees, memory, row, at, tree)
        b += _leaf(trees, memory, row, at, tree + 1)
        c += _leaf(trees, memory, row, at, tree + 2)
        d += _leaf(trees, memory, row, at, tree + 3)
    for tree in range(count - count % 4, count):
        a += _leaf(trees, memory, row, at, tree)
    return (a + b) + (c + d)


@njit(nogil=True)
def _leaf(trees: Trees, memory: Memory, row: int, at: int, tree: int) -> float:
    """The value of the first leaf that stays after the last group too."""
    last = len(memory.counts) - 1
    first, entry = trees.first_bit[tree], memory.entries[last, row]
    word = first >> np.uint64(6)
    left = (memory.stays[at, word] & memory.words[last, entry, word]) >> (first & np.uint64(63))
    while left == 0:
        word += np.uint64(1)
        first = word << np.uint64(6)
        left = memory.stays[at, word] & memory.words[last, entry, word]
    return float(trees.leaves[first + _lowest(left)])  # type: ignore[call-arg]


@intrinsic
def _lowest(_, word):  # type: ignore[no-untyped-def]
    """The place of a word's lowest bit."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

    return types.uint64(word), generate
