"""Runs the checks in a process of their own, which a bad algorithm may end or hang."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from seldon.check import answers, behaviour
from seldon.check.report import Failed, Finding, Skipped
from seldon.check.subject import Subject

CONTRACT = "contract"
CHECKS: dict[str, Callable[[Subject], str]] = {
    "answers": answers.check_answers,
    "types": answers.check_types,
    "finite scores": answers.check_finite,
    "limit": answers.check_limit,
    "candidates": answers.check_candidates,
    "exclusions": answers.check_exclusions,
    "duplicates": answers.check_duplicates,
    "order": answers.check_order,
    "unusual requests": answers.check_unusual,
    "arguments": answers.check_arguments,
    "seed": answers.check_seed,
    "catalogue": answers.check_catalogue,
    "latency 1,000": behaviour.latency(1_000),
    "latency 10,000": behaviour.latency(10_000),
    "latency 100,000": behaviour.latency(100_000),
    "fork": behaviour.check_fork,
    "threads": behaviour.check_threads,
    "memory": behaviour.check_memory,
}
"""By name, in order; `fork` comes before anything that starts threads."""

LOAD_SECONDS = 120
MOST_LOST = 2  # processes; after that the remaining checks are skipped


def check_algorithm(
    path: str | os.PathLike[str], settings: Mapping[str, Any], timeout: float = 60
) -> Iterator[Finding]:
    """Check the algorithm in a file.

    Parameters
    ----------
    path : path
        ``algs/<name>.py``.
    settings : mapping
        All settings, see `seldon.config.settings`; handed to the algorithm's ``init``.
    timeout : float
        Seconds for one check. Loading may take `LOAD_SECONDS`.

    Yields
    ------
    Finding
        As soon as it is known; the first is about loading, and when that fails the last.
    """
    with _Process(Path(path).resolve(), settings, timeout) as process:
        loaded = process.load()
        yield loaded
        if loaded.status == "fail":
            return
        for name in CHECKS:
            yield process.run(name)


class _Process:
    """A process that has loaded the algorithm; made again when the algorithm ends it."""

    def __init__(self, path: Path, settings: Mapping[str, Any], timeout: float) -> None:
        self._path, self._settings, self._timeout = path, settings, timeout
        # Not a fork: the algorithm shall meet a process without this one's threads and modules.
        self._context = multiprocessing.get_context("spawn")
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._lost = 0

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def load(self) -> Finding:
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(
            target=_work, args=(theirs, self._path, dict(self._settings)), daemon=True
        )
        self._process.start()
        theirs.close()
        self._connection = ours
        return self._await(CONTRACT, max(self._timeout, LOAD_SECONDS))

    def run(self, name: str) -> Finding:
        if self._lost >= MOST_LOST:
            return Finding(name, "skip", "the algorithm ended or hung the checks before")
        if self._connection is None:
            loaded = self.load()
            if loaded.status != "pass":
                return Finding(name, "skip", f"it did not load again: {loaded.reason}")
        assert self._connection is not None
        self._connection.send(name)
        return self._await(name, self._timeout)

    def _await(self, name: str, seconds: float) -> Finding:
        assert self._connection is not None and self._process is not None
        began = time.monotonic()
        try:
            if self._connection.poll(seconds):
                finding: Finding = self._connection.recv()
                return finding
            reason = f"no answer within {seconds:g} s"
        except (EOFError, ConnectionResetError):
            self._process.join(5)
            reason = f"the algorithm ended the process ({_how(self._process.exitcode)})"
        self._end()
        self._lost += 1
        return Finding(name, "fail", reason, time.monotonic() - began)

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._connection = self._process = None


def _work(connection: Connection, path: Path, settings: dict[str, Any]) -> None:
    """The other process: load, then one finding for every name that comes."""
    os.dup2(2, 1)  # what an algorithm prints must not end up in the report
    subject: Subject | None = None

    def load(_: object) -> str:
        nonlocal subject
        subject = Subject(path, settings)
        return "it loads and has the function"

    connection.send(_finding(CONTRACT, load, None))
    while subject is not None:
        try:
            name = connection.recv()
        except EOFError:
            return
        connection.send(_finding(name, CHECKS[name], subject))


def _finding(name: str, check: Callable[[Any], str], subject: object) -> Finding:
    began = time.perf_counter()
    try:
        status, reason = "pass", check(subject)
    except Failed as error:
        status, reason = "fail", str(error)
    except Skipped as error:
        status, reason = "skip", str(error)
    except Exception as error:  # an answer so odd that the check itself stumbles
        status, reason = "fail", f"the check cannot read it: {type(error).__name__}: {error}"
    return Finding(name, status, reason, time.perf_counter() - began)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit status {code}"
