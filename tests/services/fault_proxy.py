"""A TCP proxy that does to a server's answers what broken networks and servers do."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.services.processes import free_port


class FaultProxy:
    """Stands in front of a server; what it does can be changed at any time.

    Attributes
    ----------
    mode : str
        ``"pass"``; ``"freeze"``: takes everything, answers nothing; ``"trickle"``: a byte at a
        time; ``"garble"``: random bytes of the same length; ``"cut"``: half of an answer, then
        the end; ``"hang"``: half of an answer, then silence; ``"endless"``: the answer and then
        never an end; ``"close"``: no answer at all; ``"no-meta"``: `mg` is an ``ERROR``, as in
        memcached before 1.6.
    connections : int
        Made so far.
    """

    def __init__(self, target: int) -> None:
        self.mode = "pass"
        self.connections = 0
        self.port = free_port()
        self._target = target
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # shutdown first: it is what wakes the threads that wait for these sockets
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:  # as if nobody listened
                    client.close()
                    continue
                self._open += [client, server]
                for pump in (self._requests, self._answers):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65_536):
                if self.mode == "freeze":
                    continue
                if self.mode == "close":
                    break
                if self.mode == "no-meta" and data.startswith(b"mg "):
                    client.sendall(b"ERROR\r\n")
                    continue
                server.sendall(data)
        _end(client, server)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65_536):
                mode = self.mode
                if mode == "trickle":
                    for byte in data:
                        client.sendall(bytes([byte]))
                        time.sleep(0.02)
                elif mode == "garble":
                    client.sendall(random.Random(len(data)).randbytes(len(data)))
                elif mode in ("cut", "hang"):
                    client.sendall(data[: len(data) // 2])
                    if mode == "cut":
                        break
                elif mode == "endless":
                    while self.mode == "endless":
                        client.sendall(data)
                        time.sleep(0.001)
                else:
                    client.sendall(data)
        _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def fault_proxy(target: int) -> Iterator[FaultProxy]:
    """A proxy in front of the local port `target`."""
    proxy = FaultProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
