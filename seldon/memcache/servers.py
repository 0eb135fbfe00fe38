"""Which way to ask a server: meta commands where it knows them, else pylibmc."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seldon.memcache import Memcache, Server, Unchanged, Value
from seldon.memcache.libmemcached import LibmemcachedServer
from seldon.memcache.meta import MetaServer, NoMetaCommands


def connect(addresses: Sequence[str], pool_size: int) -> Memcache:
    """A `Memcache` over real servers; nothing is connected before the first fetch."""
    return Memcache(addresses, lambda address: AnyServer(address, pool_size))


class AnyServer:
    """Asks with meta commands until the server says that it has none."""

    def __init__(self, address: str, pool_size: int) -> None:
        self._server: Server = MetaServer(address, pool_size)
        self._older = LibmemcachedServer(address, pool_size)

    def fetch(
        self, key: bytes, known: Mapping[int, int], deadline: float
    ) -> Value | Unchanged | None:
        """See `seldon.memcache.Server`."""
        try:
            return self._server.fetch(key, known, deadline)
        except NoMetaCommands:
            self._server = self._older
            return self._server.fetch(key, known, deadline)
