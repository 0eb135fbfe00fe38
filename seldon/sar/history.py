"""The latest events of each user, kept in the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seldon.interactions import Interactions, Vocabulary
from seldon.sar.affinity import Events

EVENTS_KEPT = 100


@dataclass(frozen=True)
class History:
    """Events by user, the oldest first.

    Attributes
    ----------
    users : Vocabulary
        Strings, or int64 where all are plain decimal integers.
    offsets : ndarray of int64, shape (n_users + 1,)
    item : ndarray of int32, shape (n_kept,)
        Rows of the model's items.
    time : ndarray of float64, shape (n_kept,)
        Seconds since 1970 UTC.
    weight : ndarray of float32, shape (n_kept,)
    """

    users: Vocabulary
    offsets: npt.NDArray[np.int64]
    item: npt.NDArray[np.int32]
    time: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float32]

    def of(self, user: str) -> Events | None:
        """What is kept of a user; None when the user is not known."""
        row = int(self.users.indices([user])[0])
        if row < 0:
            return None
        part = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        return Events(
            self.item[part].astype(np.int64),
            np.asarray(self.time[part]),
            self.weight[part].astype(np.float64),
        )


def latest_events(interactions: Interactions, kept: int = EVENTS_KEPT) -> History:
    """The `kept` latest events of each user; of equal times those later in the file."""
    order = np.lexsort((interactions.time, interactions.user))
    user = interactions.user[order]
    ends = np.searchsorted(user, np.arange(len(interactions.users)), side="right")
    order = order[ends[user] - np.arange(len(user)) <= kept]
    sizes = np.bincount(interactions.user[order], minlength=len(interactions.users))
    return History(
        interactions.users,
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        interactions.item[order],
        interactions.time[order],
        interactions.weight[order],
    )


def as_interactions(history: History, items: Vocabulary) -> Interactions:
    """What a model keeps of its users, as events again.

    Parameters
    ----------
    items : Vocabulary
        The model's.
    """
    sizes = np.diff(history.offsets)
    return Interactions(
        history.users,
        items,
        np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
        history.item,
        history.time,
        history.weight,
    )
