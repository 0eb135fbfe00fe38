"""The trainer: a process of its own that takes models from the queue and trains them.

    python -m seldon.models_api.trainer

Each training runs in a child process with little priority and limited memory, so that what
ends it (a signal, no memory, a crash in compiled code) ends nothing else. The trainer keeps
the heartbeat, stops a training whose model was deleted, and takes up what others left.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkProcess
from typing import Any

from seldon.config import settings_of_this_deployment
from seldon.errors import RegistryUnavailable, SeldonError
from seldon.models_api.keeper import is_served, only_trainer
from seldon.models_api.queue import MAXIMUM_ATTEMPTS, QueuedModel, Run, TrainingQueue
from seldon.models_api.schemas import ModelStatus, to_json
from seldon.models_api.training import Outcome, Unwanted, train_model, warm_up
from seldon.models_api.workplace import Workplace, open_workplace

log = logging.getLogger(__name__)

BEAT_SECONDS = 0.5
ABANDONED_SECONDS = 60
"""A run of another host is taken up after so long without a heartbeat."""
INSIST_SECONDS = 300
_NICE = 10

Train = Callable[[Run, Workplace, Callable[[str], None]], Outcome]


class Trainer:
    """Trains one model at a time; start more trainers to train more at once.

    Parameters
    ----------
    place : Workplace
    train : callable
        Trains into the model's folder; see `seldon.models_api.training.train_model`.
    is_needed : callable
        Asked twice a second; when it says no, a running training is given back and `serve` ends.
    """

    def __init__(
        self,
        place: Workplace,
        train: Train = train_model,
        is_needed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._place = place
        self._train = train
        self._is_needed = is_needed
        self._host = socket.gethostname()
        self._stopping = False

    def serve(self) -> None:
        """Train whatever comes until `stop` is called or nobody needs it any more."""
        registry, store = self._place.registry, self._place.store
        store.sweep(lambda: {model.id for model in registry.summaries()})
        warm_up()
        while self._goes_on():
            try:
                idle = not self.train_next()
            except (RegistryUnavailable, OSError) as error:
                log.error("trainer: %s", error)
                idle = True
            if idle:
                time.sleep(BEAT_SECONDS)

    def stop(self, *_: Any) -> None:
        """End after giving back what is in training; also a signal handler."""
        self._stopping = True

    def train_next(self) -> bool:
        """Train the oldest model that waits or was abandoned; False when there is none."""
        for queued in self._place.queue.unfinished():
            if self._may_be_alive_elsewhere(queued):
                continue
            with self._place.store.locked(queued.id) as mine:
                run = self._place.queue.claim(queued, self._host) if mine else None
                if run is not None:
                    self._supervise(run, queued)
                    return True
        return False

    def _goes_on(self) -> bool:
        if not self._is_needed():
            self._stopping = True
        return not self._stopping

    def _may_be_alive_elsewhere(self, queued: QueuedModel) -> bool:
        # A trainer of this host that is dead has let go of its lock: no waiting for those.
        if queued.status is ModelStatus.Created or queued.host == self._host:
            return False
        return time.time() - (queued.heartbeat or 0) < ABANDONED_SECONDS

    def _supervise(self, run: Run, queued: QueuedModel) -> None:
        """Run one attempt in a child, keep its heartbeat, and clean up behind it."""
        registry, queue, store = self._place.registry, self._place.queue, self._place.store
        if run.attempt > MAXIMUM_ATTEMPTS:
            queue.fail(run, f"Aborted after {MAXIMUM_ATTEMPTS} attempts. {queued.message or ''}")
            store.clean(run.model_id)
            store.remove(run.model_id)
            return
        log.info("model %s: training #%d starts", run.model_id, run.attempt)
        store.clean(run.model_id)
        registry.close()  # a connection must not cross the fork
        child = multiprocessing.get_context("fork").Process(
            target=_attempt, args=(run, self._place, self._train, os.getpid())
        )
        with warnings.catch_warnings():
            # Python 3.12 warns when numeric libraries have threads; none of them runs now.
            warnings.simplefilter("ignore", DeprecationWarning)
            child.start()
        try:
            self._watch(run, child)
        finally:
            child.kill()
            child.join()
        store.clean(run.model_id)
        if self._stopping and queue.give_back(run):
            log.info("model %s: given back", run.model_id)
        elif child.exitcode and queue.is_wanted(run):
            _record_death(queue, run, child.exitcode)
        model = registry.get(run.model_id)
        if model is None or model.model_status is ModelStatus.Failed:
            store.remove(run.model_id)
        log.info("model %s: %s", run.model_id, model.model_status.name if model else "deleted")

    def _watch(self, run: Run, child: ForkProcess) -> None:
        """Return when the child has ended, or should be ended."""
        while child.is_alive() and self._goes_on():
            try:
                if not self._place.queue.beat(run):
                    # Unwanted; or it has just written its result and is about to end.
                    child.join(BEAT_SECONDS)
                    return
            except RegistryUnavailable as error:
                log.warning("model %s: no heartbeat: %s", run.model_id, error)
            child.join(BEAT_SECONDS)


def _record_death(queue: TrainingQueue, run: Run, exit_code: int) -> None:
    """Its process ended without a word: say how, for the next attempt or for good."""
    how = f"ended with {exit_code}"
    if exit_code < 0:
        how = f"was ended by {signal.Signals(-exit_code).name}"
        if exit_code == -signal.SIGKILL:
            how += " (perhaps the machine ran out of memory)"
    message = f"Training #{run.attempt} out of {MAXIMUM_ATTEMPTS} failed: its process {how}"
    log.warning("model %s: %s", run.model_id, message)
    _attempt_failed(queue, run, message)


def _attempt_failed(queue: TrainingQueue, run: Run, message: str) -> None:
    if run.attempt < MAXIMUM_ATTEMPTS:
        queue.progress(run, message)
    else:
        queue.fail(run, f"Aborted after {MAXIMUM_ATTEMPTS} attempts. {message}")


def _attempt(run: Run, place: Workplace, train: Train, parent: int) -> None:
    """The child: one attempt, whose end is written to the registry."""
    _die_with(parent)
    os.nice(_NICE)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _limit_memory(place.memory)
    queue = place.queue
    try:
        outcome = train(run, place, _progress(queue, run))
    except Unwanted:
        return
    except RegistryUnavailable:
        raise
    except (SeldonError, MemoryError, OSError) as error:
        cause = _cause(error, place)
        if cause is not None:
            queue.fail(run, cause)
            return
        _attempt_failed(queue, run, _trace(run))
        return
    except Exception:
        _attempt_failed(queue, run, _trace(run))
        return
    statistics = to_json(outcome.statistics)
    if outcome.failure is not None:
        _insist(lambda: queue.fail(run, str(outcome.failure), statistics))
    else:
        _insist(lambda: queue.complete(run, statistics))


def _insist(write: Callable[[], bool]) -> None:
    """A training is not lost because its last line could not be written at once."""
    deadline = time.monotonic() + INSIST_SECONDS
    while True:
        try:
            write()
            return
        except RegistryUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(BEAT_SECONDS)


def _progress(queue: TrainingQueue, run: Run) -> Callable[[str], None]:
    """Shows where the training is; raises `Unwanted` when nobody wants it any more."""
    shown = ""

    def progress(message: str) -> None:
        nonlocal shown
        if message == shown:
            return
        shown = message
        with contextlib.suppress(RegistryUnavailable):  # a late message is no reason to fail
            if not queue.progress(run, message):
                raise Unwanted

    return progress


def _cause(error: SeldonError | MemoryError | OSError, place: Workplace) -> str | None:
    """What a shop owner can do something about; `None` when another attempt may succeed."""
    if isinstance(error, MemoryError):
        return (
            f"The training needs more than the {place.memory / 2**30:.1f} GiB of memory it may "
            "use (setting TRAINING_MEMORY_BYTES): allow it more, raise supportThreshold, or "
            "train on fewer events"
        )
    if isinstance(error, SeldonError):
        return str(error)
    reasons = {
        errno.ENOSPC: "is full",
        errno.EDQUOT: "has reached its quota",
        errno.EFBIG: "takes no file that large",
        errno.EROFS: "is read-only",
        errno.EACCES: "refuses to be written",
    }
    number = error.errno
    if number is None and "written" in str(error):
        number = errno.ENOSPC  # numpy reports a short write without its number
    if number in reasons:
        return f"The disk with the trained models {reasons[number]}: {error}"
    return None


def _trace(run: Run) -> str:
    return (
        f"Training #{run.attempt} out of {MAXIMUM_ATTEMPTS} failed with exception: "
        f"'{traceback.format_exc()}'"
    )


def _limit_memory(memory: int) -> None:
    # RLIMIT_DATA and not RLIMIT_AS: mapped files and reserved address space cost nothing.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _die_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends, however it ends."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m seldon.models_api.trainer",
        description="Train what the models API was asked for, one model at a time, until SIGTERM. "
        "The web application starts one by itself; start more, on this host or on others that "
        "share MODELS_ROOT and MODELS_DATABASE, to train more at once. Settings are read from "
        "recommender_config.py and SELDON_ variables.",
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--until-idle", action="store_true", help="end when nothing is left to train"
    )
    group.add_argument(
        "--for-server",
        action="store_true",
        help="end when no web process of this host serves the models any more, and at once when "
        "they have a trainer; this is how the web application starts it",
    )
    options = parser.parse_args(arguments)
    values = settings_of_this_deployment()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=values["LOG_LEVEL"])
    place = open_workplace(values)
    if options.until_idle:
        _serve(Trainer(place, is_needed=lambda: _has_work(place.queue)))
    elif options.for_server:
        with only_trainer(place.store.root) as mine:
            if mine:
                _serve(Trainer(place, is_needed=is_served(place.store.root)))
    else:
        _serve(Trainer(place))


def _has_work(queue: TrainingQueue) -> bool:
    try:
        return queue.has_unfinished()
    except RegistryUnavailable:
        return True  # nobody knows; it is asked again


def _serve(trainer: Trainer) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, trainer.stop)
    trainer.serve()


if __name__ == "__main__":
    try:
        main()
    except SeldonError as failed:
        sys.exit(f"trainer: {failed}")
