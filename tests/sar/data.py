"""Small event tables with known answers."""

import datetime as dt

import numpy as np

from seldon.interactions import Interactions, Vocabulary

T7 = {"u1": "ABC", "u2": "ABCD", "u3": "ADE", "u4": "ACD", "u5": "ABCDE", "u6": "E", "u7": "B"}


def seconds(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()


NOON = seconds("2017-04-01T12:00:00")


def interactions(rows):
    """From (user, item, seconds) rows."""
    users, items = Vocabulary([row[0] for row in rows]), Vocabulary([row[1] for row in rows])
    return Interactions(
        users,
        items,
        users.indices([row[0] for row in rows]).astype(np.int32),
        items.indices([row[1] for row in rows]).astype(np.int32),
        np.array([row[2] for row in rows], np.float64),
        np.array([row[3] if len(row) > 3 else 1 for row in rows], np.float32),
    )


def t7():
    return interactions([(user, item, NOON) for user, items in T7.items() for item in items])
