"""Keeps one trainer running beside the web processes of a host, and ends it after them.

Two lock files in the models' root say who is there: ``.serving`` is held, shared, by every web
process, and ``.trainer`` by the trainer that one of them started. The kernel lets go of them
however a process ends, so nothing depends on process ids.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seldon.config import PREFIX
from seldon.errors import RegistryUnavailable
from seldon.models_api.queue import TrainingQueue
from seldon.models_api.store import lock

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
SERVER_GONE_SECONDS = 5.0
"""A worker that is replaced leaves the files unlocked for a moment."""


class TrainerKeeper:
    """Starts a trainer when there is something to train and none is running.

    Every web process has one of these; of those that start a trainer at the same instant all
    but one end at once.

    Parameters
    ----------
    root : path
        Where the models are.
    settings : mapping
        Those the trainer needs; they win over what it reads itself.
    """

    def __init__(self, queue: TrainingQueue, root: Path, settings: Mapping[str, Any]) -> None:
        self._queue = queue
        self._root = root
        self._settings = dict(settings)
        self._trainer: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin to look, in a thread of this process and of every process forked from it."""
        self._begin()
        # SQLite has locks of its own, which a child would inherit locked: no fork during a look.
        os.register_at_fork(
            before=lambda: self._looking.acquire(),
            after_in_parent=lambda: self._looking.release(),
            after_in_child=self._begin,
        )

    def _begin(self) -> None:
        self._trainer = None
        self._looking = threading.Lock()
        self._serving = _opened(self._root / ".serving")
        fcntl.flock(self._serving, fcntl.LOCK_SH)
        threading.Thread(target=self._look, name="trainer keeper", daemon=True).start()

    def _look(self) -> None:
        while True:
            with self._looking:
                try:
                    ended = self._trainer is None or self._trainer.poll() is not None
                    if ended and self._queue.has_unfinished() and not self._is_running():
                        self._spawn()
                except (RegistryUnavailable, OSError) as error:
                    log.error("no trainer was started: %s", error)
            time.sleep(LOOK_SECONDS)

    def _is_running(self) -> bool:
        with only_trainer(self._root) as mine:
            return not mine

    def _spawn(self) -> None:
        command = [sys.executable, "-m", "seldon.models_api.trainer", "--for-server"]
        # In the environment, because every user of the machine can read arguments.
        named = {PREFIX + name: json.dumps(value) for name, value in self._settings.items()}
        # In a session of its own, so that what ends the web processes ends it by the lock.
        self._trainer = subprocess.Popen(
            command, env={**os.environ, **named}, stdin=subprocess.DEVNULL, start_new_session=True
        )


@contextmanager
def only_trainer(root: Path) -> Iterator[bool]:
    """Be the trainer of this host's web processes; False when there is one."""
    descriptor = _opened(root / ".trainer")
    try:
        yield lock(descriptor)
    finally:
        os.close(descriptor)


def is_served(root: Path) -> Callable[[], bool]:
    """Asks whether a web process of this host has served these models in the last seconds."""
    descriptor = _opened(root / ".serving")
    seen = time.monotonic()

    def is_served() -> bool:
        nonlocal seen
        if lock(descriptor):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        else:
            seen = time.monotonic()
        return time.monotonic() - seen < SERVER_GONE_SECONDS

    return is_served


def _opened(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
