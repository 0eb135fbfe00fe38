"""A memcached server over its meta commands (memcached 1.6 and later).

``mg`` tells in some 30 µs whether a value of any size has changed, and brings value, flags and
version in one answer, read here against a deadline: a server that trickles, garbles or freezes
costs a request its time budget once and never a wrong list.
"""

from __future__ import annotations

import itertools
import os
import queue
import socket
import time
from collections.abc import Mapping

from seldon.memcache import UNCHANGED, ServerBusy, ServerFailed, Unchanged, Value

MAX_VALUE_BYTES = 128 * 2**20  # memcached's own largest item


class NoMetaCommands(ServerFailed):
    """The server is older than memcached 1.6 or a proxy that knows no meta commands."""


class MetaServer:
    """One memcached server and a bounded pool of connections to it.

    Connections are made when needed, after the fork: a process that finds itself a child
    forgets those of its parent.

    Parameters
    ----------
    address : str
        ``host:port``, ``host``, or the path of a unix socket.
    pool_size : int
        Connections at most; who finds none free waits until its deadline, first come first
        served.
    """

    def __init__(self, address: str, pool_size: int) -> None:
        self._address = address
        self._pool_size = pool_size
        self._pid = -1
        self._pool: queue.LifoQueue[_Connection | None] = queue.LifoQueue()

    def fetch(
        self, key: bytes, known: Mapping[int, int], deadline: float
    ) -> Value | Unchanged | None:
        """See `seldon.memcache.Server`."""
        pool = self._own_pool()
        try:
            connection = pool.get(timeout=max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise ServerBusy(f"{self._address}: all {self._pool_size} connections busy") from None
        try:
            if connection is None:
                connection = _Connection(self._address, deadline)
                return connection.fetch(key, known, deadline)
            try:
                return connection.fetch(key, known, deadline)
            except _ClosedByServer:
                # It closed while idle, for example restarted: one new connection, no failure.
                connection.close()
                connection = _Connection(self._address, deadline)
                return connection.fetch(key, known, deadline)
        except OSError as error:
            if connection is not None:
                connection.close()
            connection = None
            raise ServerFailed(f"{self._address}: {error}") from error
        except ServerFailed:
            if connection is not None:
                connection.close()
            connection = None
            raise
        finally:
            pool.put(connection)

    def _own_pool(self) -> queue.LifoQueue[_Connection | None]:
        if self._pid != os.getpid():
            # Last in, first out: the connection that knows most versions is taken first.
            pool: queue.LifoQueue[_Connection | None] = queue.LifoQueue()
            for _ in range(self._pool_size):
                pool.put(None)
            self._pool, self._pid = pool, os.getpid()
        return self._pool


class _ClosedByServer(OSError):
    pass


class _Connection:
    _numbers = itertools.count(1)

    def __init__(self, address: str, deadline: float) -> None:
        self.number = next(self._numbers)
        self._asked = 0
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("no time left to connect")
        if address.startswith("/"):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(seconds)
            self._socket.connect(address)
        else:
            host, _, port = address.rpartition(":")
            target = (host.strip("[]"), int(port)) if host else (address, 11211)
            self._socket = socket.create_connection(target, seconds)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._socket.close()

    def __del__(self) -> None:
        if hasattr(self, "_socket"):
            self.close()

    def fetch(
        self, key: bytes, known: Mapping[int, int], deadline: float
    ) -> Value | Unchanged | None:
        cas = known.get(self.number)
        if cas is not None:
            head, _ = self._ask(key, b"c", deadline)
            if head[0] == b"EN":
                return None
            # After a reconnect the number means nothing; so a version belongs to a connection.
            if _flag(head, b"c") == cas:
                return UNCHANGED
        head, data = self._ask(key, b"c f v", deadline)
        if head[0] == b"EN":
            return None
        if data is None:
            raise ServerFailed(f"no value in {head!r}")
        return Value(_flag(head, b"f"), data, (self.number, _flag(head, b"c")))

    def _ask(
        self, key: bytes, flags: bytes, deadline: float
    ) -> tuple[list[bytes], bytearray | None]:
        """Send a meta get; the words of its answer, and the data block if it has one."""
        self._wait_at_most(deadline)
        self._asked += 1
        try:
            self._socket.sendall(b"mg %b %b O%d\r\n" % (key, flags, self._asked))
            received = self._socket.recv(65_536)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _ClosedByServer(str(error)) from error
        if not received:
            raise _ClosedByServer("closed the connection")
        while (end := received.find(b"\r\n")) < 0:
            if len(received) > 4096:
                raise ServerFailed(f"answers {received[:40]!r}…, not a memcached")
            self._wait_at_most(deadline)
            more = self._socket.recv(65_536)
            if not more:
                raise ServerFailed("broke off in its answer")
            received += more
        head, rest = received[:end].split(b" "), received[end + 2 :]
        if head[0] == b"ERROR" or head[0] == b"CLIENT_ERROR":
            raise NoMetaCommands(f"answers {received[:end]!r} to a meta get")
        if head[0] not in (b"VA", b"HD", b"EN") or (rest and head[0] != b"VA"):
            raise ServerFailed(f"answers {received[:60]!r} to a meta get")
        # An early 1.6 says no more than EN.
        if head != [b"EN"] and _flag(head, b"O") != self._asked:
            raise ServerFailed("answers what was asked before")
        return head, self._block(head, rest, deadline) if head[0] == b"VA" else None

    def _block(self, head: list[bytes], rest: bytes, deadline: float) -> bytearray:
        try:
            size = int(head[1])
        except (IndexError, ValueError):
            raise ServerFailed(f"answers {head!r} to a meta get") from None
        if not 0 <= size <= MAX_VALUE_BYTES or len(rest) > size + 2:
            raise ServerFailed(f"announces {size} bytes")
        block = bytearray(size + 2)
        block[: len(rest)] = rest
        view = memoryview(block)
        filled = len(rest)
        while filled < len(block):
            self._wait_at_most(deadline)
            count = self._socket.recv_into(view[filled:])
            if not count:
                raise ServerFailed("broke off in a value")
            filled += count
        if block[-2:] != b"\r\n":
            raise ServerFailed("a value does not end where it was said to")
        view.release()
        del block[-2:]
        return block

    def _wait_at_most(self, deadline: float) -> None:
        """Time is counted for the whole call: a server that trickles gains nothing."""
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("did not answer in time")
        self._socket.settimeout(seconds)


def _flag(head: list[bytes], letter: bytes) -> int:
    for word in head[1:]:
        if word[:1] == letter:
            try:
                return int(word[1:])
            except ValueError:
                break
    raise ServerFailed(f"answers {head!r}, without {letter!r}")
