import numpy as np
import pytest

from seldon.errors import InvalidParameter
from seldon.slirec import baselines
from seldon.slirec.dataset import split
from seldon.slirec.evaluation import BASELINES, evaluate, judged, table
from tests.slirec.sequences import chained_events
from tests.slirec.small import small


@pytest.fixture(scope="module")
def dataset():
    return split(chained_events(0.8))


def brute_metrics(scores):
    """By the definitions, a group at a time; the positive is in column 0."""
    rank = [1 + sum(s >= row[0] for s in row[1:]) for row in scores]
    found = {"mean_mrr": np.mean([1 / r for r in rank])}
    for k in (2, 4, 6):
        found[f"ndcg@{k}"] = np.mean([1 / np.log2(r + 1) if r <= k else 0 for r in rank])
    won = [(s < row[0]) + (s == row[0]) / 2 for row in scores for s in row[1:]]
    found["group_auc"] = np.mean(won)
    pairs = [(p > n) + (p == n) / 2 for p in scores[:, 0] for n in scores[:, 1:].ravel()]
    found["auc"] = np.mean(pairs)
    found["logloss"] = -(np.log(scores[:, 0]).sum() + np.log(1 - scores[:, 1:]).sum()) / scores.size
    return found


@pytest.mark.parametrize("digits", [1, 12])
def test_metrics_are_what_their_definitions_say(digits):
    rng = np.random.default_rng(0)
    # Rounded to one digit there are many ties.
    scores = np.clip(rng.random((30, 10)).round(digits), 0.05, 0.95)
    found = judged("random", scores, resamples=20)
    assert found.metrics == pytest.approx(brute_metrics(scores), abs=6e-5)
    assert found.groups == 30


def test_intervals_hold_the_metric_and_shrink_with_more_users():
    rng = np.random.default_rng(1)
    scores = rng.random((900, 10)) * [1.5, *[1] * 9]
    few, many = (judged("x", np.clip(scores[:n], 0, 1), resamples=200) for n in (100, 900))
    for name, value in many.metrics.items():
        low, high = many.intervals[name]
        assert low - 1e-4 <= value <= high + 1e-4
        assert high - low < 0.6 * (few.intervals[name][1] - few.intervals[name][0])


def test_a_constant_scorer_is_judged_as_poor_as_it_is():
    found = judged("constant", np.full((20, 10), 0.5), resamples=10)
    assert found.metrics["auc"] == found.metrics["group_auc"] == 0.5
    assert found.metrics["mean_mrr"] == 0.1


def test_the_bootstrap_follows_the_seed():
    scores = np.random.default_rng(2).random((50, 5))
    one, same, other = (judged("x", scores, seed=s, resamples=50) for s in (1, 1, 2))
    assert one == same
    assert one.intervals != other.intervals


def test_no_groups_are_refused():
    with pytest.raises(InvalidParameter, match="no groups to evaluate 'x'"):
        judged("x", np.empty((0, 5)))


def test_baselines_see_what_is_there_to_see(dataset):
    found = {
        name: judged(name, baseline(dataset, dataset.test), probabilities=False, resamples=10)
        for name, baseline in BASELINES.items()
    }
    assert 0.3 < found["most popular"].metrics["group_auc"] < 0.7
    assert found["item similarity"].metrics["group_auc"] > 0.85
    assert "logloss" not in found["item similarity"].metrics


def test_most_popular_counts_training_events_alone(dataset):
    held = {*dataset.valid.position.tolist(), *dataset.test.position.tolist()}
    expected = np.zeros(len(dataset.vocabulary.items))
    for position, item in enumerate(dataset.item):
        expected[item] += position not in held
    scores = baselines.most_popular(dataset, dataset.test)
    assert np.array_equal(scores, expected[dataset.test.item])


def test_item_similarity_is_what_its_formula_says():
    dataset = split(chained_events(0.5, users=4, length=16))
    n = len(dataset.vocabulary.items)
    count, after = np.zeros(n), np.zeros((n, n))
    for u in range(4):
        train = dataset.item[dataset.start[u] : dataset.start[u + 1] - 2]
        for k, item in enumerate(train):
            count[item] += 1
            for earlier in train[max(0, k - 5) : k]:
                after[earlier, item] += 1
    lift = after * count.sum() / np.maximum(np.outer(count, count), 1)
    for groups in (dataset.valid, dataset.test):
        expected = np.zeros(groups.item.shape)
        for row, position in enumerate(groups.position):
            history = dataset.item[dataset.history_start(groups.position)[row] : position][::-1]
            for k, past in enumerate(history[:11]):
                expected[row] += 0.9**k * lift[past, groups.item[row]]
        assert baselines.item_similarity(dataset, groups) == pytest.approx(expected)


def test_previous_category(dataset):
    groups = dataset.test
    expected = [
        [float(c == dataset.category[p - 1]) for c in row]
        for p, row in zip(groups.position, groups.category, strict=True)
    ]
    assert baselines.previous_category(dataset, groups).tolist() == expected


def test_everything_stands_in_one_table(dataset, tmp_path):
    torch = pytest.importorskip("torch", reason="the extra slirec is not installed")
    torch.set_num_threads(1)
    from seldon.slirec.training import train

    network = train(dataset, small(epochs=2), tmp_path).network
    for own in (False, True):
        found = evaluate(network, dataset, own_categories=own, resamples=20)
        assert [e.name for e in found] == ["SLi-Rec", *BASELINES]
        assert found[0].to_json()["metrics"]["logloss"] > 0
    lines = table(found).splitlines()
    assert len(lines) == 6
    assert lines[0].split() == [
        "model", "auc", "logloss", "mean_mrr", "ndcg@2", "ndcg@4", "ndcg@6", "group_auc",
    ]  # fmt: skip
    assert "–" in lines[2] and "±" in lines[1]
