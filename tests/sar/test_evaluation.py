"""Precision and diversity as the API reports them, and metrics over real lists."""

import numpy as np
import pytest

from seldon.errors import InvalidParameter
from seldon.interactions import Interactions, Vocabulary
from seldon.sar.evaluation import Precision, Trial, diversity, evaluate, paired, precision, try_out


def events(pairs):
    users, items = Vocabulary([u for u, _ in pairs]), Vocabulary([i for _, i in pairs])
    return Interactions(
        users,
        items,
        users.indices([u for u, _ in pairs]).astype(np.int32),
        items.indices([i for _, i in pairs]).astype(np.int32),
        np.zeros(len(pairs)),
        np.ones(len(pairs), np.float32),
    )


def listing(lists, train):
    """A recommender that answers these lists by user id."""

    def recommend(users, count):
        found = np.full((len(users), count), -1)
        for row, user in enumerate(users):
            items = train.items.indices(list(lists[train.users.ids[user]]))[:count]
            found[row, : len(items)] = items
        return found

    return recommend


@pytest.fixture
def f1():
    lists = {"u1": "ABCDE", "u2": "BAECD", "u3": "CD", "u4": "EDCBA"}
    train = events([(user, item) for user in lists for item in "ABCDE"])
    test = events(
        [("u1", "C"), ("u2", "B"), ("u2", "E"), ("u3", "A"), ("u4", "A"), ("u4", "Z"), ("u9", "A")]
    )
    return try_out(listing(lists, train), train, test, 5)


def test_f1_precision_is_a_hit_rate_over_all_test_users(f1):
    assert precision(f1) == tuple(
        Precision(k, percentage, 5) for k, percentage in enumerate((20, 20, 40, 40, 60), start=1)
    )


def test_f1_counts(f1):
    assert f1.users.tolist() == ["u1", "u2", "u3", "u4"]
    assert f1.relevant.tolist() == [1, 2, 1, 2]
    assert f1.history.tolist() == [5, 5, 5, 5]


def test_f1_ranking_metrics_are_over_scored_users(f1):
    found = evaluate(f1, [2, 5], np.random.default_rng(0))
    assert found.users_scored == 4
    assert found.metrics["hit_rate@5"].mean == 0.75
    assert found.metrics["precision@2"].mean == pytest.approx((0 + 1 / 2 + 0 + 0) / 4)
    assert found.metrics["recall@5"].mean == pytest.approx((1 + 1 + 0 + 1 / 2) / 4)
    assert found.metrics["mrr@5"].mean == pytest.approx((1 / 3 + 1 + 0 + 1 / 5) / 4)
    assert found.coverage == {"coverage@2": 1.0, "coverage@5": 1.0}
    assert found.values()["mrr@5"] == found.metrics["mrr@5"].mean


def recommended(counts, popularity):
    """A trial in which item n was recommended ``counts[n]`` times, in lists of five."""
    shown = np.array([n for n, times in counts.items() for _ in range(times)])
    lists = np.concatenate([shown, np.full(-len(shown) % 5, -1)]).reshape(-1, 5)
    n = len(lists)
    none = np.empty(0, int)
    return Trial(np.arange(n), n, lists, none, none, np.zeros(n), np.ones(n), popularity)


def test_f2_diversity_buckets_and_their_edges():
    counts = {199: 3, 198: 2, 197: 2, 180: 4, 179: 5, 0: 4}
    found = diversity(recommended(counts, np.arange(1, 201)))
    assert [(b.minimum, b.maximum, b.percentage) for b in found.buckets] == [
        (0, 90, 45),
        (90, 99, 30),
        (99, 100, 25),
    ]
    assert found.total_items_recommended == 20
    assert found.unique_items_recommended == 6
    assert found.unique_items_in_train_set == 200


def test_f3_a_small_set_has_an_empty_top_bucket():
    found = diversity(recommended(dict.fromkeys(range(20), 1), np.arange(1, 21)))
    assert [b.percentage for b in found.buckets] == [90, 10, 0]


def test_equal_popularity_goes_by_id():
    found = diversity(recommended({0: 1, 9: 1}, np.ones(10, int)))
    assert [b.percentage for b in found.buckets] == [50, 50, 0]


def test_items_placed_by_features_are_the_least_popular():
    found = diversity(recommended({0: 1, 1: 1, 9: 2}, np.array([0, 0, *range(1, 9)])))
    assert [b.percentage for b in found.buckets] == [100, 0, 0]
    assert found.unique_items_in_train_set == 8


def test_an_item_the_model_knows_from_features_alone_can_be_hit():
    train, test = events([("a", "x")]), events([("a", "new")])
    items = Vocabulary(["x", "new"])
    trial = try_out(
        lambda users, n: np.full((len(users), n), items.indices(["new"])), train, test, 1, items
    )
    assert trial.hits.tolist() == [[True]]
    assert trial.popularity.tolist() == [0, 1]


def test_nobody_to_score():
    train, test = events([("a", "x")]), events([("b", "x")])
    trial = try_out(listing({}, train), train, test, 5)
    found = evaluate(trial, [5], np.random.default_rng(0))
    assert (found.precision, found.diversity, found.metrics, found.coverage) == ((), None, {}, {})
    assert (found.users_in_test, found.users_scored) == (1, 0)


def test_repeated_test_events_count_once():
    train = events([("a", "x"), ("a", "y")])
    test = events([("a", "x"), ("a", "x"), ("a", "new"), ("a", "newer")])
    trial = try_out(listing({"a": "xy"}, train), train, test, 2)
    assert trial.relevant.tolist() == [3]
    assert sorted(trial.item.tolist()) == [-1, -1, 0]


def test_lists_shorter_than_k_are_refused(f1):
    with pytest.raises(InvalidParameter, match=r"k=\[10\] must lie in 1 to 5"):
        evaluate(f1, [10], np.random.default_rng(0))


def test_a_better_model_is_found_better():
    train = events([(u, i) for u in range(60) for i in range(8)])
    test = events([(u, u % 8) for u in range(60)])

    def good(users, count):
        return np.tile(users[:, None] % 8, (1, count))

    def poor(users, count):
        return np.tile((users[:, None] + users[:, None] % 3) % 8, (1, count))

    rng = np.random.default_rng(0)
    found = paired(try_out(good, train, test, 1), try_out(poor, train, test, 1), [1], rng)
    assert found["hit_rate@1"].difference == pytest.approx(40 / 60)
    assert found["hit_rate@1"].low > 0.5
    assert found["hit_rate@1"].p_value < 0.01
    with pytest.raises(InvalidParameter, match="no scored user in common"):
        other = events([(u, 0) for u in range(100, 120)])
        paired(try_out(good, train, test, 1), try_out(good, other, other, 1), [1], rng)
