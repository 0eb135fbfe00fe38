"""A client's connection: what has arrived, whether it is a whole request, what is to be sent."""

from __future__ import annotations

import re
import socket
import time
from http import HTTPStatus
from typing import Any

from seldon.web import PROBLEM_JSON, problem

HEAD_END = b"\r\n\r\n"
FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding|expect):[ \t]*([^\r\n]*)", re.I)
MAX_HEAD_BYTES = 96 * 1024
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = -1


class Connection:
    """A client's socket; to gunicorn it is a socket that takes everything at once.

    Attributes
    ----------
    received, outgoing : bytearray
        Not yet handled, not yet sent.
    since : float
        When the state it is in began, on the clock of `time.monotonic`.
    ends : bool
        It is closed once `outgoing` is sent.
    closing : bool
        All is sent; only the client's last bytes are awaited.
    """

    def __init__(
        self, client: socket.socket, address: Any, server: Any, too_long: int = 413
    ) -> None:
        self.socket = client
        self.address = address or ("", 0)  # a unix socket has none
        self.server = server
        self.too_long = too_long  # the status of a body that is
        self.received = bytearray()
        self.outgoing = bytearray()
        self.since = time.monotonic()
        self.writing = False
        self.continued = False
        self.ends = False
        self.closing = False
        self._body_at = 0
        self._scanned = 0  # the chunk that is not there yet; those before need no second look
        self._needed: int | None = None  # bytes of the first request, once its head is there

    def has_request(self, most_body: int) -> bool:
        """Whether a whole request has arrived; refuses what must not be waited for.

        It decides only when to start: gunicorn's parser reads the same bytes again, strictly.

        Parameters
        ----------
        most_body : int
            A longer body is refused as soon as it is announced.
        """
        if self._needed is None:
            end = self.received.find(HEAD_END)
            if end < 0:
                if len(self.received) > MAX_HEAD_BYTES:
                    status = 431 if b"\r\n" in self.received[:MAX_HEAD_BYTES] else 414
                    self.refuse(status, f"the head has over {MAX_HEAD_BYTES} bytes", close=True)
                return False
            self._body_at = end + len(HEAD_END)
            self._scanned = self._body_at
            self._needed = self._frame(bytes(self.received[: end + 2]), most_body)
        if self._needed == CHUNKED:
            try:
                end, self._scanned = _end_of_chunks(self.received, self._scanned)
            except ValueError as error:
                self.refuse(400, str(error), close=True)
                return False
            if not end and len(self.received) > self._body_at + most_body + MAX_HEAD_BYTES:
                self._refuse_body(most_body)
            self._needed = end or CHUNKED
        return not self.ends and 0 < self._needed <= len(self.received)

    def take_request(self) -> bytes:
        """The first request's bytes, which `has_request` has found whole."""
        data = bytes(self.received[: self._needed])
        del self.received[: self._needed]
        self._needed = None
        return data

    def refuse(self, status: int, detail: str, more: str = "", close: bool = False) -> None:
        """Answer with an error without running the app."""
        body = problem(status, detail)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{more}"
            f"Content-Type: {PROBLEM_JSON}\r\nContent-Length: {len(body)}\r\n"
            f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n"
        )
        self.outgoing += head.encode("ascii") + body
        if close:
            self.ends = True
            self.received.clear()

    def _frame(self, head: bytes, most_body: int) -> int:
        length, chunked, expects = 0, False, False
        for name, value in FRAMING.findall(head):
            name = name.lower()
            if name == b"content-length" and value.strip().isdigit():
                length = int(value.strip()[:20])  # more digits are too long all the same
            chunked = chunked or (name == b"transfer-encoding" and b"chunked" in value.lower())
            expects = expects or name == b"expect"
        if length > most_body:
            self._refuse_body(most_body)
        elif expects and (chunked or len(self.received) < self._body_at + length):
            self.outgoing += CONTINUE
            self.continued = True
        return CHUNKED if chunked else self._body_at + length

    def _refuse_body(self, most_body: int) -> None:
        self.refuse(
            self.too_long, f"the body is longer than MAX_BODY_BYTES, {most_body}", close=True
        )

    def sendall(self, data: bytes) -> None:
        self.outgoing += data

    def send(self, data: bytes) -> int:
        self.outgoing += data
        return len(data)

    def gettimeout(self) -> float:
        return 0.0


def _end_of_chunks(received: bytearray, at: int) -> tuple[int, int]:
    """Where a chunked body ends, 0 while it has not, and where its next chunk begins.

    Raises
    ------
    ValueError
        It is no such body.
    """
    while (line_end := received.find(b"\r\n", at)) >= 0:
        line = CHUNK_SIZE.fullmatch(received, at, line_end)
        if line is None:
            raise ValueError("a chunk does not begin with its length in hexadecimal digits")
        size = int(line[1], 16)
        if not size:
            if received[line_end + 2 : line_end + 4] == b"\r\n":
                return line_end + 4, at
            trailers = received.find(HEAD_END, line_end + 2)
            return (trailers + len(HEAD_END) if trailers >= 0 else 0), at
        at = line_end + 2 + size + 2
    return 0, at
