"""A SAR model behind `algs/saved_recommender.py`."""

from pathlib import Path

import numpy as np
import pytest

from seldon import load_recommender, save_recommender
from seldon.algorithms import load_algorithm
from seldon.candidates import Candidates
from seldon.config import settings
from seldon.errors import SeldonError
from seldon.sar.parameters import TrainingParameters
from seldon.sar.training import train
from tests.sar.data import NOON, interactions

ALGS = Path(__file__).parents[2] / "algs"


@pytest.fixture
def model(tmp_path):
    rng = np.random.default_rng(2)
    rows = [(str(user), str(item), NOON) for user, item in rng.integers(1, 60, (600, 2))]
    parameters = TrainingParameters(support_threshold=2, enable_user_affinity=True)
    save_recommender(train(interactions(rows), parameters=parameters)[0], tmp_path / "model")
    return tmp_path / "model"


def algorithm(folder):
    configured = settings(None, {}, RECOMMENDER_MODEL=str(folder))[0]
    return load_algorithm("saved_recommender", [ALGS], None, configured)


def test_the_algorithm_answers_what_the_model_answers(model):
    loaded, served = load_recommender(model), algorithm(model)
    candidates = Candidates.of(range(5, 40))
    ids, scores = served.function(7, "test1", [3, 1, 9], candidates, 10)
    expected, values = loaded.recommend(7, candidates, [3, 1, 9], "test1", 10)
    assert ids.tolist() == expected.tolist() and len(ids) == 10
    np.testing.assert_allclose(scores, values, rtol=1e-6)
    assert set(ids.tolist()) <= set(range(5, 40)) - {9}
    assert served.catalogue().ids.tolist() == loaded.items.ids.tolist()


def test_contributions_add_up_to_the_score(model):
    served = algorithm(model)
    ids, scores = served.function(7, "test1", [3, 1, 9], Candidates.of(range(60)), 5)
    for item, score in zip(ids.tolist(), scores.tolist(), strict=True):
        parts = served.contributions(7, item, [3, 1, 9], "test1")
        assert {seed for seed, _ in parts} <= {3, 1, 9}
        assert sum(added for _, added in parts) == pytest.approx(score, rel=1e-6)


def test_a_damaged_model_does_not_start(model):
    (model / "similarity_values.npy").write_bytes(b"")
    with pytest.raises(SeldonError, match=r"similarity_values\.npy"):
        algorithm(model)
