"""Writes into a real memcached exactly the bytes and flags that Java's and Python's clients do."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import socket
import zlib

# (how it was written, flags, bytes, the ids it holds or None)
WRITTEN = [
    ("Java, recent items", 0, b"[9958,9957,9956]", [9956, 9957, 9958]),
    ("Java, no items", 0, b"[]", []),
    ("Java, popular", 0, b'[{"item":9958,"score":4995.0},{"item":3,"score":1.0E7}]', [3, 9958]),
    ("Java, gzip", 2, gzip.compress(b"[5,4]" + b" " * 20_000), [4, 5]),
    ("Java, an object", 1, b"\xac\xed\x00\x05sr\x00\x13java.util.ArrayList", None),
    ("Java, text", 0, b"hello", None),
    ("pylibmc, str", 16, b"[3, 1, 2]", [1, 2, 3]),
    ("pylibmc, bytes", 0, b"[3,1,2]", [1, 2, 3]),
    ("pylibmc, list", 1, pickle.dumps([1, 2]), None),
    ("pylibmc, int", 4, b"12", None),
    ("pylibmc, bool", 2, b"1", None),
    ("pylibmc, long str", 24, zlib.compress(b"[3, 1, 2]"), [1, 2, 3]),
    ("pylibmc, long bytes", 8, zlib.compress(b"[3,1,2]"), [1, 2, 3]),
    ("pylibmc, long list", 9, zlib.compress(pickle.dumps([1, 2])), None),
    ("anybody, nothing", 0, b"", None),
]  # fmt: skip


def put(port: int, key: str, data: bytes, flags: int = 0, seconds: int = 0) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as server:
        head = f"set {key} {flags} {seconds} {len(data)}\r\n".encode()
        server.sendall(head + data + b"\r\n")
        answer = server.recv(100)
    assert answer == b"STORED\r\n", answer


def put_ids(port: int, key: str, ids) -> None:
    put(port, key, b"[" + b",".join(b"%d" % each for each in ids) + b"]")


def put_many(port: int, values: dict[str, bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as server:
        for key, data in values.items():
            server.sendall(f"set {key} 0 0 {len(data)} noreply\r\n".encode() + data + b"\r\n")
        server.sendall(b"version\r\n")
        assert server.recv(100).startswith(b"VERSION")


def delete(port: int, key: str) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as server:
        server.sendall(f"delete {key}\r\n".encode())
        server.recv(100)


def real_key(logical: str) -> str:
    """As the Seldon server makes it, and puts it in ``data_key``."""
    return hashlib.md5(logical.encode()).hexdigest()


def java_place(key: str, servers: int) -> int:
    """Where spymemcached puts it: ``s[0]*31^(n-1) + … + s[n-1]``, unsigned, modulo."""
    powers = (ord(c) * 31 ** (len(key) - 1 - i) for i, c in enumerate(key))
    return sum(powers) % 2**32 % servers
