"""A memcached server through pylibmc, and the pool that algorithms are given.

pylibmc unpickles what is flagged as a pickle, lets a key run commands, shares a connected
client with forked children, and waits five seconds for a frozen server. Not here.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pylibmc

from seldon.memcache import ServerBusy, ServerFailed, Unchanged, Value

PICKLE, ZLIB = 1, 8
POLL_MS = 200
BEHAVIORS = {
    "connect_timeout": POLL_MS,
    "_poll_timeout": POLL_MS,
    "retry_timeout": 1,
    "tcp_nodelay": True,
    "verify_keys": True,
}


class SafeClient(pylibmc.Client):  # type: ignore[misc]
    """A pylibmc client that never unpickles: a pickled value reads as a miss."""

    def deserialize(self, value: bytes, flags: int) -> Any:
        if flags & PICKLE:
            raise pylibmc.CacheMiss
        if flags & 2 and value[:2] == b"\x1f\x8b":
            return value  # Java's gzip, which pylibmc would take for an integer
        return super().deserialize(value, flags)


class _RawClient(SafeClient):
    """Returns (flags, bytes): what was stored, as it was stored."""

    def deserialize(self, value: bytes, flags: int) -> Any:
        return flags & ~ZLIB, value  # pylibmc has inflated it and left the flag


class SafePool:
    """What ``init(mc, config)`` of an algorithm gets: the pool of pylibmc, made safe.

    Parameters
    ----------
    servers : sequence of str
    size : int
    client : type, optional

    Examples
    --------
    >>> with mc.reserve() as client:  # doctest: +SKIP
    ...     client.get("key")
    """

    def __init__(
        self, servers: Sequence[str], size: int, client: type[SafeClient] = SafeClient
    ) -> None:
        self._client = client
        self._servers = list(servers)
        self._size = size
        self._pid = -1
        self._pool: queue.Queue[SafeClient] = queue.Queue()
        self._inherited: list[queue.Queue[SafeClient]] = []

    @contextmanager
    def reserve(self, block: bool = True, timeout: float = 1.0) -> Iterator[SafeClient]:
        """A client of this process for the length of a ``with``.

        Raises
        ------
        queue.Empty
            None became free within `timeout` seconds, or at once without `block`.
        """
        if self._pid != os.getpid():
            pool: queue.Queue[SafeClient] = queue.Queue()
            for _ in range(self._size):
                pool.put(self._client(self._servers, behaviors=dict(BEHAVIORS)))
            # Kept: a client that goes says "quit" on the connection it shares with the parent.
            self._inherited.append(self._pool)
            self._pool, self._pid = pool, os.getpid()
        pool = self._pool
        client = pool.get(block, timeout)
        try:
            yield client
        finally:
            pool.put(client)


class LibmemcachedServer:
    """One memcached server asked through pylibmc, for servers without meta commands.

    It cannot tell whether a value changed, so every call brings the value. A server that
    trickles its answer is bounded from byte to byte only.
    """

    def __init__(self, address: str, pool_size: int) -> None:
        self._address = address
        self._pool = SafePool([address], pool_size, _RawClient)

    def fetch(
        self, key: bytes, known: Mapping[int, int], deadline: float
    ) -> Value | Unchanged | None:
        """See `seldon.memcache.Server`."""
        try:
            wait = max(deadline - time.monotonic(), 0)
            with self._pool.reserve(timeout=wait) as client:
                name = key.decode("ascii")
                # On a new connection every failure reads as a miss, on one in use none does.
                found = client.get(name) or client.get(name)
        except queue.Empty:
            raise ServerBusy(f"{self._address}: all connections busy") from None
        except (pylibmc.Error, ValueError) as error:
            raise ServerFailed(f"{self._address}: {error or type(error).__name__}") from error
        if found is None:
            return None
        flags, data = found
        return Value(flags, data or b"")
