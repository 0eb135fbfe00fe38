"""Checks of how an algorithm behaves in a service: time, memory, threads, forked workers."""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from seldon.check.report import Failed
from seldon.check.subject import Answered, Request, Subject, same
from seldon.memory import resident_memory

THREADS = 8
ENOUGH_SECONDS = 1.5  # of measuring, for each number of candidates
LEAK_BYTES = 50 * 2**10  # a call; a worker that answers 100 a second would grow by 18 GB an hour


def latency(number: int) -> Callable[[Subject], str]:
    """The check that `number` candidates are scored within the service's budget."""

    def check(subject: Subject) -> str:
        budget = float(subject.settings["ALGORITHM_BUDGET_MS"])
        request = Request(f"{number:,} candidates", subject.candidates(number))
        request = Request(request.about, request.candidates, recent=subject.some(20))
        first, *others = _times(subject, request)
        median = statistics.median(others or [first])
        seen = f"{median:.2f} ms (the first call with a list {first:.2f} ms)"
        if median > budget:
            raise Failed(f"{seen}; ALGORITHM_BUDGET_MS is {budget:g}, later answers are not used")
        return seen

    return check


def check_fork(subject: Subject) -> str:
    """What ``init`` made still works in a forked worker, as under ``gunicorn --preload``."""
    connections = _connections()
    if connections:
        raise Failed(
            f"init opened {connections} network connection(s), which forked workers would share "
            "and read each other's answers from; connect at the first request"
        )
    expected = subject.usual[0]
    received, sent = os.pipe()
    child = os.fork()
    if child == 0:
        _answer_in_child(subject, expected.request, sent)
    os.close(sent)
    try:
        text = _read(received, child, 20)
    finally:
        os.close(received)
    items, problem = json.loads(text or '[[], "the forked process died"]')
    if problem:
        raise Failed(f"in a forked worker: {problem}")
    if subject.repeats_itself and items != expected.best:
        raise Failed("a forked worker answers the same request otherwise")
    return ""


def check_threads(subject: Subject) -> str:
    """Threads that ask at the same time get the answers they would get alone."""
    expected = subject.usual
    comparable = subject.repeats_itself
    problems: list[str] = []
    together = threading.Barrier(THREADS)

    def ask_all() -> None:
        together.wait()
        for one in expected * 3:
            try:
                answered = subject.ask(one.request)
            except Failed as error:
                problems.append(str(error))
                return
            if comparable and not same(answered, one):
                problems.append(f"another answer than alone; asked for {one.request}")
                return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that threads meet in the middle of things
    try:
        threads = [threading.Thread(target=ask_all, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if problems:
        raise Failed(f"{len(problems)} of {THREADS} threads: {problems[0]}")
    return f"{THREADS} threads"


def check_memory(subject: Subject) -> str:
    """Memory does not grow with the number of requests."""
    requests = [one.request for one in subject.usual]
    _ask_for(subject, requests, 50, 1.0)
    before = resident_memory()
    calls = _ask_for(subject, requests, 400, 3.0)
    grown = resident_memory() - before
    if grown > 8 * 2**20 and grown / calls > LEAK_BYTES:
        raise Failed(
            f"{calls} calls took {grown / 2**20:.0f} MiB, {grown / calls / 2**10:.0f} KiB each"
        )
    return f"{grown / 2**20:.1f} MiB more after {calls} calls"


def _times(subject: Subject, request: Request) -> list[float]:
    """Milliseconds of calls with the same candidate list, as a service makes them."""
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < 2 or (len(times) < 25 and time.perf_counter() - began < ENOUGH_SECONDS):
        started = time.perf_counter()
        subject.ask(request)
        times.append((time.perf_counter() - started) * 1e3)
    return times


def _connections() -> int:
    """Internet sockets of this process that are connected."""
    own = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            own.add(os.readlink(entry))
        except OSError:  # closed meanwhile
            continue
    found = 0
    for table in ("tcp", "tcp6"):
        path = Path("/proc/self/net", table)
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            _, _, _, state, *rest = line.split()
            found += state == "01" and f"socket:[{rest[5]}]" in own
    return found


def _answer_in_child(subject: Subject, request: Request, sent: int) -> None:
    try:
        answer: tuple[list[int], str] = (subject.ask(request).best, "")
    except Failed as error:
        answer = ([], str(error))
    os.write(sent, json.dumps(answer).encode())
    os._exit(0)


def _read(received: int, child: int, seconds: float) -> bytes:
    """What the child writes until it ends; a child that does not end is killed."""
    text, deadline = b"", time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([received], [], [], max(0, deadline - time.monotonic()))
        part = os.read(received, 65536) if ready else b""
        text += part
        if not ready:
            os.kill(child, signal.SIGKILL)
            text = b'[[], "no answer within 20 s; is a lock or a thread of init held?"]'
        if not part:
            os.waitpid(child, 0)
            return text


def _ask_for(subject: Subject, requests: list[Request], most: int, seconds: float) -> int:
    """Ask again and again; returns how many calls there were."""
    deadline = time.monotonic() + seconds
    answered: Answered | None = None
    for calls in range(1, most + 1):
        answered = subject.ask(requests[calls % len(requests)])
        if time.monotonic() > deadline:
            break
    del answered
    gc.collect()
    return calls
