"""`SQLiteChanges`: answers of a SQLite file, kept until anybody writes to it."""

from __future__ import annotations

import os
import sqlite3
import threading
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class SQLiteChanges(Generic[Q, A]):
    """Answers that hold as long as nothing has been written, by whatever process.

    ``PRAGMA data_version`` of a connection that never writes changes with every commit of any
    other. The numbers of two connections say nothing of each other, so each thread keeps its
    own connection and its own answers.

    Parameters
    ----------
    file : str
        A database that exists.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._own = threading.local()

    def known_answers(self) -> dict[Q, A]:
        """The answers of this thread that still hold; add to it what is asked anew.

        It is emptied before what was written can be read, so what is read later and kept here
        is never older than the emptying. When the file cannot be looked at, nothing holds.
        """
        own = self._own
        if getattr(own, "pid", None) != os.getpid():
            own.pid, own.connection = os.getpid(), None
        try:
            if own.connection is None:
                address = f"file:{self._file}?mode=ro"
                own.connection = sqlite3.connect(address, uri=True, timeout=0.05)
                own.version, own.answers = None, {}
            (version,) = own.connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self.close()
            return {}
        if version != own.version:
            own.version, own.answers = version, {}
        answers: dict[Q, A] = own.answers
        return answers

    def close(self) -> None:
        """Close this thread's connection."""
        if getattr(self._own, "connection", None) is not None:
            self._own.connection.close()
            self._own.connection = None
