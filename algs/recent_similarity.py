"""Candidates similar to what the user did last: item-to-item cosine, in the array style."""

import numpy as np

from seldon.errors import InvalidSetting
from seldon.item_cosine import item_cosine
from seldon.reading import read_interactions
from seldon.scores import summed, top_n

QUICK = True  # no input makes it slow, so it needs no time limit and no thread for one
neighbours = None


def init(mc, config):
    """Learn from the events in INTERACTIONS."""
    global neighbours
    if not config["INTERACTIONS"]:
        raise InvalidSetting("recent_similarity learns from events: set INTERACTIONS to their path")
    neighbours = item_cosine(read_interactions(config["INTERACTIONS"])[0])


def catalogue():
    return neighbours.items.ids


def get_recommendations(user_id, client, recent, data_set, limit):
    """Sum over the recent items of their similarity to each candidate.

    The work follows the recent items and their neighbours, not the candidates: these are only
    looked up, in a mask over the model's items that is made once per candidate list.
    """
    items = neighbours.items
    rows = items.indices(list(set(recent)))
    rows = rows[rows >= 0]
    if not len(rows):
        return {}
    parts = [slice(*neighbours.offsets[row : row + 2].tolist()) for row in rows]
    columns = np.concatenate([neighbours.columns[part] for part in parts])
    similarity = np.concatenate([neighbours.similarity[part] for part in parts])
    allowed = data_set.mask(items)[columns]
    found, scores = summed(columns[allowed], similarity[allowed], len(items))
    return top_n(items.ids[found], scores, limit)
