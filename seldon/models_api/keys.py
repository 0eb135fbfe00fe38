"""The header ``x-api-key``: admin keys open everything, recommend keys only recommendations."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

HEADER = "x-api-key"


@dataclass(frozen=True)
class Key:
    """A configured key, by its digest: the key itself is not kept."""

    digest: bytes
    is_admin: bool


class ApiKeys:
    """Configured keys, compared in constant time.

    Parameters
    ----------
    admin, recommend : iterable of str
        Primary and secondary keys, equal in rights. Empty ones are none.
    """

    def __init__(self, admin: Iterable[str], recommend: Iterable[str]) -> None:
        # The admin keys come last, so that a text that is both is an admin key.
        self._keys = [*_keys(recommend, is_admin=False), *_keys(admin, is_admin=True)]

    def __repr__(self) -> str:
        admin = sum(key.is_admin for key in self._keys)
        return f"ApiKeys({admin} admin, {len(self._keys) - admin} recommend)"

    def find(self, sent: str) -> Key | None:
        """The configured key in the text of a header; `None` when there is none.

        Parameters
        ----------
        sent : str
            As WSGI hands it over: bytes read as Latin-1, repeated headers joined with commas.
            The first one counts.
        """
        first = sent.partition(",")[0].strip().encode("latin-1", "replace")
        digest = hashlib.sha256(first).digest()
        found = None
        for key in self._keys:  # every one, so that the time does not tell which it was
            if hmac.compare_digest(digest, key.digest):
                found = key
        return found if first else None

    def secret(self, purpose: str) -> bytes:
        """A secret that all processes with these admin keys share.

        Slow to compute on purpose (some 50 ms): a short key cannot be guessed from what was
        signed with its secret.
        """
        digests = (key.digest for key in self._keys if key.is_admin)
        return _stretched(b"".join(sorted(digests)), purpose)


def _keys(texts: Iterable[str], is_admin: bool) -> list[Key]:
    return [Key(hashlib.sha256(text.encode()).digest(), is_admin) for text in texts if text]


@lru_cache(maxsize=8)
def _stretched(digests: bytes, purpose: str) -> bytes:
    return hashlib.scrypt(digests, salt=purpose.encode(), n=2**14, r=8, p=1)
