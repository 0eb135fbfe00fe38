"""Serves an app that is made from arguments with gunicorn, in this process and its workers."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from seldon.errors import SeldonError
from seldon.operation.metrics import DIRECTORY, merge_dead_worker

PREFIX = "microservice-metrics-"


def serve(create: Callable[[], Flask], host: str, port: int, workers: int) -> None:
    """Serve until told to stop; each worker process makes its own app.

    Parameters
    ----------
    create : callable
        Makes the app; a `SeldonError` it raises is printed, and ends the program.
    host : str
    port : int
    workers : int
    """
    share_metrics()
    master = os.getpid()
    try:
        _Server(create, f"{host}:{port}", workers).run()
    except HaltServer:  # the arbiter's own exit fails when two workers do
        sys.exit(Arbiter.APP_LOAD_ERROR)
    finally:
        if os.getpid() == master:  # workers leave by this way too
            _remove_metrics()


def share_metrics() -> None:
    """Begin this program again with a directory where the metrics of all workers meet.

    The metrics library looks for the directory when it is imported, which has happened by now.
    """
    if DIRECTORY not in os.environ:
        os.environ[DIRECTORY] = tempfile.mkdtemp(prefix=PREFIX)
        os.execv(sys.executable, sys.orig_argv)


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, create: Callable[[], Flask], bind: str, workers: int) -> None:
        self._create = create
        self._settings: dict[str, Any] = {
            "bind": bind,
            "workers": workers,
            "worker_class": "seldon.worker.EventWorker",
            "keepalive": 75,  # seconds; the Seldon server keeps its connections
            "timeout": 120,  # a large model takes its time to load
            "graceful_timeout": 30,
            "limit_request_line": 0,  # ours is MAX_QUERY_BYTES
            "control_socket_disable": True,
            "child_exit": lambda server, worker: merge_dead_worker(worker.pid),
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        try:
            return self._create()
        except SeldonError as error:
            print(f"seldon.microservice: {error}", file=sys.stderr)
            sys.exit(Arbiter.APP_LOAD_ERROR)  # ends the arbiter too


def _remove_metrics() -> None:
    directory = os.environ[DIRECTORY]
    if os.path.basename(directory).startswith(PREFIX):
        shutil.rmtree(directory, ignore_errors=True)
