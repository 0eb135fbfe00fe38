"""Metrics against definitions written out one user and one rank at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seldon import metrics
from seldon.errors import InvalidParameter


@st.composite
def recommendations(draw):
    """Lists of distinct items, and each user's relevant items (at least one)."""
    users = draw(st.integers(1, 6))
    lists, relevant = [], []
    for _ in range(users):
        shown = draw(st.lists(st.integers(0, 12), max_size=5, unique=True))
        lists.append(shown + [-1] * (5 - len(shown)))
        relevant.append(draw(st.sets(st.integers(0, 12), min_size=1, max_size=8)))
    return np.array(lists), relevant


def made(lists, relevant):
    user = np.array([u for u, items in enumerate(relevant) for _ in items])
    item = np.array([i for items in relevant for i in items])
    return metrics.hits_of_lists(lists, user, item), np.array([len(items) for items in relevant])


@given(recommendations(), st.integers(1, 7))
def test_top_k_metrics_are_their_definitions(drawn, k):
    lists, relevant = drawn
    hits, counts = made(lists, relevant)
    for u, wanted in enumerate(relevant):
        shown = [i for i in lists[u].tolist() if i >= 0][:k]
        found = [i in wanted for i in shown]
        assert metrics.precision(hits, k)[u] == pytest.approx(sum(found) / k)
        assert metrics.recall(hits, counts, k)[u] == pytest.approx(sum(found) / len(wanted))
        assert metrics.hit_rate(hits, k)[u] == any(found)
        total = sum(sum(found[: r + 1]) / (r + 1) for r, hit in enumerate(found) if hit)
        assert metrics.average_precision(hits, counts, k)[u] == pytest.approx(total / len(wanted))
        assert metrics.average_precision(hits, counts, k, attainable=True)[u] == pytest.approx(
            total / min(len(wanted), k)
        )
        gain = sum(1 / math.log2(r + 2) for r, hit in enumerate(found) if hit)
        ideal = sum(1 / math.log2(r + 2) for r in range(min(k, len(wanted))))
        assert metrics.ndcg(hits, counts, k)[u] == pytest.approx(gain / ideal)
        rank = next((r + 1 for r, hit in enumerate(found) if hit), math.inf)
        assert metrics.reciprocal_rank(hits, k)[u] == pytest.approx(1 / rank)


@given(recommendations(), st.integers(1, 5))
def test_coverage_and_novelty_are_their_definitions(drawn, k):
    lists, _ = drawn
    counts = np.arange(13) * 3
    shown = [[i for i in row if i >= 0][:k] for row in lists.tolist()]
    assert metrics.coverage(lists, 13, k) == len({i for row in shown for i in row}) / 13
    found = metrics.novelty(lists, counts, k)
    for u, row in enumerate(shown):
        bits = [-math.log2(max(counts[i], 1) / counts.sum()) for i in row]
        assert found[u] == pytest.approx(np.mean(bits) if bits else math.nan, nan_ok=True)


def test_nothing_relevant_and_nothing_shown_are_zero():
    hits = np.zeros((2, 3), bool)
    none = np.zeros(2, int)
    for values in (
        metrics.recall(hits, none, 3),
        metrics.ndcg(hits, none, 3),
        metrics.average_precision(hits, none, 3),
        metrics.reciprocal_rank(hits[:, :0]),
    ):
        assert values.tolist() == [0, 0]
    assert metrics.coverage(np.full((2, 3), -1), 5, 3) == 0


groups = st.integers(2, 6).flatmap(
    lambda n: st.lists(
        st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.7, 0.9]), min_size=n, max_size=n),
        min_size=1,
        max_size=5,
    )
)


@given(groups)
def test_scores_are_judged_pair_by_pair(drawn):
    scores = np.array(drawn)
    labels = np.zeros_like(scores)
    labels[:, 0] = 1

    def in_order(positives, negatives):
        return np.mean([(p > n) + (p == n) / 2 for p in positives for n in negatives])

    assert metrics.auc(labels, scores) == pytest.approx(
        in_order(scores[:, 0], scores[:, 1:].ravel())
    )
    assert metrics.group_auc(labels, scores).tolist() == pytest.approx(
        [in_order(row[:1], row[1:]) for row in scores]
    )
    # The positive is in the first column, so that ties count against it.
    ranks = [1 + sum(row[1:] >= row[0]) for row in scores]
    found = metrics.candidate_metrics(labels, scores, ks=(1, 3), digits=None)
    assert found["mean_mrr"] == pytest.approx(np.mean([1 / r for r in ranks]))
    for k in (1, 3):
        ndcg = np.mean([1 / math.log2(r + 1) if r <= k else 0 for r in ranks])
        assert found[f"ndcg@{k}"] == pytest.approx(ndcg)
    loss = np.where(labels == 1, -np.log(scores), -np.log(1 - scores)).mean()
    assert found["logloss"] == pytest.approx(loss)


def test_candidate_metrics_equal_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics", exc_type=ImportError)
    rng = np.random.default_rng(0)
    labels = np.zeros((50, 10))
    labels[:, 0] = 1
    scores = rng.random((50, 10)) * 0.98 + 0.01 * (1 + labels)
    found = metrics.candidate_metrics(labels, scores)
    assert list(found) == ["auc", "logloss", "mean_mrr", "ndcg@2", "ndcg@4", "ndcg@6", "group_auc"]
    assert found["auc"] == round(sklearn.roc_auc_score(labels.ravel(), scores.ravel()), 4)
    assert found["logloss"] == round(sklearn.log_loss(labels.ravel(), scores.ravel()), 4)
    assert found["ndcg@4"] == round(sklearn.ndcg_score(labels, scores, k=4), 4)


def test_log_loss_of_certainty_is_finite():
    assert metrics.log_loss(np.array([1, 0]), np.array([0.0, 1.0])) == pytest.approx(25.328, 1e-3)


def test_auc_of_one_class_is_refused():
    with pytest.raises(InvalidParameter, match="2 positives, 0 negatives"):
        metrics.auc(np.ones(2), np.arange(2.0))


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        interval = metrics.mean_intervals(rng.exponential(1, (80, 1)), rng, resamples=200)[0]
        covered += interval.low <= 1 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_intervals_leave_out_what_is_not_told():
    values = np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan], [5.0, 4.0, np.nan]])
    first, second, third = metrics.mean_intervals(values, np.random.default_rng(0))
    assert (first.mean, first.users) == (3, 3)
    assert (second.mean, second.users) == (3, 2)
    assert 2 <= second.low <= second.high <= 4
    assert math.isnan(third.mean)
    assert third.users == 0


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).random((30, 2))
    once, again = (metrics.mean_intervals(values, np.random.default_rng(2)) for _ in range(2))
    assert once == again


def test_comparison_is_paired():
    """A small gain for every user is certain although users differ far more than the models."""
    rng = np.random.default_rng(3)
    users = rng.random(100)
    found = metrics.compare(users + 0.01 + 0.01 * rng.random(100), users, rng)
    assert found.difference == pytest.approx(0.015, abs=0.002)
    assert 0 < found.low < found.difference < found.high
    assert found.p_value < 0.01


def test_equal_models_do_not_differ():
    users = np.random.default_rng(4).random(50)
    found = metrics.compare(users, users, np.random.default_rng(0))
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_noise_is_found_significant_no_more_often_than_promised():
    rng = np.random.default_rng(6)
    found = [
        metrics.compare(rng.random(40), rng.random(40), rng, resamples=200).p_value < 0.05
        for _ in range(200)
    ]
    assert sum(found) / 200 < 0.1


def test_comparing_different_users_is_refused():
    with pytest.raises(InvalidParameter, match="3 and 2"):
        metrics.compare(np.ones(3), np.ones(2), np.random.default_rng(0))
