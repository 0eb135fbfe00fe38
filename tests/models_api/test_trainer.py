"""Trainings that are killed, deleted, starved of disk or memory; the queue; the registry's word."""

import fcntl
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from seldon.base import load_recommender
from seldon.errors import InvalidData
from seldon.models_api import trainer as trainer_module
from seldon.models_api.keeper import SERVER_GONE_SECONDS, is_served, only_trainer
from seldon.models_api.queue import MAXIMUM_ATTEMPTS
from seldon.models_api.schemas import ModelStatus, TrainingStatistics, to_json
from seldon.models_api.trainer import Trainer
from seldon.models_api.training import Outcome, train_model
from seldon.models_api.workplace import open_workplace
from tests.models_api.conftest import BOTH_DATABASES
from tests.services.processes import ROOT, stop

PARAMETERS = {
    "blobContainerName": "shop",
    "usageRelativePath": "t7/usage.csv",
    "supportThreshold": 3,
}


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.02)


def status(place, model_id):
    model = place.registry.get(model_id)
    return model and model.model_status


def leftovers(place):
    """Everything below the models' root that is neither a model nor the registry."""
    names = {path.name for path in place.store.root.iterdir()}
    models = {model.id for model in place.registry.summaries()}
    known = {".locks", ".serving", ".trainer"} | models
    return {name for name in names - known if not name.startswith("registry.sqlite")} | set(
        os.listdir(place.store.root / ".locks")
    )


def create(place, **parameters):
    return place.registry.create({**PARAMETERS, **parameters}, None).id


# Trainings that do not end well. They run in a forked child, like the real one.


def sleeping(run, place, progress):
    progress("Core Training")
    (place.store.work_folder(run.model_id) / "half").write_bytes(b"x" * 1000)
    time.sleep(60)


def crashing(run, place, progress):
    progress("Core Training")
    os.kill(os.getpid(), signal.SIGKILL)


def raising(run, place, progress):
    raise RuntimeError(f"attempt {run.attempt} of a training with a mistake")


def refusing(run, place, progress):
    raise InvalidData("usage.csv: an Excel workbook (.xlsx); save it as CSV")


def hungry(run, place, progress):
    hold = [bytearray(2**24) for _ in range(10**6)]
    return hold


@BOTH_DATABASES
def test_a_training_in_its_own_process(place, train):
    model_id = create(place)
    train()
    model = place.registry.get(model_id)
    assert model.model_status is ModelStatus.Completed
    recommender = load_recommender(place.store.folder(model_id))
    assert recommender.similar_items("A", 1) == [("C", pytest.approx(0.8))]
    assert leftovers(place) == set()


@BOTH_DATABASES
def test_row_41_a_training_that_dies_is_tried_three_times(place):
    model_id = create(place)
    trainer = Trainer(place, crashing)
    for attempt in range(1, MAXIMUM_ATTEMPTS):
        assert trainer.train_next()
        model = place.registry.get(model_id)
        assert model.model_status is ModelStatus.InProgress
        assert model.model_status_message == (
            f"Training #{attempt} out of 3 failed: its process was ended by SIGKILL "
            "(perhaps the machine ran out of memory)"
        )
    assert trainer.train_next()
    model = place.registry.get(model_id)
    assert model.model_status is ModelStatus.Failed
    assert model.model_status_message.startswith("Aborted after 3 attempts. Training #3 out of 3")
    assert not trainer.train_next()
    assert leftovers(place) == set()


@BOTH_DATABASES
def test_an_exception_is_shown_and_tried_again(place):
    model_id = create(place)
    trainer = Trainer(place, raising)
    trainer.train_next()
    model = place.registry.get(model_id)
    assert model.model_status is ModelStatus.InProgress
    assert "Training #1 out of 3 failed with exception: 'Traceback" in model.model_status_message
    trainer._train = train_model
    trainer.train_next()
    assert status(place, model_id) is ModelStatus.Completed


def test_what_a_shop_owner_can_mend_fails_at_once(place):
    model_id = create(place)
    Trainer(place, refusing).train_next()
    model = place.registry.get(model_id)
    assert model.model_status is ModelStatus.Failed
    message = "usage.csv: an Excel workbook (.xlsx); save it as CSV"
    assert model.model_status_message == message


def test_row_37_unusable_files_are_named_without_inner_paths(place, train):
    path = place.inputs.root / "shop" / "book.xlsx"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    model_id = create(place, usageRelativePath="book.xlsx")
    train()
    model = place.registry.get(model_id)
    assert model.model_status is ModelStatus.Failed
    assert model.model_status_message.startswith("book.xlsx")
    assert str(place.store.root) not in model.model_status_message


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        (b"", None),
        (b"userId,itemId,time\n", [("BadTimestampFormat", 1, 1)]),
        (b'u1,"i1,2017\nu2,i2,2017-04-01T00:00:00\n', [("MalformedLine", 1, 1)]),
        (b"u1,i1,xx\n" * 101 + b"u1,i1,2017-04-01\n", [("BadTimestampFormat", 101, 1)]),
    ],
)
def test_row_37_nothing_usable_is_failed_with_its_report(place, train, text, errors):
    (place.inputs.root / "shop" / "bad.csv").write_bytes(text)
    model_id = create(place, usageRelativePath="bad.csv")
    train()
    model = place.registry.get(model_id)
    assert model.model_status is ModelStatus.Failed
    assert model.model_status_message == (
        "Failed to parse usage file(s) or parsing found no valid items"
    )
    report = model.statistics["usageEventsParsing"]
    found = [(e["error"], e["count"], e["sample"]["line"]) for e in report.get("errors", [])]
    assert found == (errors or [])
    assert model.statistics["totalDuration"] == "00:00:00"
    assert (model.statistics["numberOfUsers"], model.statistics["numberOfUsageItems"]) == (0, 0)
    assert not place.store.folder(model_id).exists()


def test_a_bad_catalog_fails_only_where_it_is_needed(place, train):
    (place.inputs.root / "shop" / "catalog.csv").write_bytes(b"no name\n")
    needed = create(place, catalogFileRelativePath="catalog.csv", enableColdItemPlacement=True)
    idle = create(place, catalogFileRelativePath="catalog.csv")
    train()
    model = place.registry.get(needed)
    assert model.model_status is ModelStatus.Failed
    assert model.model_status_message == (
        "Failed to parse catalog file or parsing found no valid items"
    )
    assert "usageEventsParsing" not in model.statistics
    model = place.registry.get(idle)
    assert model.model_status is ModelStatus.Completed
    assert model.statistics["catalogParsing"]["totalLinesCount"] == 1


def test_an_evaluation_without_events_does_not_fail_the_model(place, train):
    (place.inputs.root / "shop" / "test.csv").write_bytes(b"nonsense\n")
    model_id = create(place, evaluationUsageRelativePath="test.csv")
    train()
    model = place.registry.get(model_id)
    assert model.model_status is ModelStatus.Completed
    assert set(model.statistics["evaluation"]) == {"usageEventsParsing"}


def test_inputs_that_vanished_after_the_request(place, train):
    model_id = create(place)
    (place.inputs.root / "shop" / "t7" / "usage.csv").unlink()
    train()
    model = place.registry.get(model_id)
    assert model.model_status is ModelStatus.Failed
    assert "is not there any more" in model.model_status_message


def test_row_44_a_training_beyond_its_memory_fails_alone(place, settings):
    model_id = create(place)
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    Trainer(replace(place, memory=used + 2**28), hungry).train_next()
    model = place.registry.get(model_id)
    assert model.model_status is ModelStatus.Failed
    assert "setting TRAINING_MEMORY_BYTES" in model.model_status_message


def filling(run, place, progress):
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    (place.store.work_folder(run.model_id) / "model").write_bytes(bytes(300_000))


def test_row_42_a_file_that_cannot_grow_fails_with_the_cause(place):
    model_id = create(place)
    Trainer(place, filling).train_next()
    model = place.registry.get(model_id)
    assert model.model_status is ModelStatus.Failed
    assert "The disk with the trained models takes no file that large" in model.model_status_message
    assert leftovers(place) == set()


@pytest.mark.service
@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small file system")
def test_row_42_a_full_disk_fails_with_the_cause_and_leaves_nothing(settings, tmp_path, train):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"mount: {mounted.stderr.decode()}")
    try:
        # The registry is elsewhere: it must be able to say what happened.
        database = f"sqlite:///{tmp_path / 'registry.sqlite'}"
        place = open_workplace({**settings, "MODELS_ROOT": str(small), "MODELS_DATABASE": database})
        lines = (f"u{n // 40},item-{n % 400:0400d},2017-04-01\n" for n in range(4000))
        (place.inputs.root / "shop").mkdir(parents=True, exist_ok=True)
        (place.inputs.root / "shop" / "wide.csv").write_text("".join(lines))
        model_id = create(place, usageRelativePath="wide.csv")
        Trainer(place).train_next()
        model = place.registry.get(model_id)
        assert model.model_status is ModelStatus.Failed
        assert "The disk with the trained models is full" in model.model_status_message
        assert leftovers(place) == set()
        place.registry.close()
    finally:
        subprocess.run(["umount", str(small)], check=True)


class Watching(Trainer):
    """Does something once when its training has come to a message.

    In the trainer's own loop, not in a thread: a process with threads must not fork.
    """

    def __init__(self, place, train, message, act):
        def is_needed():
            (queued,) = place.queue.unfinished() or [None]
            if queued and queued.message == message and self.acted_at is None:
                self.acted_at = time.monotonic()
                act(queued.id)
            return True

        self.acted_at = None
        super().__init__(place, train, is_needed)


@BOTH_DATABASES
def test_row_43_i22_deleting_a_running_model_stops_it_within_seconds(place):
    model_id = create(place)

    def delete(model_id):
        assert place.registry.delete(model_id)
        place.store.remove(model_id)

    trainer = Watching(place, sleeping, "Core Training", delete)
    assert trainer.train_next()
    assert time.monotonic() - trainer.acted_at < 30  # a second; the machine may be busy
    assert place.registry.get(model_id) is None
    assert leftovers(place) == set()


def deleted_at_the_end(run, place, progress):
    outcome = train_model(run, place, progress)
    # The API deletes between publishing and the last write to the registry.
    place.registry.delete(run.model_id)
    return outcome


@BOTH_DATABASES
def test_i22_no_artefact_of_a_deleted_model_remains(place, train):
    model_id = create(place)
    Trainer(place, deleted_at_the_end).train_next()
    assert place.registry.get(model_id) is None
    assert not place.store.folder(model_id).exists()
    assert place.registry.default() is None
    assert leftovers(place) == set()


@BOTH_DATABASES
def test_a_trainer_that_is_stopped_gives_its_run_back(place):
    model_id = create(place)
    trainer = Watching(place, sleeping, "Core Training", lambda _: trainer.stop())
    assert trainer.train_next()
    assert status(place, model_id) is ModelStatus.Created
    (queued,) = place.queue.unfinished()
    assert queued.attempts == 0
    assert leftovers(place) == set()


def test_a_run_of_another_host_is_left_alone_while_it_beats(place, train):
    create(place)
    (queued,) = place.queue.unfinished()
    run = place.queue.claim(queued, "another-host")
    assert not Trainer(place).train_next()
    place.queue._clock = lambda: time.time() - trainer_module.ABANDONED_SECONDS - 1
    assert place.queue.beat(run)
    assert Trainer(place).train_next()
    assert status(place, run.model_id) is ModelStatus.Completed


@BOTH_DATABASES
def test_two_trainers_never_train_one_model(place):
    model_id = create(place)
    with place.store.locked(model_id) as mine:
        assert mine
        with place.store.locked(model_id) as again:
            assert not again
        assert not Trainer(place).train_next()
    assert place.queue.unfinished()[0].attempts == 0


def test_sweeping_leaves_what_is_registered_and_what_is_in_work(place, train):
    kept = create(place)
    train()
    orphan = "11111111-2222-3333-4444-555555555555"
    working = "99999999-2222-3333-4444-555555555555"
    for name in (orphan, f".{orphan}.work.x", f".{working}.work.y", f".{kept}.z", "unrelated"):
        (place.store.root / name).mkdir()
    (place.store.root / ".locks" / kept).touch()  # its trainer was killed before it let go
    with place.store.locked(working):
        place.store.sweep(lambda: {kept})
        assert os.listdir(place.store.root / ".locks") == [working]
    names = {path.name for path in place.store.root.iterdir() if path.is_dir()}
    assert names == {kept, f".{working}.work.y", ".locks", "unrelated"}


def instant(run, place, progress):
    return Outcome(
        TrainingStatistics(
            total_duration=timedelta(),
            training_duration=timedelta(),
            number_of_usage_items=0,
            number_of_users=0,
        )
    )


@pytest.mark.slow
def test_row_43_a_hundred_trainings_one_after_another(place):
    ids = [create(place) for _ in range(100)]
    place.registry.delete(ids[50])
    assert place.registry.waiting_before(ids[99]) == 98
    order, trainer = [], Trainer(place, instant)
    while trainer.train_next():
        done = {m.id for m in place.registry.summaries() if m.model_status.name == "Completed"}
        order += done - set(order)
    assert order == ids[:50] + ids[51:]
    assert place.registry.default().id == ids[0]
    assert leftovers(place) == set()


def alone(run, place, progress):
    """The real training, which leaves a mark when another one of the same model is running."""
    with (place.inputs.root / run.model_id).open("w") as mine:
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (place.inputs.root / "two-at-once").touch()
        return train_model(run, place, progress)


@pytest.mark.slow
def test_row_41_trainers_killed_at_random_points_lose_nothing(place, settings, train):
    """Twenty kills; every model is completed, or has failed after three attempts, in the end."""
    lines = "".join(f"u{n % 997},i{n * n % 613},2017-04-01\n" for n in range(30_000))
    (place.inputs.root / "shop" / "big.csv").write_text(lines)
    rng = random.Random(7)
    ids = [create(place, usageRelativePath="big.csv") for _ in range(6)]
    for _ in range(20):
        place.registry.close()
        process = multiprocessing.get_context("fork").Process(target=Trainer(place, alone).serve)
        process.start()
        wait_for(lambda: _running(place))
        time.sleep(rng.uniform(0, 0.4))
        process.kill()
        process.join()
        if len(place.queue.unfinished()) < 3:
            ids += [create(place, usageRelativePath="big.csv") for _ in range(3)]
    train()
    assert not (place.inputs.root / "two-at-once").exists()
    models = [place.registry.get(model_id) for model_id in ids]
    for model in models:
        assert model is not None
        if model.model_status is ModelStatus.Failed:
            assert model.model_status_message.startswith("Aborted after 3 attempts")
            assert not place.store.folder(model.id).exists()
        else:
            assert model.model_status is ModelStatus.Completed
            assert len(load_recommender(place.store.folder(model.id)).items) > 100
    assert any(model.model_status is ModelStatus.Completed for model in models)
    place.store.sweep(lambda: set(ids))
    assert leftovers(place) == set()


def command(settings, *options):
    """The trainer's command, as somebody types it."""
    names = ("MODELS_ROOT", "MODELS_INPUT_ROOT", "MODELS_DATABASE")
    environ = {f"SELDON_{name}": settings[name] for name in names}
    return subprocess.Popen(
        [sys.executable, "-m", "seldon.models_api.trainer", *options],
        cwd=ROOT,
        env={**os.environ, **environ},
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.service
@BOTH_DATABASES
def test_the_command_goes_on_where_a_killed_one_was(place, settings):
    ids = [create(place) for _ in range(2)]
    killed = command(settings)
    wait_for(lambda: _running(place) or not place.queue.has_unfinished())
    killed.kill()
    killed.wait()
    assert command(settings, "--until-idle").wait(120) == 0
    assert {status(place, model_id) for model_id in ids} == {ModelStatus.Completed}


def _running(place):
    unfinished = place.queue.unfinished()
    return [model for model in unfinished if model.status is ModelStatus.InProgress]


@pytest.mark.slow
@pytest.mark.service
def test_a_trainer_starts_by_itself_is_started_again_and_ends_with_the_server(place, settings):
    """The web process is a process of its own here, so that it can be ended."""
    program = (
        "import json, sys, time; from pathlib import Path;"
        "from seldon.models_api.keeper import TrainerKeeper;"
        "from seldon.models_api.workplace import open_workplace;"
        "settings = json.loads(sys.argv[1]); place = open_workplace(settings);"
        "keeper = TrainerKeeper(place.queue, place.store.root, settings); keeper.start();"
        "time.sleep(300)"
    )
    names = ("MODELS_ROOT", "MODELS_INPUT_ROOT", "MODELS_DATABASE", "TRAINING_MEMORY_BYTES")
    handed = json.dumps({name: settings[name] for name in names})
    server = subprocess.Popen([sys.executable, "-c", program, handed], cwd=ROOT)
    try:
        first = create(place)
        wait_for(lambda: status(place, first) is ModelStatus.Completed)
        assert _trainer_runs(place)
    finally:
        stop(server)
    wait_for(lambda: not _trainer_runs(place))


def _trainer_runs(place):
    with only_trainer(place.store.root) as mine:
        return not mine


def test_the_server_is_gone_when_no_process_holds_its_lock(tmp_path, monkeypatch):
    now = [1000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr("seldon.models_api.keeper.time", clock)
    asked = is_served(tmp_path)
    with (tmp_path / ".serving").open() as web_process:
        fcntl.flock(web_process, fcntl.LOCK_SH)
        now[0] += SERVER_GONE_SECONDS + 1
        assert asked()
    now[0] += SERVER_GONE_SECONDS - 1
    assert asked()
    now[0] += 2
    assert not asked()


@BOTH_DATABASES
def test_statistics_are_stored_as_the_wire_shows_them(place, train):
    model_id = create(place)
    train()
    model = place.registry.get(model_id)
    assert to_json(model)["statistics"] == model.statistics


def test_row_45_a_registry_that_cannot_be_used_ends_the_command_with_a_line(tmp_path):
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "seldon.models_api.trainer", "--until-idle"],
        cwd=ROOT,
        env={**os.environ, "SELDON_MODELS_ROOT": str(tmp_path / "file" / "models")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("trainer: MODELS_ROOT=") and "cannot be written" in line
