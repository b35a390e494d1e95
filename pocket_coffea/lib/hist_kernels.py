"""The compiled loops that fill histograms. Importing this module imports numba: do it where a
kernel is called.

Words used below: an *entry* is one value to fill (an event, or an object of one); its *bin* is the
flat index over the dense axes of the histogram, flow bins included, -1 for "do not fill"; a
*pattern* is a set of categories that events have in common; a *row* is a line of the buffer that
the weights are added to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pocket_coffea.lib._numba import inlined, kernel

__all__ = [
    "add_rows",
    "combine",
    "fill_many_rows",
    "fill_rows",
    "index_regular",
    "index_variable",
    "number_patterns",
    "take_at",
    "take_rows",
]


@kernel
def index_regular(values: Any, start: float, delta: float, size: int, overflow: bool, out: Any) -> None:
    """Write the bin of each value on a regular axis: -1 below, ``size`` above and for NaN."""
    for k in range(values.shape[0]):
        z = (values[k] - start) / delta
        if z < 1.0:
            out[k] = np.int32(z * size) if z >= 0.0 else -1
        elif z == 1.0 and not overflow:
            out[k] = size - 1
        else:
            out[k] = size


@kernel
def index_variable(values: Any, edges: Any, overflow: bool, hint: Any, out: Any) -> None:
    """Write the bin of each value on an axis with these edges: -1 below, the number of bins above
    and for NaN.

    ``hint`` cuts the range of the axis in equal cells and holds the bin of the lower end of each
    (see ``cell_hints``).
    """
    size = edges.shape[0] - 1
    low = edges[0]
    high = edges[size]
    per_cell = hint.shape[0] / (high - low)
    for k in range(values.shape[0]):
        x = values[k]
        if x < low:
            out[k] = -1
        elif x < high:
            i = hint[min(int((x - low) * per_cell), hint.shape[0] - 1)]
            while x < edges[i]:
                i -= 1
            while x >= edges[i + 1]:
                i += 1
            out[k] = i
        elif x == high and not overflow:
            out[k] = size - 1
        else:
            out[k] = size


@kernel
def combine(flat: Any, index: Any, shift: int, extent: int, stride: int) -> None:
    """Add one axis to the flat bins: ``index`` counts from -1, ``shift`` is 1 if there is an
    underflow bin.
    """
    for k in range(flat.shape[0]):
        i = index[k] + shift
        if flat[k] >= 0:
            flat[k] = flat[k] + i * stride if 0 <= i < extent else -1


@kernel
def take_at(values: Any, offsets: Any, events: Any, pos: int, taken: tuple[Any, Any]) -> None:
    """Take the ``pos``-th object of each of ``events`` to ``taken[0]``; ``taken[1]`` tells whether
    it exists.
    """
    out, exists = taken
    for k in range(events.shape[0]):
        i = offsets[events[k]] + pos
        exists[k] = i < offsets[events[k] + 1]
        if exists[k]:
            out[k] = values[i]


@kernel
def number_patterns(words: Any, ids: Any, first: Any, table: Any) -> int:
    """Number the distinct lines of ``words`` (n, n_words) in order of appearance.

    Fills ``ids`` (n,) with the number of each line and ``first`` with a line that shows each
    number; ``table`` is a hash table full of -1, a power of two longer than n. Returns how many
    there are.
    """
    count = 0
    last = np.uint64(table.shape[0] - 1)
    for i in range(words.shape[0]):
        key = np.uint64(0)
        for w in range(words.shape[1]):
            key = (key ^ words[i, w]) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        slot = key & last
        while True:
            seen = table[slot]
            if seen < 0:
                table[slot] = count
                first[count] = i
                ids[i] = count
                count += 1
                break
            same = True
            for w in range(words.shape[1]):
                same &= words[first[seen], w] == words[i, w]
            if same:
                ids[i] = seen
                break
            slot = (slot + np.uint64(1)) & last
    return count


@kernel
def take_rows(stacked: Any, events: Any, out: Any) -> None:
    """Transpose the weights ``stacked`` (n_variations, n_events) of ``events`` into ``out`` (n,
    n_variations).
    """
    block = 64
    for low in range(0, events.shape[0], block):
        high = min(low + block, events.shape[0])
        for v in range(stacked.shape[0]):
            for k in range(low, high):
                out[k, v] = stacked[v, events[k]]


@inlined
def _add_line(sums: tuple[Any, Any], place: tuple[int, int], weights: Any, line: int) -> None:
    """Add one line of weights, all variations, to a bin and row; their squares too where
    ``sums[1]`` is not empty.
    """
    sumw, sumw2 = sums
    b, r = place
    if sumw2.shape[0] > 0:
        for v in range(weights.shape[1]):
            w = weights[line, v]
            sumw[b, r, v] += w
            sumw2[b, r, v] += w * w
    else:
        for v in range(weights.shape[1]):
            sumw[b, r, v] += weights[line, v]


@kernel
def fill_rows(
    flat: Any,
    parent: Any,
    rows: tuple[Any, Any],
    by_entry: bool,
    table: tuple[Any, Any],
    sums: tuple[Any, Any],
) -> None:
    """Add the weights of every entry, for all variations, to its row.

    ``flat`` (n_entries,): bins; ``parent`` (n_entries,): event of the entry; ``row``: row per entry
    if ``by_entry``, else per event, -1 for none; ``table``: the line of each event, and the weights
    (n_lines, n_variations); ``sums``: sums of weights (n_bins, n_rows, n_variations), and of their
    squares, which is empty where no variances are kept.
    """
    row, group = rows
    slot, weights = table
    for k in range(flat.shape[0]):
        b = flat[k]
        event = parent[k]
        r = row[k] if by_entry else row[event]
        if b >= 0 and r >= 0:
            _add_line(sums, (b, r), weights, slot[event, group[r]])


@kernel
def fill_many_rows(
    flat: Any,
    parent: Any,
    pattern: tuple[Any, ...],
    by_entry: bool,
    table: tuple[Any, Any],
    sums: tuple[Any, Any],
) -> None:
    """Like ``fill_rows``, for entries with any number of rows, each with the weights of its group.

    ``pattern``: the pattern p per entry or event, its rows ``rows[start[p]:start[p+1]]``, and the
    group of each row, as (ids, start, rows, group).
    """
    ids, start, rows, group = pattern
    slot, weights = table
    for k in range(flat.shape[0]):
        b = flat[k]
        event = parent[k]
        p = ids[k] if by_entry else ids[event]
        if b >= 0:
            for i in range(start[p], start[p + 1]):
                r = rows[i]
                _add_line(sums, (b, r), weights, slot[event, group[r]])


@inlined
def _add_bin(buffer: Any, r: int, members: Any, variations: Any, out: Any) -> None:
    """Add row ``r`` of one bin to its category bins."""
    for category in members:
        for v in range(buffer.shape[1]):
            out[variations[v], category] += buffer[r, v]


@kernel
def add_rows(buffer: Any, start: Any, members: Any, variations: Any, out: Any) -> None:
    """Add ``buffer`` (n_bins, n_rows, n_variations) to ``out`` (n_bins, variation, category).

    ``members[start[r]:start[r+1]]``: the category bins that row r counts for; ``variations``: the
    variation bins. ``out`` is the memory of a histogram.
    """
    for b in range(buffer.shape[0]):
        for r in range(buffer.shape[1]):
            _add_bin(buffer[b], r, members[start[r] : start[r + 1]], variations, out[b])
