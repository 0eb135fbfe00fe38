from datetime import UTC, datetime

from seldon.models_api.schemas import ModelStatus
from tests.models_api.conftest import PARAMETERS, UNKNOWN, completed, started


def test_a_new_model_waits(registry):
    before = datetime.now(UTC)
    model = registry.create(PARAMETERS, 'a "description" with \0 and ü')
    assert model.model_status is ModelStatus.Created
    assert abs((model.creation_time - before).total_seconds()) < 60
    assert registry.get(model.id) == model
    assert [entry.id for entry in registry.summaries()] == [model.id]
    assert registry.get(UNKNOWN) is None


def test_models_are_listed_by_id(registry):
    ids = [registry.create(PARAMETERS, None).id for _ in range(20)]
    assert [model.id for model in registry.summaries()] == sorted(ids)


def test_i18_the_first_model_to_complete_is_the_default(registry, queue):
    assert registry.default() is None
    first, _second = completed(registry, queue), completed(registry, queue)
    model = registry.default()
    assert model.id == first
    assert model.statistics == {"numberOfUsers": 3}
    assert model.model_status_message == "Model Training Completed Successfully"


def test_i19_the_default_is_a_completed_model(registry, queue):
    first = completed(registry, queue)
    failed = started(registry, queue)
    queue.fail(failed, "Failed to parse usage file(s) or parsing found no valid items", {"a": 1})
    for model_id in (UNKNOWN, failed.model_id, registry.create(PARAMETERS, None).id):
        assert not registry.set_default(model_id)
        assert registry.default().id == first
    second = completed(registry, queue)
    assert registry.set_default(second)
    assert registry.default().id == second


def test_i21_deleting_the_default_clears_it(registry, queue):
    first = completed(registry, queue)
    second = completed(registry, queue)
    assert registry.delete(first)
    assert registry.default() is None
    assert not registry.delete(first)
    assert registry.status(first) is None and registry.status(None) is None
    assert registry.status(second) == (second, ModelStatus.Completed)
    assert completed(registry, queue) == registry.default().id
