import sqlite3
import threading
import time
from datetime import UTC, datetime

import pytest

from seldon.errors import InvalidSetting, RegistryUnavailable
from seldon.models_api.registry import MAXIMUM_MESSAGE, ModelRegistry
from seldon.models_api.schemas import ModelStatus

UNKNOWN = "0b8f2c1e-6f0e-4d53-9a55-0c7e8f1d2a34"
PARAMETERS = {"blobContainerName": "a", "usageRelativePath": "b"}


def started(registry, host="here"):
    """A run of a new model."""
    model = registry.create(PARAMETERS, None)
    (queued,) = [one for one in registry.unfinished() if one.id == model.id]
    return registry.claim(queued, host)


def completed(registry):
    run = started(registry)
    assert registry.complete(run, {"numberOfUsers": 3})
    return run.model_id


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


def test_a_run_is_claimed_once_only(registry):
    registry.create(PARAMETERS, None)
    (queued,) = registry.unfinished()
    run = registry.claim(queued, "here")
    assert (run.attempt, run.parameters) == (1, PARAMETERS)
    assert registry.claim(queued, "there") is None
    assert registry.get(run.model_id).model_status_message == "Starting Model Training"


def test_many_trainers_at_once_claim_each_model_once(registry):
    for _ in range(8):
        registry.create(PARAMETERS, None)
    claimed, ready = [], threading.Barrier(4)

    def claim():
        ready.wait()
        for queued in registry.unfinished():
            run = registry.claim(queued, "here")
            if run is not None:
                claimed.append(run.model_id)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whoever looked after another one's claim may have claimed anew what was in progress.
    first_attempts = {one.id for one in registry.unfinished() if one.attempts >= 1}
    assert set(claimed) == first_attempts and len(first_attempts) == 8
    tokens = [one.token for one in registry.unfinished()]
    assert len(set(tokens)) == 8


def test_who_was_taken_for_dead_writes_nothing_more(registry):
    first = started(registry)
    (queued,) = registry.unfinished()
    second = registry.claim(queued, "there")
    assert second.attempt == 2
    assert not registry.beat(first)
    assert not registry.progress(first, "Core Training")
    assert not registry.complete(first, {})
    assert not registry.fail(first, "no")
    assert not registry.give_back(first)
    assert not registry.is_wanted(first)
    assert registry.beat(second) and registry.is_wanted(second)
    assert registry.get(second.model_id).model_status is ModelStatus.InProgress


def test_i22_no_later_write_resurrects_a_deleted_model(registry):
    run = started(registry)
    assert registry.delete(run.model_id)
    assert not registry.progress(run, "Core Training")
    assert not registry.complete(run, {})
    assert not registry.fail(run, "no")
    assert registry.get(run.model_id) is None
    assert registry.default() is None


def test_a_run_given_back_costs_no_attempt(registry):
    run = started(registry)
    assert registry.give_back(run)
    model = registry.get(run.model_id)
    assert (model.model_status, model.model_status_message) == (ModelStatus.Created, None)
    (queued,) = registry.unfinished()
    assert registry.claim(queued, "here").attempt == 1


def test_i18_the_first_model_to_complete_is_the_default(registry):
    assert registry.default() is None
    first, _second = completed(registry), completed(registry)
    model = registry.default()
    assert model.id == first
    assert model.statistics == {"numberOfUsers": 3}
    assert model.model_status_message == "Model Training Completed Successfully"


def test_i19_the_default_is_a_completed_model(registry):
    first = completed(registry)
    failed = started(registry)
    registry.fail(failed, "Failed to parse usage file(s) or parsing found no valid items", {"a": 1})
    for model_id in (UNKNOWN, failed.model_id, registry.create(PARAMETERS, None).id):
        assert not registry.set_default(model_id)
        assert registry.default().id == first
    second = completed(registry)
    assert registry.set_default(second)
    assert registry.default().id == second


def test_i21_deleting_the_default_clears_it(registry):
    first = completed(registry)
    second = completed(registry)
    assert registry.delete(first)
    assert registry.default() is None
    assert not registry.delete(first)
    assert registry.status(first) is None and registry.status(None) is None
    assert registry.status(second) == (second, ModelStatus.Completed)
    assert completed(registry) == registry.default().id


def test_the_queue_is_in_order_of_creation(registry):
    ids = [registry.create(PARAMETERS, None).id for _ in range(5)]
    assert [one.id for one in registry.unfinished()] == ids
    assert [registry.waiting_before(model_id) for model_id in ids] == [0, 1, 2, 3, 4]
    registry.delete(ids[1])
    assert registry.waiting_before(ids[4]) == 3


def test_long_messages_are_trimmed(registry):
    run = started(registry)
    registry.fail(run, "x\0" * MAXIMUM_MESSAGE)
    message = registry.get(run.model_id).model_status_message
    assert len(message) == MAXIMUM_MESSAGE + len("... [trimmed]")
    assert message.endswith("... [trimmed]")


def test_two_processes_may_open_it_at_once(database):
    failures = []

    def open_it():
        try:
            ModelRegistry(database).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_row_45_a_newer_schema_is_refused(registry, database):
    import sqlalchemy as sa

    with registry._begin() as connection:
        connection.execute(sa.text("UPDATE facts SET value = '99' WHERE name = 'schema'"))
    with pytest.raises(InvalidSetting, match="has schema '99', this version knows '1'"):
        ModelRegistry(database)


@pytest.mark.parametrize("damage", ["not a database", "flipped"])
def test_row_45_a_corrupt_file_is_a_clear_start_error(tmp_path, damage):
    path = tmp_path / "registry.sqlite"
    if damage == "flipped":
        registry = ModelRegistry(f"sqlite:///{path}")
        for _ in range(200):
            registry.create(PARAMETERS, "x" * 200)
        registry.close()
        data = bytearray(path.read_bytes())
        data[4096 * 3 : 4096 * 8] = b"\xa5" * (4096 * 5)
        path.write_bytes(data)
    else:
        path.write_bytes(b"this is no database " * 500)
    with pytest.raises(InvalidSetting, match=r"is no usable registry: .*restore it from a copy"):
        ModelRegistry(f"sqlite:///{path}")


@pytest.mark.slow
def test_row_45_a_locked_file_is_waited_for_and_then_reported(tmp_path):
    path = tmp_path / "registry.sqlite"
    registry = ModelRegistry(f"sqlite:///{path}")
    model = registry.create(PARAMETERS, None)
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    started_at = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="locked"):
        registry.create(PARAMETERS, None)
    assert 4 < time.monotonic() - started_at < 60
    assert registry.get(model.id) is not None  # readers are not held up
    timer = threading.Timer(1, holder.execute, ["COMMIT"])
    timer.start()
    assert registry.create(PARAMETERS, None).id
    timer.join()
    holder.close()
    registry.close()


def test_row_45_an_unreachable_database_is_reported_without_its_password():
    with pytest.raises(RegistryUnavailable) as caught:
        ModelRegistry("postgresql://seldon:sesame@127.0.0.1:9/nothing")
    assert "sesame" not in str(caught.value) and "127.0.0.1:9" in str(caught.value)
