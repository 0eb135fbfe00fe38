"""The header ``x-api-key``: admin keys open everything, recommend keys only recommendations."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

HEADER = "x-api-key"


class Headers(Protocol):
    """Request headers: `get` by name."""

    def get(self, key: str, /) -> str | None: ...


class ApiKeys:
    """Configured keys, compared in constant time.

    Parameters
    ----------
    admin, recommend : iterable of str
        Primary and secondary keys, equal in rights. Empty ones are none.
    """

    def __init__(self, admin: Iterable[str], recommend: Iterable[str]) -> None:
        self._admin = _digests(admin)
        self._recommend = _digests(recommend)

    def __repr__(self) -> str:
        return f"ApiKeys({len(self._admin)} admin, {len(self._recommend)} recommend)"

    def is_admin(self, headers: Headers) -> bool:
        """Whether these request headers carry an admin key."""
        return _matches(headers.get(HEADER), self._admin)

    def may_recommend(self, headers: Headers) -> bool:
        """Whether these request headers carry any key."""
        return _matches(headers.get(HEADER), self._admin + self._recommend)

    def secret(self, purpose: str) -> bytes:
        """A secret that all processes with these admin keys share.

        Slow to compute on purpose (some 50 ms): a short key cannot be guessed from what was
        signed with its secret.
        """
        return _stretched(b"".join(sorted(self._admin)), purpose)


def _digests(keys: Iterable[str]) -> list[bytes]:
    return [hashlib.sha256(key.encode()).digest() for key in keys if key]


def _matches(header: str | None, digests: list[bytes]) -> bool:
    # WSGI joins a repeated header with commas and hands its bytes over as Latin-1. The first
    # one counts. Digests are of one length, and every one is compared.
    sent = (header or "").partition(",")[0].strip().encode("latin-1", "replace")
    digest = hashlib.sha256(sent).digest()
    matches = [hmac.compare_digest(digest, known) for known in digests]
    return bool(sent) and any(matches)


@lru_cache(maxsize=8)
def _stretched(digests: bytes, purpose: str) -> bytes:
    return hashlib.scrypt(digests, salt=purpose.encode(), n=2**14, r=8, p=1)
