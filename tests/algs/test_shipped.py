"""The shipped algorithms, on the generated sample."""

import csv
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from seldon import sample
from seldon.algorithms import load_algorithm
from seldon.candidates import Candidates
from seldon.config import settings
from seldon.errors import InvalidSetting

ALGS = Path(__file__).parents[2] / "algs"


@pytest.fixture(scope="module")
def interactions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    assert sample.main(["--output", str(folder), "--events", "5000", "--items", "300"]) == 0
    return folder / "interactions.csv"


@pytest.fixture(scope="module")
def users_of(interactions):
    users = defaultdict(set)
    with interactions.open() as lines:
        for user, item, *_ in csv.reader(lines):
            users[int(item)].add(user)
    return users


def load(name, **overrides):
    return load_algorithm(name, [ALGS], None, settings(None, {}, **overrides)[0])


def answer(algorithm, data_set, recent=(), limit=10):
    ids, scores = algorithm.function(1, "test1", list(recent), data_set, limit)
    return dict(zip(ids.tolist(), scores.tolist(), strict=True))


def test_most_popular_counts_users(interactions, users_of):
    algorithm = load("most_popular", INTERACTIONS=str(interactions))
    candidates = sorted(users_of)[::3]
    found = answer(algorithm, Candidates.of(candidates), limit=10)
    expected = sorted((len(users_of[i]) for i in candidates), reverse=True)[:10]
    assert sorted(found.values(), reverse=True)[:10] == expected
    assert all(found[item] == len(users_of[item]) and item in candidates for item in found)


def test_most_popular_finds_the_few_candidates_far_down(interactions, users_of):
    algorithm = load("most_popular", INTERACTIONS=str(interactions))
    rare = sorted(users_of, key=lambda item: len(users_of[item]))[:3]
    assert set(answer(algorithm, Candidates.of([*rare, 10**9]))) == set(rare)


def test_recent_similarity_sums_cosines_of_the_recent_items(interactions, users_of):
    algorithm = load("recent_similarity", INTERACTIONS=str(interactions))
    popular = sorted(users_of, key=lambda item: -len(users_of[item]))
    recent, data_set = popular[:3], Candidates.of(popular[3:200])
    found = answer(algorithm, data_set, recent)
    for item, score in found.items():
        assert item in data_set
        cosines = [
            len(users_of[item] & users_of[r]) / math.sqrt(len(users_of[item]) * len(users_of[r]))
            for r in recent
        ]
        assert 0 < score <= sum(cosines) + 1e-6


def test_recent_similarity_finds_the_kind_of_item_a_user_likes(tmp_path):
    """Learning is demanded: the sample hides kinds of items that sessions keep to."""
    drawn = sample.sample_interactions(
        users=400, items=200, events=8000, rng=np.random.default_rng(3)
    )
    sample.write_sample(drawn, tmp_path)
    algorithm = load("recent_similarity", INTERACTIONS=str(tmp_path / "interactions.csv"))
    same = []
    for item in np.unique(drawn.item)[:100].tolist():
        found = answer(algorithm, Candidates(algorithm.catalogue(), [item]), [item], 10)
        best = sorted(found, key=lambda i: -found[i])[:10]
        same += [drawn.cluster[i - 1] == drawn.cluster[item - 1] for i in best]
    chance = np.mean(drawn.cluster[:, None] == drawn.cluster[None, :])
    assert np.mean(same) > 3 * chance


def test_unknown_recent_items_give_nothing(interactions):
    algorithm = load("recent_similarity", INTERACTIONS=str(interactions))
    assert algorithm.function(1, "c", [10**12], Candidates.of([1, 2]), 5) == {}


def test_the_catalogue_is_what_was_learned(interactions, users_of):
    for name in ("most_popular", "recent_similarity"):
        algorithm = load(name, INTERACTIONS=str(interactions))
        assert algorithm.catalogue().ids.tolist() == sorted(users_of)


@pytest.mark.parametrize("name", ["most_popular", "recent_similarity"])
def test_without_events_the_start_says_what_to_set(name):
    with pytest.raises(InvalidSetting, match="set INTERACTIONS"):
        load(name)


def test_example_alg_is_random_but_seeded():
    data_set = Candidates.of(np.arange(1000))
    seeded = load("example_alg", RANDOM_SEED=7)
    assert answer(seeded, data_set) == answer(seeded, data_set)
    other = load("example_alg", RANDOM_SEED=8)
    assert answer(seeded, data_set) != answer(other, data_set)
    assert answer(load("example_alg"), data_set).keys() <= set(range(1000))
    assert len(answer(seeded, Candidates.of([5, 6]))) == 2
    assert answer(seeded, Candidates.of([])) == {}
