"""`Bulkhead`: calls somebody else's code for a bounded time and a bounded number at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any


class TookTooLong(Exception):
    """The call did not return in its time; it still holds its slot."""


class NoSlot(Exception):
    """Every slot is held by a call that has not returned."""


class Bulkhead:
    """A few threads that run one algorithm.

    The caller waits for its call as long as its budget allows and then goes on without it. A
    call that is stuck keeps its thread; when all are stuck the next callers are refused at
    once, so that one algorithm's trouble costs the others nothing.

    Parameters
    ----------
    slots : int
        Calls at a time in this process.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._pid = -1
        self._free: list[_Slot] = []
        self._started = 0
        self._lock = threading.Lock()

    @property
    def stuck(self) -> int:
        """Slots that are not free now."""
        return self._started - len(self._free) if self._pid == os.getpid() else 0

    def call(self, function: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
        """``function(*arguments)``, or what it raised.

        Raises
        ------
        TookTooLong, NoSlot
        """
        slot = self._take()
        slot.task = (function, arguments)
        slot.wake.release()
        if not slot.done.acquire(timeout=max(seconds, 0)):
            with self._lock:
                # It may have finished between the time-out and now.
                if not slot.done.acquire(blocking=False):
                    slot.abandoned = True
                    raise TookTooLong
        result, error = slot.result, slot.error
        slot.result = slot.error = None
        self._free.append(slot)
        if error is not None:
            raise error
        return result

    def _take(self) -> _Slot:
        if self._pid != os.getpid():  # threads do not survive a fork
            self._free, self._started, self._pid = [], 0, os.getpid()
            self._lock = threading.Lock()
        try:
            return self._free.pop()
        except IndexError:
            with self._lock:
                if self._started >= self._slots:
                    raise NoSlot from None
                self._started += 1
            slot = _Slot(self._finish)
            slot.start()
            return slot

    def _finish(self, slot: _Slot) -> None:
        """Called in the slot's thread after each call."""
        with self._lock:
            if slot.abandoned:
                slot.abandoned = False
                slot.result = slot.error = None
                self._free.append(slot)
            else:
                slot.done.release()


class InPlace:
    """For an algorithm whose time is bounded by what it is: called in the request's own thread.

    It saves the way to another thread and back, a tenth of a request, and has no time limit.
    """

    def call(self, function: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
        """``function(*arguments)``; `seconds` is not looked at."""
        try:
            return function(*arguments)
        except SystemExit as error:  # it must not end the worker
            raise RuntimeError(f"called sys.exit({error.code!r})") from error


class _Slot(threading.Thread):
    def __init__(self, finish: Callable[[_Slot], None]) -> None:
        super().__init__(name="algorithm", daemon=True)
        # Bare locks as signals: a quarter of the cost of an Event or a Future.
        self.wake, self.done = threading.Lock(), threading.Lock()
        self.wake.acquire()
        self.done.acquire()
        self.task: tuple[Callable[..., Any], tuple[Any, ...]]
        self.result: Any = None
        self.error: Exception | None = None
        self.abandoned = False
        self._finish = finish

    def run(self) -> None:
        while True:
            self.wake.acquire()
            function, arguments = self.task
            try:
                self.result = function(*arguments)
            except Exception as error:
                self.error = error
            except BaseException as error:  # SystemExit must end neither thread nor caller
                self.error = RuntimeError(repr(error))
            del function, arguments
            self._finish(self)
