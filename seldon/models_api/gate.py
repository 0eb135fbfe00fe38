"""Who may come in: the key of a request, and whether it has to wait."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from seldon.models_api.keys import ApiKeys, Key
from seldon.models_api.limits import CallLimits

_VISIT = "seldon.models_api.visit"


@dataclass(frozen=True)
class Visit:
    """What is known of a request before it is looked at.

    Attributes
    ----------
    key : Key or None
        The valid key it carries.
    retry_after : str or None
        It came too often: the seconds to wait, as a header says them.
    """

    key: Key | None
    retry_after: str | None

    @property
    def is_admin(self) -> bool:
        return self.key is not None and self.key.is_admin


@dataclass(frozen=True)
class Gate:
    """Looks at the header ``x-api-key`` and at how often its sender has called."""

    keys: ApiKeys
    limits: CallLimits

    def visit(self, environ: dict[str, Any]) -> Visit:
        """Of a request; it is counted once, however often it is asked for."""
        visit: Visit | None = environ.get(_VISIT)
        if visit is None:
            visit = self.visit_with(environ.get("HTTP_X_API_KEY", ""), environ)
            environ[_VISIT] = visit
        return visit

    def visit_with(self, sent: str, environ: dict[str, Any]) -> Visit:
        """Of a request that brings its key in another way, `sent` as WSGI hands over headers."""
        key = self.keys.find(sent)
        wait = self.limits.wait(caller(environ), key)
        return Visit(key, str(max(math.ceil(wait), 1)) if wait else None)


def caller(environ: dict[str, Any]) -> str:
    """The address a request comes from; of IPv6 the network that one customer has.

    A proxy on this host names it in ``X-Forwarded-For``, whose last entry is the proxy's own; of
    anybody else's header nothing is believed.
    """
    address: str = environ.get("REMOTE_ADDR", "")
    if _is_this_host(address):
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        address = forwarded or address
    return _network(address[:64])


@lru_cache(maxsize=4096)
def _is_this_host(address: str) -> bool:
    try:
        return not address or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))
