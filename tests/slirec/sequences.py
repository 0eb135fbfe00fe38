"""Synthetic events whose next item can be predicted as well as a dial says."""

import numpy as np

from seldon.slirec.events import Events


def chained_events(predictability, *, users=40, length=40, items=12, seed=0, prefix="i"):
    """Item n is followed by item n + 1 with probability `predictability`, else by any.

    Categories are the halves of the items; times a day apart.
    """
    rng = np.random.default_rng(seed)
    item = np.empty((users, length), np.int64)
    item[:, 0] = rng.integers(0, items, users)
    for step in range(1, length):
        follows = rng.random(users) < predictability
        item[:, step] = np.where(
            follows, (item[:, step - 1] + 1) % items, rng.integers(0, items, users)
        )
    user = np.repeat([f"u{n}" for n in range(users)], length)
    names = np.array([f"{prefix}{n}" for n in range(items)])
    categories = np.where(np.arange(items) < items // 2, "low", "high")
    time = np.tile(np.arange(length) * 86_400 + 1_700_000_000, users)
    return Events(user, names[item.ravel()], categories[item.ravel()], time)
