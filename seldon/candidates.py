"""`Candidates`: what may be recommended in one request, as a set and as arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Set
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from seldon.interactions import Vocabulary

Ids = npt.NDArray[np.int64]
NO_IDS: Ids = np.empty(0, np.int64)


class CandidateList:
    """One list of item ids, shared by every request that names it; never changed.

    Parameters
    ----------
    ids : ndarray of int64
        Sorted and distinct.

    Attributes
    ----------
    serial : int
        Differs between any two lists of this process, so it can key what is derived of one.
    """

    _serials = itertools.count(1)

    def __init__(self, ids: Ids) -> None:
        self.ids = ids
        self.serial = next(self._serials)
        self._masks: WeakKeyDictionary[Vocabulary, npt.NDArray[np.bool_]] = WeakKeyDictionary()

    def mask(self, vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
        """Which entries of `vocabulary` are in the list; computed once per vocabulary."""
        mask = self._masks.get(vocabulary)
        if mask is None:
            rows = vocabulary.indices(self.ids)
            mask = np.zeros(len(vocabulary), np.bool_)
            mask[rows[rows >= 0]] = True
            self._masks[vocabulary] = mask
        return mask


class Candidates(Set[int]):
    """The item ids an algorithm may recommend in one request, exclusions taken out.

    To Python code it is a set of int: ``in``, ``len``, iteration, the operators, and the
    methods of `set`. A real set is built only when one of those methods is called. To numpy
    code it offers `ids` and `mask`, which cost microseconds at any length.

    Parameters
    ----------
    candidates : CandidateList
    exclusions : array_like of int64
        Ids that must not be recommended; they need not be among the candidates.
    """

    def __init__(self, candidates: CandidateList, exclusions: npt.ArrayLike = ()) -> None:
        self._list = candidates
        excluded = np.array(sorted(set(np.asarray(exclusions, np.int64).tolist())), np.int64)
        self._removed = _positions(candidates.ids, excluded)
        self._excluded = excluded
        self._set: set[int] | None = None
        self._ids: Ids | None = None

    @classmethod
    def of(cls, ids: npt.ArrayLike) -> Candidates:
        """Candidates from any ids, in any order, repeated or not."""
        return cls(CandidateList(np.unique(np.asarray(ids, np.int64))))

    @property
    def ids(self) -> Ids:
        """Sorted distinct ids, int64, shape (n,). Read it, do not write to it."""
        if self._ids is None:
            full = self._list.ids
            self._ids = np.delete(full, self._removed) if len(self._removed) else full
        return self._ids

    def mask(self, vocabulary: Vocabulary) -> npt.NDArray[np.bool_]:
        """Which entries of a model's item vocabulary may be recommended.

        Computed once per list and vocabulary, so a model can score its neighbours and keep
        those whose entry is true: the cost does not follow the number of candidates.

        Returns
        -------
        ndarray of bool, shape (len(vocabulary),)
            Read it, do not write to it.
        """
        mask = self._list.mask(vocabulary)
        rows = vocabulary.indices(self._list.ids[self._removed])
        rows = rows[rows >= 0]
        if len(rows):
            mask = mask.copy()
            mask[rows] = False
        return mask

    def holds(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Which of `ids` are candidates; shape of `ids`."""
        inside = _are_in(self._list.ids, ids)
        if len(self._removed):
            inside &= ~_are_in(self._excluded, ids)
        return inside

    def __contains__(self, item: object) -> bool:
        if self._set is not None:
            return item in self._set
        if not isinstance(item, (int, np.integer)):
            return False
        number = int(item)
        return -(2**63) <= number < 2**63 and bool(self.holds(np.array([number], np.int64))[0])

    def __iter__(self) -> Iterator[int]:
        return iter(self._set if self._set is not None else self.ids.tolist())

    def __len__(self) -> int:
        if self._set is not None:
            return len(self._set)
        return len(self._list.ids) - len(self._removed)

    def __repr__(self) -> str:
        return f"Candidates({len(self)} ids)"

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> set[Any]:
        return set(it)

    def __getattr__(self, name: str) -> Any:
        """The methods of `set` (difference, copy, discard, …), on a set of this request's own."""
        if name.startswith("_") or not hasattr(set, name):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        if self._set is None:
            self._set = set(self.ids.tolist())
        return getattr(self._set, name)


def _positions(ids: Ids, wanted: Ids) -> npt.NDArray[np.int64]:
    """Where the sorted `wanted` stand in the sorted `ids`; those that do not are left out."""
    if not len(ids) or not len(wanted):
        return NO_IDS
    found: Ids = ids.searchsorted(wanted)
    found[found == len(ids)] = 0
    there: Ids = found[ids[found] == wanted]
    return there


def _are_in(ids: Ids, wanted: Ids) -> npt.NDArray[np.bool_]:
    """Which of `wanted` are in the sorted `ids`."""
    if not len(ids):
        return np.zeros(wanted.shape, np.bool_)
    found = ids.searchsorted(wanted)
    found[found == len(ids)] = 0
    inside: npt.NDArray[np.bool_] = ids[found] == wanted
    return inside
