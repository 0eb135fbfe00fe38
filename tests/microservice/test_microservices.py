"""Microservices: a saved recommender, pipeline or extension becomes an app in three lines."""

import hashlib
import json
import subprocess
import sys
import time

import joblib
import numpy as np
import pytest

from seldon import ExtensionWrapper, RecommenderWrapper, load_recommender, save_recommender
from seldon.algorithms import as_function, as_recommender
from seldon.errors import InvalidModel, ModelNotFound
from seldon.extension import Extension
from seldon.microservice import Microservices
from tests.saved_models import Doubling, Favourites, OwnFiles, SimpleRecommender
from tests.services.processes import memcached

QUERY = "/recommend?client=test1&user_id=1&recent_interactions=16,260&exclusion_items=2"


@pytest.fixture
def folder(tmp_path):
    model = Favourites(2.0).fit({1: 0.5, 2: 0.9, 3: 0.25}, [])
    RecommenderWrapper().save_recommender(model, tmp_path / "rec")
    return tmp_path / "rec"


def test_a_recommender_without_memcached(tmp_path):
    RecommenderWrapper().save_recommender(SimpleRecommender(), tmp_path / "rec")
    app = Microservices().create_recommendation_microservice(str(tmp_path / "rec"))
    client = app.test_client()
    answer = client.post(
        "/recommend", json={"client": "c", "user_id": 1, "limit": 5, "candidates": [1, 2, 3]}
    )
    first, second = answer.json["recommended"]
    assert first == {"item": 1, "score": 1.0}
    assert second == {"item": 2, "score": pytest.approx(0.875)}
    assert client.get(f"{QUERY}&data_key=k&limit=5").status_code == 503, "there is none to ask"
    assert client.get("/readyz").status_code == 200
    assert app.config["seldon_recommender"].res


@pytest.mark.service
@pytest.mark.parametrize("as_list", [True, False])
def test_a_recommender_with_memcached(folder, as_list):
    import pylibmc

    with memcached() as (_, port):
        servers = f"127.0.0.1:{port}"
        pylibmc.Client([servers]).set("ce136f0d0fac274a7d353e672bf4b187", json.dumps([1, 2, 3, 9]))
        app = Microservices().create_recommendation_microservice(
            str(folder), memcache_servers=[servers] if as_list else servers, memcache_pool_size=3
        )
        answer = app.test_client().get(f"{QUERY}&data_key=ce136f0d0fac274a7d353e672bf4b187&limit=2")
        assert answer.json["recommended"] == [{"item": 1, "score": 1.0}, {"item": 3, "score": 0.5}]


def test_a_newer_model_in_the_folder_is_taken_up(folder):
    app = Microservices().create_recommendation_microservice(folder)
    client = app.test_client()
    body = {"client": "c", "user_id": 1, "limit": 1, "candidates": [1, 2, 3]}
    assert client.post("/recommend", json=body).json["recommended"][0]["item"] == 2
    save_recommender(Favourites(2.0).fit({3: 1.0}, []), folder)
    for _ in range(200):
        answer = client.post("/recommend", json=body).json["recommended"]
        if answer[0]["item"] == 3:
            break
        time.sleep(0.05)
    assert answer[0]["item"] == 3


def test_a_recommender_at_a_url():
    RecommenderWrapper().save_recommender(SimpleRecommender(), "memory://models/simple")
    app = Microservices().create_recommendation_microservice("memory://models/simple")
    body = {"client": "c", "user_id": 1, "limit": 1, "candidates": [1, 2]}
    assert app.test_client().post("/recommend", json=body).json["recommended"]


def test_an_original_folder(tmp_path):
    model = OwnFiles()
    model.text = "kept"
    model.save(str(tmp_path))
    joblib.dump(model, tmp_path / "rec")
    with pytest.raises(InvalidModel, match="trusted=True"):
        Microservices().create_recommendation_microservice(tmp_path)
    digest = hashlib.sha256((tmp_path / "rec").read_bytes()).hexdigest()
    app = Microservices(trusted={digest}).create_recommendation_microservice(tmp_path)
    assert app.config["seldon_recommender"].text == "kept"


def test_no_model(tmp_path):
    for create in (
        Microservices().create_recommendation_microservice,
        Microservices().create_extension_microservice,
        lambda folder: Microservices().create_prediction_microservice(folder, "m"),
    ):
        with pytest.raises(ModelNotFound, match="is not a model folder"):
            create(tmp_path / "none")


def test_an_extension(tmp_path):
    ExtensionWrapper().save_extension(Doubling(), tmp_path / "ext")
    client = Microservices().create_extension_microservice(tmp_path / "ext").test_client()
    document = {"x": [1, "a"], "n": None}
    expected = {"result": [1, "a", 1, "a"], "given": document}
    text = json.dumps(document)
    assert client.get("/extension", query_string={"json": text}).json == expected
    assert client.post("/extension", data={"json": text}).json == expected
    assert client.post("/extension", json=document).json == expected
    assert client.get("/extension").status_code == 400
    assert client.get("/extension?json=[").json["detail"].startswith("json is not JSON")
    assert client.get('/extension?json={"y":1}').status_code == 500, "its own fault"
    assert client.get("/readyz").json["checks"]["model"]["name"] == "Doubling"


class Odd(Extension):
    def predict(self, input=None):
        return {"array": np.arange(3), 1: np.float32(0.5)} if input == 1 else {1j}


def test_an_extension_answers_numpy_but_not_nonsense():
    from seldon.microservice.extension import create_blueprint
    from seldon.operation.log import RequestLog
    from seldon.web import create_web_app

    app = create_web_app("odd", {}, RequestLog())
    app.register_blueprint(create_blueprint(Odd(), 1000, 1000))
    client = app.test_client()
    assert client.get("/extension?json=1").json == {"array": [0, 1, 2], "1": 0.5}
    answer = client.get("/extension?json=2")
    assert answer.status_code == 500
    assert "Odd.predict answered what JSON cannot say" in answer.json["detail"]


def popular(user_id, client, recent, data_set, limit):
    return {item: 1 / item for item in data_set}


def test_a_function_and_a_recommender_become_each_other(tmp_path):
    recommender = as_recommender(popular)
    assert recommender.recommend(1, {1, 2}, [], "c", 5) == {1: 1, 2: 0.5}
    assert as_function(recommender)(1, "c", [], {4}, 5) == {4: 0.25}
    save_recommender(recommender, tmp_path / "rec")
    assert load_recommender(tmp_path / "rec").recommend(1, {2}, [], "c", 5) == {2: 0.5}
    with pytest.raises(InvalidModel, match="top level of a module"):
        save_recommender(as_recommender(lambda *query: {}), tmp_path / "other")


def test_row_65_importing_needs_no_extra():
    blocked = ["sklearn", "joblib", "skops", "grpc", "xgboost", "fsspec", "torch", "kazoo"]
    script = f"import sys; sys.modules.update(dict.fromkeys({blocked!r}));"
    script += (
        "import seldon, seldon.util, seldon.microservice; from seldon.errors import MissingExtra\n"
    )
    script += (
        "try: import seldon.microservice.rpc\n"
        "except MissingExtra as error: print(error)\n"
        "try: import seldon.pipeline.basic_transforms\n"
        "except MissingExtra as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "seldon-recommender[grpc]" in done.stdout
    assert "seldon-recommender[predict]" in done.stdout
