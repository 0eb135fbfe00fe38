"""Item-to-item cosine against the definition, computed pair by pair."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seldon import item_cosine as module
from seldon.errors import InvalidSetting
from seldon.interactions import Interactions, Vocabulary
from seldon.item_cosine import item_cosine


def interactions(events):
    """Events as (user, item) in time order."""
    users, items = Vocabulary([u for u, _ in events]), Vocabulary([i for _, i in events])
    return Interactions(
        users,
        items,
        users.indices([u for u, _ in events]).astype(np.int32),
        items.indices([i for _, i in events]).astype(np.int32),
        np.arange(len(events), dtype=np.float64),
        np.ones(len(events), np.float32),
    )


def by_definition(events):
    users = defaultdict(set)
    for user, item in events:
        users[item].add(user)
    return {
        (a, b): len(users[a] & users[b]) / np.sqrt(len(users[a]) * len(users[b]))
        for a in users
        for b in users
        if a != b and users[a] & users[b]
    }


def as_dict(neighbours):
    ids, offsets = neighbours.items.ids, neighbours.offsets
    return {
        (int(ids[row]), int(ids[neighbours.columns[place]])): float(neighbours.similarity[place])
        for row in range(len(ids))
        for place in range(offsets[row], offsets[row + 1])
    }


events = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 9)), min_size=1, max_size=60)


@given(events, st.sampled_from([1, 7, 10**6]))
def test_every_pair_has_its_cosine_whatever_the_block(events, block):
    before, module.PAIRS_AT_A_TIME = module.PAIRS_AT_A_TIME, block
    try:
        found = as_dict(item_cosine(interactions(events)))
    finally:
        module.PAIRS_AT_A_TIME = before
    assert found == pytest.approx(by_definition(events), rel=1e-6)


@given(events)
def test_the_best_neighbours_are_kept_and_ties_go_by_id(events):
    expected = by_definition(events)
    found = as_dict(item_cosine(interactions(events), most=2))
    for item in {a for a, _ in expected}:
        best = sorted((-score, b) for (a, b), score in expected.items() if a == item)[:2]
        assert {b for _, b in best} == {b for a, b in found if a == item}


def test_only_the_latest_hundred_items_of_a_user_count():
    found = as_dict(item_cosine(interactions([(1, item) for item in range(150)])))
    assert {a for a, _ in found} == set(range(50, 150))


def test_ids_that_are_no_integers_are_named():
    with pytest.raises(InvalidSetting, match="item id 'shoe' is not an integer"):
        item_cosine(interactions([(1, "7"), (1, "shoe")]))


def test_no_events():
    with pytest.raises(InvalidSetting, match="no event"):
        item_cosine(interactions([]))


def test_too_many_pairs_to_count_at_every_start(monkeypatch):
    monkeypatch.setattr(module, "MAX_PAIRS", 3)
    with pytest.raises(InvalidSetting, match="4 item pairs, too many"):
        item_cosine(interactions([(1, 1), (1, 2)]))
