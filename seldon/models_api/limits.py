"""How often the API may be called: a key, and an address that sends none that is valid."""

from __future__ import annotations

import hashlib
import mmap
import os
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from seldon.errors import InvalidSetting
from seldon.models_api.keys import Key

PLACES = 8192
KNOWN_SECONDS = 3600


class CallLimits:
    """Who has called too often, as all processes of this host know it together.

    A key has an allowance of calls a minute, to be used at once or spread. So has every address,
    for calls without a valid key. When that is used up the address waits, whatever key it sends:
    else guessing would go on, and only the answers to wrong guesses would change. A key that this
    address has used with success within the last hour is no guess and does not wait, so that
    guesses from behind the same proxy do not stop a shop that is in use.

    What is counted lies in one file of fixed size, mapped by every process. Names are hashed into
    it with a secret: two that meet in one place share its allowance, and nobody can aim at
    that. There is no lock; of calls at the very same instant one may stay uncounted.

    Parameters
    ----------
    file : path
        Made when missing. What it holds after a restart, or when it holds nonsense, is of no
        consequence.
    secret : bytes
    per_key, per_address : int
        Calls a minute; 0 is no limit.
    clock : callable
        Seconds since 1970.

    Raises
    ------
    InvalidSetting
        The file cannot be written.
    """

    def __init__(
        self,
        file: Path,
        secret: bytes,
        *,
        per_key: int,
        per_address: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = _mapped(file)
        self._per_key = per_key
        self._per_address = per_address
        self._clock = clock

        @lru_cache(maxsize=PLACES)
        def place(*name: bytes | str) -> int:
            text = repr(name).encode("utf-8", "surrogateescape")
            digest = hashlib.blake2b(text, digest_size=8, key=secret[:64]).digest()
            return int.from_bytes(digest) % PLACES

        self._place = place

    def wait(self, address: str, key: Key | None) -> float:
        """Seconds until this call may be made; 0 when it may be made now, and is counted.

        Parameters
        ----------
        address : str
        key : Key or None
            The valid key it came with.
        """
        now = self._clock()
        if self._per_address:
            guesses = self._place("address", address)
            if key is None:
                return self._take(guesses, self._per_address, now)
            known = self._place("known", address, key.digest)
            if not 0 <= now - self._table[known] < KNOWN_SECONDS:
                wait = self._short(guesses, self._per_address, now)
                if wait:
                    return wait
            self._table[known] = now
        if key is None or not self._per_key:
            return 0.0
        return self._take(self._place("key", key.digest), self._per_key, now)

    def _take(self, place: int, per_minute: int, now: float) -> float:
        """Count a call unless the allowance is used up; seconds until it is not."""
        wait = self._short(place, per_minute, now)
        if not wait:
            self._table[place] = self._paid_until(place, now) + 60 / per_minute
        return wait

    def _short(self, place: int, per_minute: int, now: float) -> float:
        """Seconds until there is allowance for one call (generic cell rate algorithm)."""
        over = self._paid_until(place, now) + 60 / per_minute - (now + 60)
        return over if over > 1e-6 else 0.0

    def _paid_until(self, place: int, now: float) -> float:
        """The moment until which the calls so far are paid for, at most a minute from now."""
        until = self._table[place]
        # Later than that: the clock was set back, or the place holds nonsense.
        return until if now < until <= now + 60.001 else now


def _mapped(file: Path) -> memoryview[float]:
    """`PLACES` float64 of a file, shared by all who map it."""
    size = PLACES * 8
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            # Written, not only made long: a mapped page that finds no room on the disk later
            # would end the process.
            there = os.fstat(descriptor).st_size
            os.pwrite(descriptor, bytes(max(size - there, 0)), there)
            return memoryview(mmap.mmap(descriptor, size)).cast("d")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InvalidSetting(
            f"MODELS_ROOT: {file}, where calls are counted, cannot be used: {error}"
        ) from error
