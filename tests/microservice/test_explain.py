"""/explain gives the exact parts of each score of /recommend."""

from pathlib import Path

import numpy as np
import pytest

import recommender_config
from seldon.app import create_app
from seldon.base import Recommender, save_recommender

ROOT = Path(__file__).parents[2]


class Distances(Recommender):
    """Scores an item by its distance to each recent one."""

    def recommend(self, user, ids, recent_interactions, client, limit):
        return {item: sum(v for _, v in self._parts(item, recent_interactions)) for item in ids}

    def contributions(self, user, item, recent_interactions, client):
        return self._parts(item, recent_interactions)

    def catalogue(self):
        return np.arange(1, 20)

    def _parts(self, item, recent):
        return [(seed, 1 / (1 + abs(item - seed))) for seed in recent]


@pytest.fixture
def client(tmp_path):
    save_recommender(Distances(), tmp_path / "model")
    app = create_app(
        recommender_config,
        ROOT,
        RECOMMENDER_ALG="saved_recommender",
        RECOMMENDER_MODEL=str(tmp_path / "model"),
    )
    return app.test_client()


QUERY = "?client=a&user_id=1&limit=4&recent_interactions=3,7&exclusion_items=3,7"


def test_the_parts_add_up_to_the_scores(client):
    answer = client.get("/explain" + QUERY).get_json()
    scored = client.get("/recommend" + QUERY).get_json()["recommended"]
    assert [{"item": e["item"], "score": e["score"]} for e in answer["explained"]] == scored
    best = answer["explained"][0]["sum"]
    for entry in answer["explained"]:
        assert entry["sum"] == pytest.approx(sum(c["contribution"] for c in entry["contributions"]))
        assert entry["score"] == pytest.approx(entry["sum"] / best)
        assert {c["item"] for c in entry["contributions"]} == {3, 7}


def test_an_algorithm_that_cannot_tell_gives_no_parts():
    app = create_app(recommender_config, ROOT, RECOMMENDER_ALG="example_alg")
    answer = app.test_client().get("/explain" + QUERY).get_json()
    assert answer["explained"] == []


def test_a_bad_parameter_is_named(client):
    answer = client.get("/explain?client=a&user_id=x&limit=1")
    assert answer.status_code == 400
    assert "user_id='x'" in answer.get_json()["detail"]
