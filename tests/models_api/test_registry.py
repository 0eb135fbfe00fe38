import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

from seldon.models_api.database import models
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


def at_once(calls):
    """Make the calls from a thread each, at the same moment; what they returned or raised."""
    ready = threading.Barrier(len(calls))

    def call(function):
        ready.wait()
        try:
            return function()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def test_row_33_many_defaults_at_once(registry, queue):
    ids = [completed(registry, queue) for _ in range(6)]
    for _ in range(5):
        done = at_once([partial(registry.set_default, model_id) for model_id in ids])
        assert done == [True] * 6
        assert registry.default().id in ids


def test_i18_models_that_complete_at_once(registry, queue):
    for _ in range(3):
        runs = [started(registry, queue) for _ in range(6)]
        assert at_once([partial(queue.complete, run, {}) for run in runs]) == [True] * 6
        ids = [run.model_id for run in runs]
        assert registry.default().id in ids
        for model_id in ids:
            registry.delete(model_id)


def test_a_default_that_is_gone_keeps_nobody_from_becoming_it(registry, queue, opened):
    gone = completed(registry, queue)
    with opened.begin() as connection:  # a default set while its model was being deleted
        connection.execute(models.delete().where(models.c.id == gone))
    assert registry.default() is None and registry.status(None) is None
    assert completed(registry, queue) == registry.default().id
