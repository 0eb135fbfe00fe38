import threading

from seldon.models_api.queue import MAXIMUM_MESSAGE
from seldon.models_api.schemas import ModelStatus
from tests.models_api.conftest import PARAMETERS, started


def test_a_run_is_claimed_once_only(registry, queue):
    registry.create(PARAMETERS, None)
    (queued,) = queue.unfinished()
    run = queue.claim(queued, "here")
    assert (run.attempt, run.parameters) == (1, PARAMETERS)
    assert queue.claim(queued, "there") is None
    assert registry.get(run.model_id).model_status_message == "Starting Model Training"


def test_many_trainers_at_once_claim_each_model_once(registry, queue):
    for _ in range(8):
        registry.create(PARAMETERS, None)
    claimed, ready = [], threading.Barrier(4)

    def claim():
        ready.wait()
        for queued in queue.unfinished():
            run = queue.claim(queued, "here")
            if run is not None:
                claimed.append(run.model_id)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whoever looked after another one's claim may have claimed anew what was in progress.
    first_attempts = {one.id for one in queue.unfinished() if one.attempts >= 1}
    assert set(claimed) == first_attempts and len(first_attempts) == 8
    tokens = [one.token for one in queue.unfinished()]
    assert len(set(tokens)) == 8


def test_who_was_taken_for_dead_writes_nothing_more(registry, queue):
    first = started(registry, queue)
    (queued,) = queue.unfinished()
    second = queue.claim(queued, "there")
    assert second.attempt == 2
    assert not queue.beat(first)
    assert not queue.progress(first, "Core Training")
    assert not queue.complete(first, {})
    assert not queue.fail(first, "no")
    assert not queue.give_back(first)
    assert not queue.is_wanted(first)
    assert queue.beat(second) and queue.is_wanted(second)
    assert registry.get(second.model_id).model_status is ModelStatus.InProgress


def test_i22_no_later_write_resurrects_a_deleted_model(registry, queue):
    run = started(registry, queue)
    assert registry.delete(run.model_id)
    assert not queue.progress(run, "Core Training")
    assert not queue.complete(run, {})
    assert not queue.fail(run, "no")
    assert registry.get(run.model_id) is None
    assert registry.default() is None


def test_a_run_given_back_costs_no_attempt(registry, queue):
    run = started(registry, queue)
    assert queue.give_back(run)
    model = registry.get(run.model_id)
    assert (model.model_status, model.model_status_message) == (ModelStatus.Created, None)
    (queued,) = queue.unfinished()
    assert queue.claim(queued, "here").attempt == 1


def test_the_queue_is_in_order_of_creation(registry, queue):
    ids = [registry.create(PARAMETERS, None).id for _ in range(5)]
    assert [one.id for one in queue.unfinished()] == ids
    assert [registry.waiting_before(model_id) for model_id in ids] == [0, 1, 2, 3, 4]
    registry.delete(ids[1])
    assert registry.waiting_before(ids[4]) == 3


def test_long_messages_are_trimmed(registry, queue):
    run = started(registry, queue)
    queue.fail(run, "x\0" * MAXIMUM_MESSAGE)
    message = registry.get(run.model_id).model_status_message
    assert len(message) == MAXIMUM_MESSAGE + len("... [trimmed]")
    assert message.endswith("... [trimmed]")
