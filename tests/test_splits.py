"""Splits against their definitions, user by user."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seldon import splits
from seldon.errors import InvalidParameter
from seldon.interactions import Interactions, Vocabulary

rows = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 5)), min_size=1, max_size=40
)


def events_of(drawn):
    users, items = Vocabulary([u for u, _, _ in drawn]), Vocabulary([i for _, i, _ in drawn])
    return Interactions(
        users,
        items,
        users.indices([u for u, _, _ in drawn]).astype(np.int32),
        items.indices([i for _, i, _ in drawn]).astype(np.int32),
        np.array([t for _, _, t in drawn], float),
        np.arange(1, len(drawn) + 1, dtype=np.float32),
    )


def by_user(drawn):
    rows = defaultdict(list)
    for row, (user, _, _) in enumerate(drawn):
        rows[user].append(row)
    return rows


@given(rows, st.sampled_from([0.1, 0.25, 0.29, 0.5, 0.9]), st.integers(0, 3))
def test_random_split_takes_the_share_of_every_user(drawn, share, seed):
    held = splits.random_split(events_of(drawn), np.random.default_rng(seed), share)
    for own in by_user(drawn).values():
        assert held[own].sum() == math.floor(share * len(own) + 1e-9)


def test_random_split_is_random_and_repeatable():
    events = events_of([(0, i % 7, 0) for i in range(1000)])
    once, again, other = (
        splits.random_split(events, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (once == again).all()
    assert 0.3 < (once != other).mean() < 0.45


@given(rows, st.sampled_from([0.25, 0.5]))
def test_user_chronological_split_takes_the_latest_of_every_user(drawn, share):
    held = splits.user_chronological_split(events_of(drawn), share)
    for own in by_user(drawn).values():
        latest = sorted(own, key=lambda row: (drawn[row][2], row))
        expected = set(latest[len(own) - math.floor(share * len(own)) :])
        assert {row for row in own if held[row]} == expected


@given(rows, st.sampled_from([0.25, 0.5]))
def test_chronological_split_never_trains_on_the_future(drawn, share):
    events = events_of(drawn)
    held = splits.chronological_split(events, share)
    assert held.sum() >= math.floor(share * len(drawn))
    if not held.all():
        assert events.time[~held].max() < events.time[held].min()


def test_date_split():
    events = events_of([(0, 0, 10), (0, 1, 20), (1, 0, 30)])
    assert splits.date_split(events, 20).tolist() == [False, True, True]


@given(rows, st.sampled_from(["last", "random"]), st.integers(0, 3))
def test_leave_one_out_holds_back_one_item_whole(drawn, which, seed):
    events = events_of(drawn)
    held = splits.leave_one_out(events, np.random.default_rng(seed), which, min_items=2)
    for own in by_user(drawn).values():
        items = {drawn[row][1] for row in own}
        taken = {drawn[row][1] for row in own if held[row]}
        if len(items) < 2:
            assert not taken
            continue
        (item,) = taken
        assert all(held[row] for row in own if drawn[row][1] == item)
        if which == "last":
            latest = max(drawn[row][2] for row in own)
            assert item in {drawn[row][1] for row in own if drawn[row][2] == latest}


def test_leave_one_out_is_fair_among_equal_times():
    events = events_of([(0, i, 5) for i in range(4)] + [(0, 0, 5)] * 20)
    rng = np.random.default_rng(0)
    chosen = [int(events.item[np.argmax(splits.leave_one_out(events, rng))]) for _ in range(400)]
    assert min(np.bincount(chosen, minlength=4)) > 60


@given(rows)
def test_divided_keeps_every_event_on_one_side(drawn):
    events = events_of(drawn)
    held = np.arange(len(drawn)) % 3 == 0
    if held.all():
        return
    train, test = splits.divided(events, held)

    def listed(side):
        columns = (side.users.ids[side.user], side.items.ids[side.item], side.time, side.weight)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    whole = [(*row[:2], float(row[2]), n + 1.0) for n, row in enumerate(drawn)]
    assert listed(train) == [row for row, test_row in zip(whole, held, strict=True) if not test_row]
    assert listed(test) == [row for row, test_row in zip(whole, held, strict=True) if test_row]
    assert len(train.users) == len(set(train.user.tolist()))
    assert len(test.items) == len(set(test.item.tolist()))


def test_an_empty_side_is_refused():
    events = events_of([(0, 0, 1), (0, 1, 1)])
    with pytest.raises(InvalidParameter, match="of 2 events the split holds back 2"):
        splits.divided(events, splits.chronological_split(events))
    with pytest.raises(InvalidParameter, match=r"share=1\.5"):
        splits.chronological_split(events, 1.5)
