"""Models in memory: loaded once, bounded, followed; and the same folder under /recommend."""

import json
import threading
import urllib.request

import numpy as np
import pytest

from seldon.base import load_recommender
from seldon.errors import InvalidModel, ModelNotFound
from seldon.interactions import Interactions, Vocabulary
from seldon.models_api.serving import LoadedModels, load_model
from seldon.sar.model import SARRecommender
from seldon.sar.parameters import TrainingParameters
from seldon.sar.training import train as train_sar
from seldon.saved import write
from tests.models_api.conftest import RECOMMEND
from tests.services.processes import gunicorn


def save_model(folder, n_items=20):
    events = Interactions(
        Vocabulary(np.arange(50)),
        Vocabulary(np.arange(n_items)),
        np.repeat(np.arange(50, dtype=np.int32), n_items),
        np.tile(np.arange(n_items, dtype=np.int32), 50),
        np.zeros(50 * n_items),
        np.ones(50 * n_items, np.float32),
    )
    model, _ = train_sar(events, parameters=TrainingParameters(support_threshold=3))
    write(model, folder)


def loads(number=2, size=2**30):
    """A cache and the list of what it loaded."""
    loaded = []

    def load(folder):
        loaded.append(folder.name)
        return load_model(folder)

    return LoadedModels(load, maximum_number=number, maximum_bytes=size), loaded


def test_a_model_is_loaded_once(tmp_path):
    save_model(tmp_path / "a")
    models, loaded = loads()
    first = models.get(tmp_path / "a")
    assert models.get(tmp_path / "a") is first and loaded == ["a"]
    assert isinstance(first, SARRecommender)


def test_requests_at_once_wait_for_one_loading(tmp_path):
    save_model(tmp_path / "a")
    models, loaded = loads()
    found, ready = [], threading.Barrier(8)

    def ask():
        ready.wait()
        found.append(models.get(tmp_path / "a"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["a"] and len({id(model) for model in found}) == 1


def test_what_was_not_used_longest_leaves(tmp_path):
    for name in "abc":
        save_model(tmp_path / name)
    models, loaded = loads(number=2)
    for name in "abacab":
        models.get(tmp_path / name)
    assert loaded == ["a", "b", "c", "b"]
    assert len(models) == 2


def test_bytes_are_bounded_too(tmp_path):
    save_model(tmp_path / "a")
    save_model(tmp_path / "b")
    size = sum(file.stat().st_size for file in (tmp_path / "a").iterdir())
    models, _ = loads(number=10, size=size + 10)
    models.get(tmp_path / "a")
    models.get(tmp_path / "b")
    assert len(models) == 1
    models, _ = loads(size=1000)
    with pytest.raises(InvalidModel, match="MODELS_MEMORY_BYTES"):
        models.get(tmp_path / "a")
    assert len(models) == 0


def test_a_replaced_and_a_removed_folder(tmp_path):
    save_model(tmp_path / "a")
    models, _ = loads()
    before = models.get(tmp_path / "a")
    save_model(tmp_path / "a", n_items=10)
    after = models.get(tmp_path / "a")
    assert (len(before.items), len(after.items)) == (20, 10)
    assert len(before.similar_items("3", 5)) == 5  # whoever still has it goes on with it
    models.drop(tmp_path / "a")
    with pytest.raises(ModelNotFound):
        models.get(tmp_path / "nothing")


def test_row_32_a_damaged_folder_is_a_500_and_no_crash(client, train, place):
    model_id = client.create(supportThreshold=3).json["id"]
    train()
    array = place.store.folder(model_id) / "similarity_values.npy"
    array.write_bytes(array.read_bytes()[:-8])
    answer = client("GET", f"/api/models/{model_id}/recommend?itemId=A", RECOMMEND)
    assert answer.status_code == 500
    assert str(place.store.root) not in answer.text


def test_a_loaded_model_is_mapped_and_not_read(client, train):
    """That it takes under 100 ms is for the benchmark to measure."""
    client.create(supportThreshold=3)
    train()
    model = client._client.application.extensions["models_api"].recommender(None)
    similarity = model.similarity
    arrays = [similarity.indptr, similarity.columns, similarity.values, model.items.ids]
    for array in (*arrays, model.occurrences, model.popular):
        assert isinstance(array.base, np.memmap)


@pytest.mark.slow
@pytest.mark.service
def test_a_model_with_integer_ids_serves_a_seldon_server(client, train, place, tmp_path):
    """One line of configuration, the same folder."""
    rng = np.random.default_rng(0)
    lines = [f"{u},{i},2026-01-01\n" for u in range(60) for i in rng.permutation(12)[:6]]
    (place.inputs.root / "shop" / "numbers.csv").write_text("".join(lines))
    model_id = client.create(usageRelativePath="numbers.csv", supportThreshold=3).json["id"]
    train()
    ranked = client.ranked(f"/api/models/{model_id}/recommend?itemId=7")
    environ = {
        "SELDON_RECOMMENDER_ALG": "saved_recommender",
        "SELDON_RECOMMENDER_MODEL": str(place.store.folder(model_id)),
    }
    with gunicorn("recommender:app", log=tmp_path / "log", env=environ) as (_, port):
        query = "client=test&user_id=1&limit=5&recent_interactions=7"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/recommend?{query}") as answer:
            served = json.load(answer)["recommended"]
    assert [entry["item"] for entry in served] == [int(item) for item, _ in ranked[:5]]


def test_the_folder_of_a_model_is_one_of_the_package(client, train, place):
    model_id = client.create(supportThreshold=3).json["id"]
    train()
    recommender = load_recommender(place.store.folder(model_id))
    ranked = client.ranked(f"/api/models/{model_id}/recommend?itemId=A")
    assert recommender.similar_items("A") == ranked
