"""From events to an affinity vector: what each item weighs for one user at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidParameter
from seldon.interactions import EVENT_WEIGHTS, Vocabulary

DAY = 86400.0


@dataclass(frozen=True)
class Event:
    """Something a user did with an item, as a request tells it.

    Attributes
    ----------
    item : str
    time : float or None
        Seconds since 1970 UTC; None is now.
    event_type : str or None
        Click, RecommendationClick, AddShopCart, RemoveShopCart, Purchase or Custom, in any
        case; None weighs 1.
    weight : float or None
        Wins over the type's weight.
    """

    item: str
    time: float | None = None
    event_type: str | None = None
    weight: float | None = None


@dataclass(frozen=True)
class Events:
    """Events as arrays: the rows of items in a model, seconds since 1970, weights."""

    item: npt.NDArray[np.int64]
    time: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]

    @classmethod
    def of(cls, events: Sequence[Event], items: Vocabulary, now: float) -> Events:
        """Events of a request; an item that is not in `items` becomes row ``-1``."""
        return cls(
            items.indices([event.item for event in events]).astype(np.int64),
            np.array([now if event.time is None else event.time for event in events], np.float64),
            np.array([_weight(event) for event in events], np.float64),
        )

    @classmethod
    def at(cls, rows: npt.NDArray[np.int64], time: float) -> Events:
        """Events of weight 1 at one time."""
        return cls(rows, np.full(len(rows), time), np.ones(len(rows)))

    def __len__(self) -> int:
        return len(self.item)

    def __add__(self, other: Events) -> Events:
        return Events(
            np.concatenate([self.item, other.item]),
            np.concatenate([self.time, other.time]),
            np.concatenate([self.weight, other.weight]),
        )


def _weight(event: Event) -> float:
    if event.weight is not None:
        return event.weight
    if event.event_type is None:
        return 1.0
    weight = EVENT_WEIGHTS.get(event.event_type.lower())
    if weight is None:
        raise InvalidParameter(
            f"event_type={event.event_type!r} of item {event.item!r}: expected one of Click, "
            "RecommendationClick, AddShopCart, RemoveShopCart, Purchase, Custom"
        )
    return weight


def reference_time(latest: float, events: Events, now: float) -> float:
    """The midnight after the later of the model's and the request's latest event.

    Parameters
    ----------
    latest : float
        Time of the newest event the model was trained on, seconds since 1970 UTC.
    events : Events
        With none, the request's latest is `now`.
    """
    newest = float(events.time.max()) if len(events) else now
    return (max(latest, newest) // DAY + 1) * DAY


def affinity(events: Events, reference: float, half_life: float) -> npt.NDArray[np.float64]:
    """Each event's weight times ``2 ** -(age / half_life)``; shape (n_events,).

    Parameters
    ----------
    events : Events
    reference : float
        Seconds since 1970 UTC. An event after it is not worth more than at it.
    half_life : float
        Days.
    """
    age = np.maximum(reference - events.time, 0.0) / DAY
    return events.weight * np.exp2(-age / half_life)
