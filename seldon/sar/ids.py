"""Ids that are all plain decimal integers become numbers, so that a Seldon server can use them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from seldon.interactions import Interactions, Vocabulary


def numbered(interactions: Interactions) -> Interactions:
    """The same events with int64 vocabularies where every id is a plain decimal integer.

    ``"7"`` and ``"-7"`` are; ``"07"``, ``"+7"`` and what does not fit into 64 bits are not. The
    positions follow the new order, by number instead of by letter.
    """
    users, items = as_integers(interactions.users), as_integers(interactions.items)
    if users is not None:
        user = _moved(interactions.user, interactions.users, users)
        interactions = replace(interactions, users=users, user=user)
    if items is not None:
        item = _moved(interactions.item, interactions.items, items)
        interactions = replace(interactions, items=items, item=item)
    return interactions


def _moved(
    rows: npt.NDArray[np.int32], texts: Vocabulary, numbers: Vocabulary
) -> npt.NDArray[np.int32]:
    places = numbers.indices(texts.ids.astype(np.int64)).astype(np.int32)
    moved: npt.NDArray[np.int32] = places[rows]
    return moved


def as_integers(vocabulary: Vocabulary) -> Vocabulary | None:
    """The vocabulary as int64, or None when an id is something else."""
    ids = vocabulary.ids
    if ids.dtype.kind in "iu":
        return vocabulary
    if not len(ids):
        return None
    try:
        numbers = ids.astype(np.int64)
    except (ValueError, OverflowError):
        return None
    return Vocabulary(numbers) if np.array_equal(numbers.astype(ids.dtype), ids) else None
