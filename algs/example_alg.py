"""Random scores: the template to copy.

Write `get_recommendations`; add `init` if there is something to load, and `catalogue` if it can
recommend without being handed candidates. `python -m seldon.check algs/yours.py` tests it.
"""

import numpy as np

seed = None


def init(mc, config):
    """Called once at start with a pool of memcached clients and the settings."""
    global seed
    seed = config["RANDOM_SEED"]


def get_recommendations(user_id, client, recent, data_set, limit):
    """Scores for the candidates: a dict, or pairs or two arrays with the best first.

    `data_set` is a set of item ids; `data_set.ids` is the same as a sorted array.
    """
    rng = np.random.default_rng(None if seed is None else [seed, abs(user_id)])
    ids = data_set.ids
    drawn = rng.choice(len(ids), min(limit, len(ids)), replace=False)
    return ids[drawn], np.sort(rng.random(len(drawn)))[::-1]
