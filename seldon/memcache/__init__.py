"""memcached as the Seldon server uses it: Java's placement, bounded time, nothing unpickled."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from seldon.errors import CandidatesUnavailable, InvalidParameter

KEY = re.compile(rb"[!-+\--~]{1,250}")  # printable ASCII without blank and comma
OPEN_SECONDS = (0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Value:
    """What a server holds under a key.

    Attributes
    ----------
    flags : int
        As the writer set them; they say how `data` is encoded.
    data : bytes or bytearray
    version : tuple of (int, int), optional
        Connection and its number for this value. Absent where the server cannot tell.
    """

    flags: int
    data: bytes | bytearray
    version: tuple[int, int] | None = None


class Unchanged:
    """The key still holds the value of a version the caller knows."""


UNCHANGED = Unchanged()


class ServerFailed(Exception):
    """A server refused, broke off, answered nonsense, or did not answer in time."""


class ServerBusy(Exception):
    """All connections of this process are in use; it says nothing about the server."""


class Server(Protocol):
    """One memcached server."""

    def fetch(
        self, key: bytes, known: Mapping[int, int], deadline: float
    ) -> Value | Unchanged | None:
        """The value, `UNCHANGED` if `known` has its version, or None if there is none.

        Raises
        ------
        ServerFailed, ServerBusy
        """


class Memcache:
    """Several servers, asked in the order in which Java's spymemcached places a key.

    Parameters
    ----------
    addresses : sequence of str
        ``host:port`` in the order the Seldon server lists them: the placement depends on it.
    connect : callable
        Makes a `Server` of an address.
    """

    def __init__(self, addresses: Sequence[str], connect: Callable[[str], Server]) -> None:
        self.addresses = list(addresses)
        self._servers = [(connect(address), Breaker()) for address in addresses]

    def fetch(
        self, key: bytes, known: Mapping[int, int], deadline: float
    ) -> Value | Unchanged | None:
        """Ask the server that holds `key`; while it is down, the next in order.

        Parameters
        ----------
        key : bytes
            Valid by `check_key`.
        known : mapping
            Versions of the value the caller has.
        deadline : float
            On the clock of `time.monotonic`.

        Raises
        ------
        CandidatesUnavailable
            No server answered before `deadline`.
        """
        first = java_hash(key) % len(self._servers) if self._servers else 0
        for server, breaker in self._servers[first:] + self._servers[:first]:
            if not breaker.allows() or time.monotonic() >= deadline:
                continue
            try:
                value = server.fetch(key, known, deadline)
            except ServerBusy:
                break  # the next server was not written to: what it misses is no answer
            except ServerFailed:
                breaker.failed()
                continue
            breaker.succeeded()
            return value
        raise CandidatesUnavailable(
            f"no memcached of {self.addresses} answered in time; "
            "check that they run and that MEMCACHE['servers'] names them"
        )

    def reachable(self) -> dict[str, bool]:
        """Address to whether its last call succeeded (or none was made yet)."""
        return {
            address: breaker.failures == 0
            for address, (_, breaker) in zip(self.addresses, self._servers, strict=True)
        }


class Breaker:
    """Keeps a failing server from costing every request its time-out.

    After a failure nobody asks for half a second, doubling to four; then one caller tries.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.failures = 0
        self._clock = clock
        self._closed_from = 0.0
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Whether to ask now; true for one caller only while the server is on trial."""
        if not self.failures:
            return True
        with self._lock:
            now = self._clock()
            if now < self._closed_from:
                return False
            self._closed_from = now + OPEN_SECONDS[0]
            return True

    def failed(self) -> None:
        with self._lock:
            pause = OPEN_SECONDS[min(self.failures, len(OPEN_SECONDS) - 1)]
            self.failures += 1
            self._closed_from = self._clock() + pause

    def succeeded(self) -> None:
        self.failures = 0


def java_hash(key: bytes) -> int:
    """``String.hashCode()`` of an ASCII key as an unsigned 32-bit number."""
    value = 0
    for byte in key:
        value = (31 * value + byte) & 0xFFFFFFFF
    return value


def check_key(key: str) -> bytes:
    """The key as memcached takes it.

    Raises
    ------
    InvalidParameter
        Empty, over 250 bytes, or with a blank, control or non-ASCII character: sent as it
        is, such a key would run commands.
    """
    encoded = key.encode("utf-8", "surrogateescape")
    if not KEY.fullmatch(encoded):
        shown = key if len(key) <= 60 else f"{key[:60]}…"
        raise InvalidParameter(
            f"data_key={shown!r} is not a memcached key: 1 to 250 printable ASCII characters"
        )
    return encoded
