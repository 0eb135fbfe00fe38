"""What Apache Spark's workers do while SAR is trained: read files, deal out users, count pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seldon.interactions import Interactions, Vocabulary
from seldon.reading import ParsingReport, read_interactions
from seldon.sar.counting import ByPopularity, baskets, count_pairs
from seldon.sar.history import EVENTS_KEPT, as_interactions, latest_events
from seldon.sar.parameters import TrainingParameters

Array = npt.NDArray[Any]
Reading = Mapping[str, Any]
"""Keyword arguments of `seldon.reading.read_interactions`."""


class File(NamedTuple):
    """A file, the number of the path that named it, and how it is read."""

    number: int
    path: int
    name: str
    reading: Reading


class Block(NamedTuple):
    """What was read of one file."""

    file: int
    events: Interactions
    report: ParsingReport


class Part(NamedTuple):
    """Events of one file whose users are in one share; items numbered over all files."""

    file: int
    users: Array
    user: Array
    item: Array
    time: Array
    weight: Array


class Summary(NamedTuple):
    """What the driver needs of a share beside its pairs."""

    occurrences: Array
    latest: Interactions
    events: int


def read_file(file: File, known: Any) -> Block:
    events, report = read_interactions(file.name, known_items=known.value, **file.reading)
    return Block(file.number, events, report)


def seen(block: Block) -> tuple[ParsingReport, Array]:
    return block.report, block.events.items.ids


def by_user(block: Block, known: Any, shares: int) -> Iterator[tuple[int, Part]]:
    """Split a block by user; rows keep their order."""
    from pandas.util import hash_array

    events = block.events
    if not len(events):
        return
    item = Vocabulary.of_sorted(known.value).indices(events.items.ids).astype(np.int32)
    # Not Python's hash(), which differs from process to process.
    share = hash_array(events.users.ids.astype(object)) % shares
    rows = np.argsort(share[events.user], kind="stable")
    ends = np.cumsum(np.bincount(share[events.user], minlength=shares))
    for number, part in enumerate(np.split(rows, ends[:-1])):
        if len(part):
            users, user = np.unique(events.user[part], return_inverse=True)
            yield (
                number,
                Part(
                    block.file,
                    events.users.ids[users],
                    user,
                    item[events.item[part]],
                    events.time[part],
                    events.weight[part],
                ),
            )


def gathered(parts: Iterable[tuple[int, Part]], known: Any) -> Iterator[Interactions]:
    """All events of one share, in the order of the files."""
    listed = sorted((part for _, part in parts), key=lambda part: part.file)
    if not listed:
        return
    users = Vocabulary(np.concatenate([part.users for part in listed]))
    user = np.concatenate([users.indices(part.users)[part.user] for part in listed])
    yield Interactions(
        users,
        Vocabulary.of_sorted(known.value),
        user.astype(np.int32),
        np.concatenate([part.item for part in listed]),
        np.concatenate([part.time for part in listed]),
        np.concatenate([part.weight for part in listed]),
    )


def summary(share: Interactions, parameters: TrainingParameters) -> Summary:
    occurrences = baskets(share, parameters.cooccurrence_unit).occurrences
    history = parameters.enable_user_to_item_recommendations
    # The last event of each user is wanted in any case: the latest of all is among them.
    kept = latest_events(share, EVENTS_KEPT if history else 1)
    latest = replace(as_interactions(kept, share.items), items=Vocabulary([]))
    return Summary(occurrences, latest, len(share))


def pairs_of(
    share: Interactions, cuts: Sequence[int], parameters: TrainingParameters
) -> Iterator[tuple[int, tuple[Array, Array]]]:
    """Counted pairs of a share, by the stretch of items that the row is in."""
    counts = count_pairs(ByPopularity(baskets(share, parameters.cooccurrence_unit)))
    row = np.repeat(np.arange(len(counts.occurrences)), np.diff(counts.offsets))
    pair = row << 32 | counts.columns
    for stretch, (first, last) in enumerate(pairwise(cuts)):
        within = slice(counts.offsets[first], counts.offsets[last])
        if within.start < within.stop:
            yield stretch, (pair[within], counts.counts[within])


def summed(
    parts: Iterable[tuple[int, tuple[Array, Array]]], threshold: int
) -> Iterator[tuple[int, Array, Array]]:
    """Pairs of one stretch over all shares, those under the threshold left out."""
    listed = list(parts)
    if not listed:
        return
    pair = np.concatenate([pairs for _, (pairs, _) in listed])
    count = np.concatenate([counts for _, (_, counts) in listed])
    order = np.argsort(pair, kind="stable")
    pair, count = pair[order], count[order]
    first = np.flatnonzero(np.concatenate([[True], pair[1:] != pair[:-1]]))
    pair, count = pair[first], np.add.reduceat(count, first)
    enough = count >= threshold
    yield listed[0][0], pair[enough], count[enough]
