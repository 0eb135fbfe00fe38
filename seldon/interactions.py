"""Who did what with which item: `Vocabulary` (ids to indices) and `Interactions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

EVENT_WEIGHTS: Mapping[str, float] = {
    "click": 1.0,
    "recommendationclick": 2.0,
    "addshopcart": 3.0,
    "removeshopcart": -1.0,
    "purchase": 4.0,
    "custom": 1.0,
}
"""Weight of an event by its type in lower case (Product Recommendations API, Usage Event)."""


class Vocabulary:
    """Sorted distinct ids and their positions.

    Parameters
    ----------
    ids : array_like
        Integers, or strings; sorted and made distinct here.
    """

    def __init__(self, ids: npt.ArrayLike) -> None:
        self.ids: npt.NDArray[Any] = np.unique(np.asarray(ids))

    @classmethod
    def of_sorted(cls, ids: npt.NDArray[Any]) -> Vocabulary:
        """A vocabulary over `ids` as they are, which must be sorted and distinct already."""
        vocabulary = cls.__new__(cls)
        vocabulary.ids = ids
        return vocabulary

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} ids)"

    def indices(self, ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Position of each id, ``-1`` where unknown; shape of `ids`."""
        wanted = np.asarray(ids)
        if not len(self.ids) or not wanted.size:
            return np.full(wanted.shape, -1, np.int64)
        if self.ids.dtype.kind == "U":
            wanted, possible = _fitted(wanted.astype(np.str_, copy=False), self.ids.dtype)
        else:
            wanted, possible = _integers(wanted)
        found = np.searchsorted(self.ids, wanted)
        found[found == len(self.ids)] = 0
        return np.where(possible & (self.ids[found] == wanted), found, -1)


def _fitted(
    texts: npt.NDArray[np.str_], dtype: np.dtype[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | bool]:
    """Texts in the width of `dtype`, so that numpy need not widen all ids to compare; which fit."""
    if texts.dtype.itemsize <= dtype.itemsize:
        return texts.astype(dtype, copy=False), True
    return texts.astype(dtype), np.char.str_len(texts) <= dtype.itemsize // 4


def _integers(ids: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_] | bool]:
    """Ids as int64, and which are integers at all: of texts only those in plain decimal form."""
    if ids.dtype.kind in "iu":
        return ids.astype(np.int64, copy=False), True
    numbers = np.zeros(ids.shape, np.int64)
    possible = np.zeros(ids.shape, np.bool_)
    for place, text in np.ndenumerate(ids.astype(np.str_)):
        try:
            number = int(text)
        except ValueError:
            continue
        if -(2**63) <= number < 2**63 and str(number) == text:
            numbers[place], possible[place] = number, True
    return numbers, possible


@dataclass(frozen=True)
class Interactions:
    """Events as parallel arrays, in file order.

    Attributes
    ----------
    users, items : Vocabulary
    user, item : ndarray of int32, shape (n_events,)
        Positions in `users` and `items`.
    time : ndarray of float64, shape (n_events,)
        Seconds since 1970-01-01 UTC, to the precision of the source (microseconds).
    weight : ndarray of float32, shape (n_events,)
        1 where the source gives none.
    """

    users: Vocabulary
    items: Vocabulary
    user: npt.NDArray[np.int32]
    item: npt.NDArray[np.int32]
    time: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.user)

    def only(self, rows: npt.NDArray[Any]) -> Interactions:
        """Some of the events, with the users and items that these have.

        Parameters
        ----------
        rows : ndarray of bool, shape (n_events,), or of int
            Which events.
        """
        users, user = np.unique(self.user[rows], return_inverse=True)
        items, item = np.unique(self.item[rows], return_inverse=True)
        return Interactions(
            Vocabulary.of_sorted(self.users.ids[users]),
            Vocabulary.of_sorted(self.items.ids[items]),
            user.astype(np.int32),
            item.astype(np.int32),
            self.time[rows],
            self.weight[rows],
        )

    def __repr__(self) -> str:
        return f"Interactions({len(self)} events, {len(self.users)} users, {len(self.items)} items)"
