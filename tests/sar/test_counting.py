"""Counting, threshold and similarity against plain matrix products."""

import numpy as np
import pytest

from seldon.sar import counting
from seldon.sar.counting import ByPopularity, baskets, count_pairs
from seldon.sar.neighbours import FUNCTIONS, item_similarity, nearest_neighbours
from tests.sar.data import interactions


def random_events(seed, n=1500, users=120, items=50):
    rng = np.random.default_rng(seed)
    return interactions(
        [
            (f"u{user}", f"i{item % items:03}", float(time))
            for user, item, time in zip(
                rng.integers(0, users, n), rng.zipf(1.4, n), rng.integers(0, 6, n), strict=True
            )
        ]
    )


def counts_of(events, unit):
    """Items × items by the book: a basket is a set."""
    held = {}
    for user, item, time in zip(events.user, events.item, events.time, strict=True):
        held.setdefault((user, time if unit == "Timestamp" else 0), set()).add(item)
    matrix = np.zeros((len(held), len(events.items)))
    for row, items in enumerate(held.values()):
        matrix[row, list(items)] = 1
    return matrix.T @ matrix


def similarity_of(counts, function, threshold):
    occurrences = np.diag(counts)
    with np.errstate(invalid="ignore"):
        values = {
            "Jaccard": counts / (occurrences[:, None] + occurrences - counts),
            "Lift": counts / (occurrences[:, None] * occurrences),
            "Cooccurrence": counts,
        }[function]
    return np.where(counts >= threshold, values, 0)


@pytest.mark.parametrize("unit", ["User", "Timestamp"])
@pytest.mark.parametrize("pairs_per_block", [10, 4_000_000])
def test_against_matrix_products(monkeypatch, unit, pairs_per_block):
    monkeypatch.setattr(counting, "PAIRS_PER_BLOCK", pairs_per_block)
    events = random_events(1)
    expected = counts_of(events, unit)
    prepared = ByPopularity(baskets(events, unit))
    assert prepared.by_item.tolist() == np.diag(expected).tolist()
    assert prepared.work.sum() == np.tril(expected, -1).sum()
    for threshold in (1, 3, 6):
        for function in FUNCTIONS:
            matrix = similarity_of(expected, function, threshold)
            late = item_similarity(count_pairs(prepared), function, threshold)
            early = item_similarity(count_pairs(prepared, threshold), function, threshold)
            np.testing.assert_allclose(late.dense(), matrix, rtol=1e-14)
            assert early.dense().tolist() == late.dense().tolist()
            assert early.columns.tolist() == late.columns.tolist()
            for kept in (1, 4, 1000):
                best = np.zeros_like(matrix)
                for item, row in enumerate(late.dense()):
                    others = [j for j in np.lexsort((np.arange(len(row)), -row)) if j != item]
                    chosen = [*[j for j in others if row[j] > 0][:kept], item]
                    best[item, chosen] = row[chosen]
                streamed = nearest_neighbours(prepared, function, threshold, kept)
                counted = item_similarity(count_pairs(prepared), function, threshold, kept)
                assert streamed.dense().tolist() == counted.dense().tolist() == best.tolist()
                assert streamed.columns.tolist() == counted.columns.tolist()


def test_rows_rise_and_are_symmetric():
    found = item_similarity(
        count_pairs(ByPopularity(baskets(random_events(2), "User"))), "Jaccard", 2
    )
    assert (found.dense() == found.dense().T).all()
    for item in range(len(found)):
        assert (np.diff(found.row(item)[0]) > 0).all()


def test_one_event():
    prepared = ByPopularity(baskets(interactions([("u", "i", 0.0)]), "User"))
    assert item_similarity(count_pairs(prepared), "Jaccard", 1).dense().tolist() == [[1]]
    assert nearest_neighbours(prepared, "Jaccard", 1, 5).dense().tolist() == [[1]]


def test_progress_rises_to_one():
    told = []
    prepared = ByPopularity(baskets(random_events(3), "User"))
    count_pairs(prepared, told=told.append)
    assert told == sorted(told) and told[-1] == 1
