"""The request log: one JSON line a request, written without ever holding a request up."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

import orjson

from seldon.operation.metrics import LOST_LINES

MAX_TEXT = 256
MAX_TRACEBACK = 8192
WAITING_LINES = 10_000
FLUSH_SECONDS = 0.1


class RequestLog:
    """Takes lines at once and writes them from a thread of its own, every tenth of a second.

    While nobody reads the other end, lines wait, and beyond `WAITING_LINES` the newest are
    dropped and counted. A killed process loses its last tenth of a second.

    Parameters
    ----------
    descriptor : int
        Where lines go; standard output by default.
    most : int
        Texts are cut at this many characters.
    """

    def __init__(self, descriptor: int = 1, most: int = MAX_TEXT) -> None:
        self._descriptor = descriptor
        self._most = most
        self._lines: deque[bytes] = deque()
        self._pid = -1
        self._writing = threading.Lock()

    def write(self, line: dict[str, Any]) -> None:
        """Log `line` with the time of this call; its texts are cut and escaped by JSON."""
        if self._pid != os.getpid():
            self._start()
        if len(self._lines) >= WAITING_LINES:
            LOST_LINES.inc()
            return
        self._lines.append(_as_json({"time": datetime.now(UTC), **line}, self._most))

    def flush(self) -> None:
        """Write what waits."""
        with self._writing:
            lines = []
            while self._lines:
                lines.append(self._lines.popleft())
            data = memoryview(b"".join(lines))
            while data:
                try:
                    data = data[os.write(self._descriptor, data) :]
                except OSError:
                    LOST_LINES.inc(len(lines))
                    return

    def _start(self) -> None:
        """Begin writing in this process: neither threads nor locks survive a fork."""
        self._pid = os.getpid()
        self._lines = deque()
        self._writing = threading.Lock()
        threading.Thread(target=self._run, name="request-log", daemon=True).start()
        atexit.register(self._flush_at_exit)

    def _run(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            self.flush()

    def _flush_at_exit(self) -> None:
        # A thread, because the other end may be blocked and the exit must not be.
        last = threading.Thread(target=self.flush, daemon=True)
        last.start()
        last.join(1.0)


def _as_json(line: dict[str, Any], most: int) -> bytes:
    for name, value in line.items():
        if isinstance(value, str) and len(value) > most and name != "query":
            line[name] = value[:most]
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate in a caller's text
        safe = {k: ascii(v) if isinstance(v, str) else v for k, v in line.items()}
        return orjson.dumps(safe, option=orjson.OPT_APPEND_NEWLINE)


def configure_logging(level: str) -> None:
    """Send this package's own messages to standard error, one JSON object a line."""
    logger = logging.getLogger("seldon")
    if not logger.handlers:
        logger.addHandler(_JsonLines())
        logger.propagate = False
    logger.setLevel(level)


class _JsonLines(logging.Handler):
    """Like the request log: nobody waits because nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self._log = RequestLog(2, MAX_TRACEBACK)
        self._tracebacks = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        line: dict[str, Any] = {
            "level": record.levelname,
            "event": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            line["traceback"] = self._tracebacks.formatException(record.exc_info)
        self._log.write(line)
