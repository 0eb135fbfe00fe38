"""A gunicorn worker that keeps connections alive and is never held up by a slow one.

gunicorn's own workers give a thread, or the whole process, to each connection: a client that
sends half a request, or keeps its socket open after the last answer, occupies it for seconds.
Here one loop watches all connections and runs the app only for requests that have arrived whole.
Parsing, and all else that makes HTTP safe, is gunicorn's.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import sys
import time
from datetime import datetime
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.http import RequestParser, wsgi
from gunicorn.workers.base import Worker

from seldon.memory import resident_memory
from seldon.operation import metrics
from seldon.operation.health import begin_draining
from seldon.worker.connection import Connection

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
SLOW_SECONDS = 10.0  # for a request to arrive, for an answer to be taken
LINGER_SECONDS = 2.0  # after our last byte, for the client's
IDLE_GRACE_SECONDS = 0.5  # while stopping: a request may be on its way
YIELD_SECONDS = 0.0002  # for each connection held, before another is accepted
PROBES = (b"GET /healthz", b"GET /readyz", b"GET /metrics")
NEVER = float("inf")


class EventWorker(Worker):  # type: ignore[misc]
    """One event loop; requests run in it one after the other, as in the sync worker.

    Settings of the app are honoured where it is a Flask app: ``MAX_BODY_BYTES`` (413 as soon as
    a longer body is announced), ``MAX_WAITING`` (503 for requests behind so many others) and
    ``DRAIN_SECONDS``; of gunicorn's: ``keepalive``, ``worker_connections``, ``max_requests``.
    """

    alive: bool
    sockets: list[Any]

    def load_wsgi(self) -> None:
        """Load the app; gunicorn calls it.

        If the first worker cannot, the service ends at once. A later one, say for one that was
        killed, is tried again every second, and the others serve on.
        """
        try:
            super().load_wsgi()
        except (Exception, SystemExit) as error:
            for _ in range(10 if self.age > 1 else 0):
                time.sleep(0.1)
                if not self.alive:  # the first could not, and has said why
                    sys.exit(0)
            if isinstance(error, SystemExit):
                print(error, file=sys.stderr, flush=True)
            else:
                self.log.exception("the app does not load")
            sys.exit(Arbiter.APP_LOAD_ERROR if self.age == 1 else 1)

    def run(self) -> None:
        """The life of the worker; gunicorn calls it."""
        if self.cfg.is_ssl:
            sys.exit("this worker speaks no TLS; end it in a proxy, or use: gunicorn -k gthread")
        config = getattr(self.wsgi, "config", {})
        self._most_body: int = config.get("MAX_BODY_BYTES", 2**20)
        self._too_long: int = config.get("TOO_LONG_STATUS", 413)
        self._most_waiting: int = config.get("MAX_WAITING", 64)
        self._drain_seconds: float = config.get("DRAIN_SECONDS", 0)
        self._settings = _Fixed(self.cfg)
        self._logs_access: bool = self.log.access_log_enabled
        self._connections: set[Connection] = set()
        self._poll = selectors.DefaultSelector()
        self._poll.register(self.PIPE[0], READ)
        self._names = {listener: listener.getsockname() for listener in self.sockets}
        self._listening = False
        self._accept_at = 0.0
        self._yielded = False
        self._stops_at = NEVER
        self._swept = time.monotonic()
        for listener in self.sockets:
            listener.setblocking(False)
        while not self._has_finished():
            self._turn()

    def _has_finished(self) -> bool:
        """Whether it was told to stop and all that came before is answered."""
        now = time.monotonic()
        if self.alive and self.ppid != os.getppid():
            self.log.info("Parent changed, shutting down: %s", self)
            self.alive = False
        if not self.alive and self._stops_at == NEVER:
            begin_draining()
            self._stops_at = now + self._drain_seconds
        if now < self._stops_at:
            return False
        if self.sockets:
            self._accept(self._settings.backlog)  # who has connected already is served
            self._listen(False)
            for listener in self.sockets:
                listener.close()
            self.sockets = []
        for connection in list(self._connections):
            quiet = not connection.received and not connection.outgoing
            if quiet and now > connection.since + IDLE_GRACE_SECONDS:
                self._close(connection)
        return not self._connections

    def _turn(self) -> None:
        """Wait until something can be done, and do all of it."""
        self.notify()
        now = time.monotonic()
        if self.sockets and not self._listening and now >= self._accept_at:
            if self._yielded:
                # One by one while they are few, so that workers share them evenly.
                self._accept(1 + len(self._connections) // 4)
            else:
                self._listen(True)
        patience = 0.02 if not self.alive else max(self._accept_at - now, 0.0)
        served = 0
        for key, ready in self._poll.select(1.0 if self._listening and self.alive else patience):
            connection = key.data
            if connection is None:
                self._wake(key.fileobj)
            elif connection in self._connections:  # else closed earlier in this turn
                if ready & WRITE:
                    self._flush(connection)
                if ready & READ:
                    served += self._receive(connection, served)
        if time.monotonic() - self._swept > 1.0:
            self._sweep()

    def _wake(self, source: Any) -> None:
        """A signal, or somebody wants to connect."""
        if source == self.PIPE[0]:
            os.read(source, 4096)
            return
        # Whoever holds fewer connections comes first: all workers wait at one listener, and
        # clients that keep their connections would else crowd in whichever woke first.
        held = sum(not connection.closing for connection in self._connections)
        if held:
            self._pause(min(held, 5) * YIELD_SECONDS)
            self._yielded = True
        else:
            self._accept(1)

    def _accept(self, most: int) -> None:
        self._yielded = False
        for listener in self.sockets:
            for _ in range(most):
                try:
                    client, address = listener.accept()
                except OSError as error:
                    if error.errno in (errno.EMFILE, errno.ENFILE):
                        self.log.error("cannot accept: %s; raise the limit of open files", error)
                        self._pause(0.1)
                    break
                client.setblocking(False)
                if client.family != socket.AF_UNIX:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(client, address, self._names[listener], self._too_long)
                self._connections.add(connection)
                self._poll.register(client, READ, connection)
        if len(self._connections) >= self._settings.worker_connections:
            self._pause(0.1)

    def _pause(self, seconds: float) -> None:
        self._accept_at = time.monotonic() + seconds
        self._listen(False)

    def _listen(self, wanted: bool) -> None:
        if wanted != self._listening:
            for listener in self.sockets:
                if wanted:
                    self._poll.register(listener, READ)
                else:
                    self._poll.unregister(listener)
            self._listening = wanted

    def _receive(self, connection: Connection, served: int) -> int:
        """Take what arrived; returns how many requests were answered because of it."""
        try:
            data = connection.socket.recv(65_536)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return 0
        if connection.closing:
            return 0  # answered; the rest is read only so that the answer is not lost
        if not connection.received:
            connection.since = time.monotonic()
        connection.received += data
        answered = 0
        while connection.has_request(self._most_body):
            if served + answered < self._most_waiting or connection.received.startswith(PROBES):
                self._answer(connection)
                answered += 1
            else:
                connection.take_request()
                connection.refuse(
                    503, "too many requests wait in this worker", "Retry-After: 1\r\n"
                )
                metrics.REFUSED.inc()
        self._flush(connection)
        return answered

    def _answer(self, connection: Connection) -> None:
        """Run the app for the first request that was received."""
        data = connection.take_request()
        request = None
        try:
            request = next(RequestParser(self._settings, iter((data,)), connection.address))
            if connection.continued:
                request._expected_100_continue = connection.continued = False
            self._run_app(connection, request)
        except StopIteration:
            connection.ends = True
        except Exception as error:
            self.handle_error(request, connection, connection.address, error)
            connection.ends = True

    def _run_app(self, connection: Connection, request: Any) -> None:
        response, environ = wsgi.create(
            request, connection, connection.address, connection.server, self._settings
        )
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not self.alive or not self._settings.keepalive:
            response.force_close()
        self._settings.pre_request(self, request)
        started = datetime.now()
        body = self.wsgi(environ, response.start_response)
        try:
            for part in body:
                response.write(part)
            response.close()
        except Exception:
            if not response.headers_sent:
                raise
            self.log.exception("Error handling request %s", request.uri)
            response.force_close()  # so that the client sees that the answer is cut off
        finally:
            if self._logs_access:
                self.log.access(response, request, environ, datetime.now() - started)
            if hasattr(body, "close"):
                body.close()
            self._settings.post_request(self, request, environ, response)
        connection.ends = response.should_close()

    def _flush(self, connection: Connection) -> None:
        """Send what can be sent now; the rest when the client takes it."""
        if connection.outgoing:
            try:
                sent = connection.socket.send(connection.outgoing)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._close(connection)
                return
            if sent:
                connection.since = time.monotonic()
                del connection.outgoing[:sent]
        if connection.writing != bool(connection.outgoing):
            connection.writing = bool(connection.outgoing)
            events = READ | WRITE if connection.writing else READ
            self._poll.modify(connection.socket, events, connection)
        if connection.ends and not connection.outgoing and not connection.closing:
            connection.closing = True
            try:
                connection.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self._close(connection)

    def _sweep(self) -> None:
        """Every second: close what has been slow, idle or lingering for too long."""
        metrics.RESIDENT.set(resident_memory())
        now = self._swept = time.monotonic()
        for connection in list(self._connections):
            if connection.closing:
                most = LINGER_SECONDS
            elif connection.received or connection.outgoing:
                most = SLOW_SECONDS
            else:
                most = max(self._settings.keepalive, 1)
            if now - connection.since > most:
                self._close(connection)

    def _close(self, connection: Connection) -> None:
        if connection in self._connections:
            if connection.outgoing:
                metrics.CLIENT_GONE.inc()
            self._connections.discard(connection)
            self._poll.unregister(connection.socket)
            connection.socket.close()


class _Fixed:
    """gunicorn's settings, each looked up once; its own look-up costs a microsecond a time."""

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._cfg, name)
        self.__dict__[name] = value
        return value
