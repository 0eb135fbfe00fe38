"""Candidates by how many users had to do with them."""

import numpy as np

from seldon.errors import InvalidSetting
from seldon.item_cosine import integer_vocabulary
from seldon.reading import read_interactions

QUICK = True  # no input makes it slow, so it needs no time limit and no thread for one
items = order = users = None


def init(mc, config):
    """Count the users of each item in INTERACTIONS."""
    global items, order, users
    if not config["INTERACTIONS"]:
        raise InvalidSetting("most_popular learns from events: set INTERACTIONS to their path")
    events, _ = read_interactions(config["INTERACTIONS"])
    items = integer_vocabulary(events)
    position = items.indices(events.items.ids.astype(np.int64))
    pairs = np.unique(events.user.astype(np.int64) * len(items) + position[events.item])
    users = np.bincount(pairs % len(items), minlength=len(items)).astype(np.float64)
    order = np.argsort(-users, kind="stable")


def catalogue():
    return items.ids


def get_recommendations(user_id, client, recent, data_set, limit):
    """Go down the items by popularity until `limit` of them are candidates."""
    mask = data_set.mask(items)
    best, looked_at = np.empty(0, np.int64), 0
    while len(best) < limit and looked_at < len(order):
        chunk = order[looked_at : looked_at + max(4 * limit, looked_at)]
        best = np.concatenate((best, chunk[mask[chunk]]))
        looked_at += len(chunk)
    return items.ids[best[:limit]], users[best[:limit]]
