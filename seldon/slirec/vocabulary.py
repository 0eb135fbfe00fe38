"""`SequenceVocabulary`: items and categories as small numbers, most frequent first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidModel

DEFAULT_ITEM = "default_mid"
DEFAULT_CATEGORY = "default_cat"


@dataclass(frozen=True)
class SequenceVocabulary:
    """Names in order of their number.

    Number 0 of items and categories is the default entry that stands for whatever is unknown
    and for padding. Users have no default entry: the network does not read them.

    Attributes
    ----------
    items, categories, users : tuple of str
    item_category : tuple of int
        Own category of each item, by number; 0 for the default item.
    """

    items: tuple[str, ...]
    categories: tuple[str, ...]
    users: tuple[str, ...]
    item_category: tuple[int, ...]
    _item_number: dict[str, int] = field(init=False, repr=False, compare=False)
    _category_number: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_item_number", _numbers(self.items))
        object.__setattr__(self, "_category_number", _numbers(self.categories))

    def item_numbers(self, items: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Number of each item, 0 where unknown; shape of `items`."""
        return _look_up(self._item_number, items)

    def category_numbers(self, categories: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """Number of each category, 0 where unknown; shape of `categories`."""
        return _look_up(self._category_number, categories)

    def own_categories(self) -> npt.NDArray[np.int32]:
        """`item_category` as an array, shape (n_items,)."""
        return np.asarray(self.item_category, np.int32)

    def with_categories(self, categories: Mapping[str, str]) -> SequenceVocabulary:
        """The same numbers with items' own categories as an inventory names them.

        Items that `categories` does not hold keep theirs.
        """
        own = list(self.item_category)
        for number, item in enumerate(self.items[1:], 1):
            if item in categories:
                own[number] = self._category_number.get(categories[item], 0)
        return SequenceVocabulary(self.items, self.categories, self.users, tuple(own))

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits of what weights depend on: the items and categories, in order."""
        names = json.dumps([self.items, self.categories], ensure_ascii=False)
        return hashlib.sha256(names.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        return {
            "items": list(self.items),
            "categories": list(self.categories),
            "users": list(self.users),
            "item_category": list(self.item_category),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SequenceVocabulary:
        """What `to_json` gave; `InvalidModel` when it is not that."""
        try:
            items, categories = tuple(document["items"]), tuple(document["categories"])
            own = tuple(int(number) for number in document["item_category"])
            users = tuple(document["users"])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidModel(f"vocabulary: incomplete: {error!r}") from error
        if len(own) != len(items) or not all(0 <= n < len(categories) for n in own):
            raise InvalidModel(
                f"vocabulary: item_category has {len(own)} numbers for {len(items)} items "
                f"and {len(categories)} categories"
            )
        return cls(items, categories, users, own)


def by_frequency(
    names: npt.NDArray[np.str_],
    weight: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
) -> list[str]:
    """Distinct names by falling total weight; equal ones by their least `order`.

    Parameters
    ----------
    names, weight, order : ndarray, shape (n,)
        Names of total weight 0 are left out.
    """
    distinct, inverse = np.unique(names, return_inverse=True)
    total = np.bincount(inverse, weight, len(distinct)).astype(np.int64)
    first = np.full(len(distinct), np.iinfo(np.int64).max)
    np.minimum.at(first, inverse, np.where(weight > 0, order, first[inverse]))
    ranked = np.lexsort((first, -total))
    return [str(distinct[n]) for n in ranked if total[n] > 0]


def _numbers(names: tuple[str, ...]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


def _look_up(numbers: dict[str, int], names: npt.ArrayLike) -> npt.NDArray[np.int32]:
    wanted = np.asarray(names, np.str_)
    distinct, inverse = np.unique(wanted, return_inverse=True)
    found = np.array([numbers.get(name, 0) for name in distinct.tolist()], np.int32)
    return found[inverse].reshape(wanted.shape)
