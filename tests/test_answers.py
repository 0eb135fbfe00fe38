"""Whatever an algorithm answers, what goes out is finite, allowed, sorted and between 0 and 1."""

import json
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seldon import answers
from seldon.answers import UnusableAnswer, clean, normalised
from seldon.candidates import CandidateList, Candidates

CANDIDATES = Candidates(CandidateList(np.arange(1, 11, dtype=np.int64)), [10])  # 1 to 9


def items(answer, limit=5, candidates=CANDIDATES):
    return clean(answer, candidates, limit, "max").items


@pytest.mark.parametrize(
    "answer",
    [
        {1: 1.0, 2: 3, 3: 2.0},
        [(1, 1.0), (2, 3), (3, 2.0)],
        ((item, score) for item, score in [(1, 1.0), (2, 3.0), (3, 2.0)]),
        (np.array([1, 2, 3]), np.array([1.0, 3.0, 2.0])),
        (np.array([1, 2, 3], np.int32), np.array([1, 3, 2], np.float32)),
        (np.array([1, 2, 3], np.uint8), np.array([1, 3, 2], np.float16)),
        (np.array([1, 2, 3], np.uint64), np.array([1, 3, 2], np.int64)),
        (np.array([1, 2, 3], object), np.array([1, 3, 2], object)),
        {np.int64(1): np.float32(1), np.int32(2): np.float64(3), 3: np.float16(2)},
        [[1, 1.0], [2, 3.0], [3, 2.0]],
        np.array([[1, 2, 3]]).T.tolist() and [(1, np.array(1.0)), (2, np.array(3)), (3, 2)],
        {1: Decimal(1), 2: Fraction(3), 3: 2},
        pd.Series([1.0, 3.0, 2.0], [1, 2, 3]).items(),
        zip([1, 2, 3], [1, 3, 2], strict=True),
        {1: 1.0, 2: 3, 3: 2.0}.items(),
    ],
)
def test_every_form_of_an_answer(answer):
    cleaned = clean(answer, CANDIDATES, 5, "max")
    assert cleaned.items == [2, 3, 1]
    assert cleaned.scores == pytest.approx([1, 2 / 3, 1 / 3])
    assert cleaned.dropped == {}
    assert all(type(item) is int for item in cleaned.items)
    assert all(type(score) is float for score in cleaned.scores)


@pytest.mark.parametrize("answer", [{}, [], (), iter(()), (np.empty(0, np.int64), np.empty(0))])
def test_nothing_is_an_answer_too(answer):
    assert items(answer) == []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        5,
        0.5,
        "1:0.5",
        b"1",
        object(),
        (np.array([1, 2]), np.array([1.0])),
        (np.array([[1, 2]]), np.array([[1.0, 2.0]])),
        (np.array(1), np.array(1.0)),
    ],
)
def test_row_25_an_answer_that_is_no_scores_at_all(answer):
    with pytest.raises(UnusableAnswer):
        items(answer)


@pytest.mark.parametrize(
    ("answer", "kept", "reason", "number"),
    [
        ({i: i for i in range(1, 10)}, [9, 8, 7, 6, 5], "over limit", 4),
        ({99: 5, 1: 1}, [1], "not a candidate", 1),
        ({10: 5, 1: 1}, [1], "not a candidate", 1),
        ({-1: 5, 1: 1}, [1], "not a candidate", 1),
        ([(1, 1), (1, 5), (2, 2)], [1, 2], "answered twice", 1),
        ([(1, math.nan), (2, math.inf), (3, -math.inf), (4, 1)], [4], "not finite", 3),
        ((np.array([1, 2]), np.array([np.nan, 1])), [2], "not finite", 1),
        ({1: 10**400, 2: 1}, [2], "not an (item, score) pair", 1),
        ({1: None, 2: 1}, [2], "not an (item, score) pair", 1),
        ({1: "high", 2: 1}, [2], "not an (item, score) pair", 1),
        ({1: 1j, 2: 1}, [2], "not an (item, score) pair", 1),
        ((np.array([1, 2]), np.array([1j, 1])), [], "not an (item, score) pair", 2),
        ({"1": 1, 2: 1}, [2], "not an (item, score) pair", 1),
        ({1.0: 1, 2: 1}, [2], "not an (item, score) pair", 1),
        ({True: 1, 2: 1}, [2], "not an (item, score) pair", 1),
        ({None: 1, 2: 1}, [2], "not an (item, score) pair", 1),
        ({2**63: 1, 2: 1}, [2], "not an (item, score) pair", 1),
        ({2**70: 1, 2: 1}, [2], "not an (item, score) pair", 1),
        ((np.array([2**64 - 5, 2], np.uint64), np.ones(2)), [2], "not an (item, score) pair", 1),
        ([1, 2, 3], [], "not an (item, score) pair", 3),
        ([(1, 2, 3), (2, 1)], [2], "not an (item, score) pair", 1),
        ([(1,), (2, 1)], [2], "not an (item, score) pair", 1),
        ([None, (2, 1)], [2], "not an (item, score) pair", 1),
        ([(1, np.array([1.0, 2.0])), (2, 1)], [2], "not an (item, score) pair", 1),
        ([(pd.NaT, 1), (pd.NA, 1), (2, 1)], [2], "not an (item, score) pair", 2),
    ],
)
def test_row_25_what_is_wrong_is_dropped_and_counted(answer, kept, reason, number):
    """Rows 25 and 26: the zoo of answers."""
    candidates = Candidates(CandidateList(np.arange(-9, 11, dtype=np.int64)), [10, -1])
    cleaned = clean(answer, candidates, 5, "max")
    assert cleaned.items == kept
    assert cleaned.dropped == {reason: number}


def test_row_25_the_best_are_found_behind_many_that_are_not_allowed():
    forbidden = {item: 1000.0 + item for item in range(100, 5000)}
    cleaned = clean(forbidden | {1: 1.0, 2: 2.0}, CANDIDATES, 5, "max")
    assert cleaned.items == [2, 1]


def test_row_25_an_endless_generator_ends(monkeypatch):
    monkeypatch.setattr(answers, "MAX_PAIRS", 1000)

    def endless():
        while True:
            yield 1, 0.5

    assert items(endless()) == [1]


def test_row_25_what_a_generator_raises_is_the_algorithms_own_error():
    def broken():
        yield 1, 0.5
        raise KeyError("model")

    with pytest.raises(KeyError, match="model"):
        items(broken())


def test_the_answer_is_not_changed():
    given_scores = np.array([-1.0, 5.0, 3.0])
    given_ids = np.array([1, 2, 99])
    items((given_ids, given_scores))
    assert given_scores.tolist() == [-1.0, 5.0, 3.0]
    assert given_ids.tolist() == [1, 2, 99]


def test_equal_scores_go_by_item_id():
    assert items(dict.fromkeys([7, 3, 5, 1], 0.5), limit=3) == [1, 3, 5]


def oracle(pairs, allowed, limit, normalization):
    """Sort, cut, filter, normalise, the plain way."""
    best = {}
    for item, score in pairs:
        if math.isfinite(score) and item in allowed:
            best[item] = max(score, best.get(item, -math.inf))
    chosen = sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
    scores = [score for _, score in chosen]
    if normalization == "max" and scores:
        scale = max(map(abs, scores))
        scores = [s / scale for s in scores] if scale else scores
        low, high = min(scores), max(scores)
        if low < 0:
            scores = [(s - low) / (high - low) if high > low else 1.0 for s in scores]
    return [item for item, _ in chosen], [min(max(score, 0.0), 1.0) for score in scores]


scored = st.lists(
    st.tuples(
        st.integers(-5, 60),
        st.floats() | st.floats(-1, 1) | st.sampled_from([0.0, 0.5, 1.0, 5e-324, 1.7e308]),
    ),
    max_size=60,
)


@given(
    scored,
    st.sets(st.integers(-5, 60)),
    st.sets(st.integers(-5, 60), max_size=5),
    st.integers(1, 20),
    st.sampled_from(["max", "none"]),
)
def test_row_26_what_goes_out_is_what_the_oracle_says(pairs, ids, excluded, limit, normalization):
    listed = CandidateList(np.array(sorted(ids), np.int64))
    candidates = Candidates(listed, sorted(excluded))
    expected_items, expected = oracle(pairs, ids - excluded, limit, normalization)
    arrays = (np.array([i for i, _ in pairs], np.int64), np.array([s for _, s in pairs], float))
    for answer in (pairs, arrays):
        cleaned = clean(answer, candidates, limit, normalization)
        assert cleaned.items == expected_items
        assert cleaned.scores == pytest.approx(expected, abs=1e-12)
        assert all(a >= b for a, b in zip(cleaned.scores, cleaned.scores[1:], strict=False))
        assert all(0 <= score <= 1 for score in cleaned.scores)
    if len(dict(pairs)) == len(pairs):
        assert clean(dict(pairs), candidates, limit, normalization).items == expected_items


@given(scored.filter(bool))
def test_row_26_the_wire_holds_for_a_strict_parser(pairs):
    def refuse(text):
        raise AssertionError(f"{text} on the wire")

    cleaned = clean(pairs, Candidates.of(range(-5, 61)), 10, "max")
    text = orjson.dumps(cleaned.scores).decode()
    assert json.loads(text, parse_constant=refuse) == cleaned.scores


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([4.0, 2.0, 1.0], [1.0, 0.5, 0.25]),
        ([0.5, 0.25], [1.0, 0.5]),
        ([3.0, -1.0, 1.0], [1.0, 0.0, 0.5]),
        ([-1.0, -3.0], [1.0, 0.0]),
        ([-2.0, -2.0], [1.0, 1.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([5e-324, 0.0], [1.0, 0.0]),
        ([1.7e308, -1.7e308], [1.0, 0.0]),
    ],
)
def test_the_best_score_becomes_one(scores, expected):
    assert normalised(np.array(scores)).tolist() == pytest.approx(expected)


def test_scores_that_are_said_to_be_normalised_are_only_clipped():
    assert normalised(np.array([1.5, 0.5, -0.5]), "none").tolist() == [1.0, 0.5, 0.0]
