"""Holding events back to evaluate on: each split answers which rows are held back."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidParameter
from seldon.interactions import Interactions

Rows = npt.NDArray[np.bool_]


def random_split(events: Interactions, rng: np.random.Generator, share: float = 0.25) -> Rows:
    """``floor(share · n)`` of each user's n events, drawn at random.

    Every user keeps something to be recommended from. Events of the future explain those of the
    past here, so figures come out higher than any service will see: use it to compare with what
    others published.

    Parameters
    ----------
    share : float
        Between 0 and 1, exclusive.

    Returns
    -------
    ndarray of bool, shape (n_events,)
    """
    _check_share(share)
    order = np.lexsort((rng.random(len(events)), events.user))
    return _first_of_each(order, events.user, share)


def chronological_split(events: Interactions, share: float = 0.25) -> Rows:
    """The latest part of all events: what a service meets that was trained then.

    The test starts at the time of event ``floor((1 − share) · n)`` in order of time, and events
    of that very time belong to it.
    """
    _check_share(share)
    if not len(events):
        raise InvalidParameter("there are no events to split")
    start = np.sort(events.time)[int((1 - share) * len(events))]
    return date_split(events, start)


def date_split(events: Interactions, start: float) -> Rows:
    """Events from `start` on, in seconds since 1970-01-01 UTC."""
    held: Rows = np.asarray(events.time >= start)
    return held


def user_chronological_split(events: Interactions, share: float = 0.25) -> Rows:
    """The latest ``floor(share · n)`` of each user's n events; of equal times the later row."""
    _check_share(share)
    order = np.lexsort((-np.arange(len(events)), -events.time, events.user))
    return _first_of_each(order, events.user, share)


def leave_one_out(
    events: Interactions,
    rng: np.random.Generator,
    which: Literal["last", "random"] = "last",
    *,
    min_items: int = 3,
) -> Rows:
    """One item of each user who has at least `min_items`, with all that user's events of it.

    Parameters
    ----------
    which : {"last", "random"}
        The item of the user's latest event, at random among equal times; or any item.
    """
    pair = events.user.astype(np.int64) * max(len(events.items), 1) + events.item
    distinct, first = np.unique(pair, return_index=True)
    eligible = np.bincount(events.user[first], minlength=len(events.users)) >= min_items
    chance = rng.random(len(distinct))
    if which == "random":
        rows, key = first, chance
    else:
        rows, key = np.arange(len(events)), chance[np.searchsorted(distinct, pair)]
    times = -events.time[rows] if which == "last" else np.zeros(len(rows))
    order = rows[np.lexsort((key, times, events.user[rows]))]
    _, chosen = np.unique(events.user[order], return_index=True)
    held = order[chosen]
    return np.isin(pair, pair[held[eligible[events.user[held]]]])


def divided(events: Interactions, held: Rows) -> tuple[Interactions, Interactions]:
    """Training and test events, each with the users and items that occur in it.

    Raises
    ------
    InvalidParameter
        One of the two would be empty.
    """
    if held.all() or not held.any():
        raise InvalidParameter(
            f"of {len(events)} events the split holds back {int(held.sum())}; both sides must "
            "have some: take another share or date"
        )
    return events.only(~held), events.only(held)


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise InvalidParameter(f"share={share!r} must be between 0 and 1: 0.25 tests on a quarter")


def _first_of_each(order: npt.NDArray[Any], user: npt.NDArray[Any], share: float) -> Rows:
    """Mark the first ``floor(share · n)`` rows of every user in `order`, sorted by user."""
    sizes = np.bincount(user)
    starts = np.cumsum(sizes) - sizes
    place = np.arange(len(order)) - starts[user[order]]
    held = np.zeros(len(order), np.bool_)
    # A share such as 0.29 of 100 must give 29 although 0.29 * 100 is a hair below it.
    held[order] = place < np.floor(share * sizes + 1e-9)[user[order]]
    return held
