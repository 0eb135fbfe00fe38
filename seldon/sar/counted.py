"""`Counted`: events and their pair counts, kept so that training need not start over."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidModel, InvalidParameter
from seldon.folders import open_folder, publishing
from seldon.interactions import Interactions, Vocabulary
from seldon.sar.counting import ByPopularity, PairCounts, Told, baskets, count_pairs
from seldon.sar.parameters import CooccurrenceUnit

KIND = "seldon.sar.counted:Counted"
Longs = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Counted:
    """Events and the number of baskets each pair of their items shares, none left out.

    From one of these a model with any threshold and similarity follows at once, and a day's
    events are added at the cost of the users they concern.

    Attributes
    ----------
    events : Interactions
    unit : {"User", "Timestamp"}
    counts : PairCounts
        Over ``events.items``.
    """

    events: Interactions
    unit: CooccurrenceUnit
    counts: PairCounts

    @classmethod
    def of(
        cls,
        events: Interactions,
        unit: CooccurrenceUnit,
        *,
        memory: int | None = None,
        told: Told | None = None,
    ) -> Counted:
        """Count all pairs of `events`; more than `memory` bytes of them raise `TooLarge`."""
        prepared = ByPopularity(baskets(events, unit))
        return cls(events, unit, count_pairs(prepared, memory=memory, told=told))

    def add(self, more: Interactions) -> Counted:
        """What counting the old and the new events together would give, exactly.

        Only the baskets of users who have new events are counted again.
        """
        events, first = joined(self.events, more)
        touched = np.zeros(len(events.users), np.bool_)
        touched[events.user[first:]] = True
        theirs = touched[events.user]
        before = theirs.copy()
        before[first:] = False
        place = events.items.indices(self.events.items.ids)
        counts = _moved(self.counts, place, len(events.items))
        for sign, mask in ((1, theirs), (-1, before)):
            part = replace(
                events,
                user=events.user[mask],
                item=events.item[mask],
                time=events.time[mask],
                weight=events.weight[mask],
            )
            counts = _sum(counts, count_pairs(ByPopularity(baskets(part, self.unit))), sign)
        return Counted(events, self.unit, counts)

    def save(self, location: str | os.PathLike[str]) -> None:
        """Write a folder, whole or not at all."""
        with publishing(location, KIND, {"unit": self.unit}) as folder:
            for name, array in self._arrays().items():
                np.save(folder / f"{name}.npy", array, allow_pickle=False)

    @classmethod
    def load(cls, location: str | os.PathLike[str], *, verify: bool = True) -> Counted:
        """Map what `save` wrote.

        Raises
        ------
        ModelNotFound, InvalidModel
            See `seldon.folders.open_folder`; also when the folder holds something else.
        """
        folder = open_folder(location, verify=verify)
        if folder.kind != KIND:
            raise InvalidModel(f"{Path(location)}: holds {folder.kind!r}, not counts of SAR")
        events = Interactions(
            Vocabulary.of_sorted(folder.array("users")),
            Vocabulary.of_sorted(folder.array("items")),
            *(folder.array(f"event_{name}") for name in ("user", "item", "time", "weight")),
        )
        counts = PairCounts(
            folder.array("pair_occurrences"),
            folder.array("pair_offsets"),
            folder.array("pair_columns"),
            folder.array("pair_counts"),
        )
        return cls(events, folder.metadata["unit"], counts)

    def _arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        events, counts = self.events, self.counts
        return {
            "users": events.users.ids,
            "items": events.items.ids,
            "event_user": events.user,
            "event_item": events.item,
            "event_time": events.time,
            "event_weight": events.weight,
            "pair_occurrences": counts.occurrences,
            "pair_offsets": counts.offsets,
            "pair_columns": counts.columns,
            "pair_counts": counts.counts,
        }

    def counts_over(self, items: Vocabulary) -> PairCounts:
        """The counts over another vocabulary: items it lacks are left out, others have none."""
        return _moved(self.counts, items.indices(self.events.items.ids), len(items))

    def check_unit(self, unit: CooccurrenceUnit) -> None:
        """Raise when a model asks for another unit than was counted."""
        if unit != self.unit:
            raise InvalidParameter(
                f"cooccurrence_unit={unit!r}, but these counts are by {self.unit!r}: count again"
            )


def joined(old: Interactions, new: Interactions) -> tuple[Interactions, int]:
    """Old events, then new ones, over the ids of both; and where the new ones begin."""
    users = Vocabulary(np.concatenate([old.users.ids, new.users.ids]))
    items = Vocabulary(np.concatenate([old.items.ids, new.items.ids]))

    def rows(all_ids: Vocabulary, ids: Vocabulary, row: npt.NDArray[np.int32]) -> Longs:
        places: Longs = all_ids.indices(ids.ids)[row]
        return places

    user = [rows(users, old.users, old.user), rows(users, new.users, new.user)]
    item = [rows(items, old.items, old.item), rows(items, new.items, new.item)]
    return Interactions(
        users,
        items,
        np.concatenate(user).astype(np.int32),
        np.concatenate(item).astype(np.int32),
        np.concatenate([old.time, new.time]),
        np.concatenate([old.weight, new.weight]),
    ), len(old)


def _moved(counts: PairCounts, place: Longs, n_items: int) -> PairCounts:
    """The same counts with items renumbered; those without a place are left out."""
    larger, smaller = _pairs(counts)
    one, other = place[larger], place[smaller]
    kept = (one >= 0) & (other >= 0)
    one, other = one[kept], other[kept]
    occurrences = np.zeros(n_items, np.int64)
    occurrences[place[place >= 0]] = counts.occurrences[place >= 0]
    keys = np.maximum(one, other) * n_items + np.minimum(one, other)
    return _in_order(occurrences, keys, counts.counts[kept])


def _sum(counts: PairCounts, more: PairCounts, sign: int) -> PairCounts:
    """Counts over the same items, added or taken away; pairs that come to nothing go."""
    n_items = len(counts.occurrences)
    keys, added = _keys(counts), _keys(more)
    numbers = counts.counts.astype(np.int32)
    at = np.searchsorted(keys, added)
    known = np.zeros(len(added), np.bool_)
    inside = at < len(keys)
    known[inside] = keys[at[inside]] == added[inside]
    numbers[at[known]] += sign * more.counts[known]
    keys = np.insert(keys, at[~known], added[~known])
    numbers = np.insert(numbers, at[~known], sign * more.counts[~known])
    left = numbers != 0
    occurrences = counts.occurrences + sign * more.occurrences
    return _from_keys(occurrences, keys[left], numbers[left], n_items)


def _pairs(counts: PairCounts) -> tuple[Longs, Longs]:
    rows = np.repeat(np.arange(len(counts.occurrences)), np.diff(counts.offsets))
    return rows, counts.columns.astype(np.int64)


def _keys(counts: PairCounts) -> Longs:
    larger, smaller = _pairs(counts)
    return larger * len(counts.occurrences) + smaller


def _in_order(occurrences: Longs, keys: Longs, numbers: npt.NDArray[np.int32]) -> PairCounts:
    if np.any(keys[1:] < keys[:-1]):
        order = np.argsort(keys)
        keys, numbers = keys[order], numbers[order]
    return _from_keys(occurrences, keys, numbers, len(occurrences))


def _from_keys(
    occurrences: Longs, keys: Longs, numbers: npt.NDArray[np.int32], n_items: int
) -> PairCounts:
    rows = keys // max(n_items, 1)
    sizes = np.bincount(rows, minlength=n_items)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return PairCounts(occurrences, offsets, (keys % max(n_items, 1)).astype(np.int32), numbers)
