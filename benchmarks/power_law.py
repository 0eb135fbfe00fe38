"""Usage events with the shape of a shop's: few items, and few users, have most of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]


def power_law_events(
    n_users: int, n_items: int, n_events: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Distinct (user, item) pairs, in random order.

    Items are drawn by a power of their rank, users by a log-normal activity, which is about
    what MovieLens shows; repeated pairs are drawn again.
    """
    activity = np.cumsum(rng.lognormal(0, 1, n_users))
    popularity = np.cumsum(1 / (np.arange(n_items) + 0.02 * n_items) ** 1.1)
    pairs = np.empty(0, np.int64)
    while len(pairs) < n_events:
        missing = int(1.1 * (n_events - len(pairs))) + 100
        user = np.searchsorted(activity, rng.random(missing) * activity[-1])
        item = np.searchsorted(popularity, rng.random(missing) * popularity[-1])
        pairs = np.unique(np.concatenate([pairs, user * n_items + item]))
    pairs = rng.permutation(pairs)[:n_events]
    return (pairs // n_items).astype(np.int32), (pairs % n_items).astype(np.int32)
