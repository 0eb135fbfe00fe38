"""A gRPC server of predictions: health, reflection, TLS and a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seldon.errors import InvalidSetting, MissingExtra
from seldon.microservice.rpc import (
    SERVICE,
    CustomDataHandler,
    DefaultCustomDataHandler,
    Servicer,
)
from seldon.pipeline.predictor import Predictor
from seldon.rpc import seldon_pb2_grpc

try:
    import grpc
    from grpc import aio
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection
except ImportError as error:
    raise MissingExtra(error.name or "grpcio", "grpc") from None

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerOptions:
    """How to serve.

    Attributes
    ----------
    host : str
        ``[::]`` is every address of the machine.
    port : int
        0 takes a free one.
    workers : int
        Threads that run the pipeline. Calls beyond them wait.
    max_calls : int
        Calls waiting and running; more are refused with RESOURCE_EXHAUSTED.
    max_message_bytes : int
        Longest request; longer ones are refused with RESOURCE_EXHAUSTED.
    certificate, key : str, optional
        PEM files; with both the port speaks TLS.
    client_certificates : str, optional
        PEM file of authorities; then clients must show a certificate of one.
    drain_seconds : float
        After SIGTERM: health says NOT_SERVING and calls are still taken for this long.
    grace_seconds : float
        And then running calls may take so long to end.
    metrics_port : int, optional
        Where Prometheus finds the metrics, over plain HTTP at ``host``; nowhere by default.
    """

    host: str = "[::]"
    port: int = 5000
    workers: int = 10
    max_calls: int = 2000
    max_message_bytes: int = 4 * 2**20
    certificate: str | None = None
    key: str | None = None
    client_certificates: str | None = None
    drain_seconds: float = 1.0
    grace_seconds: float = 10.0
    metrics_port: int | None = None

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise InvalidSetting("certificate and key belong together: give both, or neither")
        if self.client_certificates and not self.certificate:
            raise InvalidSetting("client_certificates needs certificate and key")
        if self.workers < 1 or self.max_calls < 1 or self.max_message_bytes < 1:
            raise InvalidSetting("workers, max_calls and max_message_bytes must be at least 1")


class PredictionServer:
    """Serves a `Predictor` over gRPC.

    Calls are taken by one event loop, so that idle streams, of health watchers or of
    reflection, hold no thread; pipelines run in `ServerOptions.workers` threads.

    Parameters
    ----------
    predictor : Predictor
    handler : CustomDataHandler, optional
    options : ServerOptions, optional
    """

    def __init__(
        self,
        predictor: Predictor,
        handler: CustomDataHandler | None = None,
        options: ServerOptions | None = None,
    ) -> None:
        self._predictor = predictor
        self._handler = handler or DefaultCustomDataHandler(predictor)
        self._options = options or ServerOptions()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain."""
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(self.serve(lambda port: None, has_signals=True))

    @contextmanager
    def running(self) -> Iterator[int]:
        """Serve in a thread of its own while the `with` lasts; yields the port."""
        bound: Future[int] = Future()

        def work() -> None:
            try:
                asyncio.run(self.serve(bound.set_result))
            except BaseException as error:
                if bound.done():
                    raise
                bound.set_exception(error)

        thread = threading.Thread(target=work, name="grpc")
        thread.start()
        try:
            yield bound.result()
        finally:
            self.stop()
            thread.join()

    def stop(self) -> None:
        """Begin the drain; may be called from any thread, and more than once."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def serve(self, ready: Callable[[int], None], has_signals: bool = False) -> None:
        """Serve until `stop`; calls `ready` with the port once calls are answered."""
        options = self._options
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        if has_signals:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._stopping.set)
        with (
            ThreadPoolExecutor(options.workers, thread_name_prefix="predict") as pool,
            _metrics_page(options),
        ):
            server = aio.server(
                maximum_concurrent_rpcs=options.max_calls,
                options=[
                    ("grpc.max_receive_message_length", options.max_message_bytes),
                    # Two servers on one port would each get some of the calls.
                    ("grpc.so_reuseport", 0),
                ],
            )
            servicer = Servicer(self._predictor, self._handler, pool)
            seldon_pb2_grpc.add_SeldonServicer_to_server(servicer, server)
            states = health.aio.HealthServicer()
            health_pb2_grpc.add_HealthServicer_to_server(states, server)
            reflection.enable_server_reflection(
                [SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME], server
            )
            port = _bind(server, options)
            await server.start()
            for name in ("", SERVICE):
                await states.set(name, health_pb2.HealthCheckResponse.SERVING)
            log.info(
                "%s answers at %s:%d%s",
                self._predictor.model_name,
                options.host,
                port,
                "" if options.certificate else ", without TLS",
            )
            ready(port)
            await self._stopping.wait()
            log.info("draining")
            await states.enter_graceful_shutdown()
            await asyncio.sleep(options.drain_seconds)
            await server.stop(options.grace_seconds)


def _bind(server: Any, options: ServerOptions) -> int:
    address = f"{options.host}:{options.port}"
    try:
        if options.certificate and options.key:
            return int(server.add_secure_port(address, _credentials(options)))
        return int(server.add_insecure_port(address))
    except RuntimeError as error:
        raise InvalidSetting(f"cannot listen at {address}: {error}") from None


@contextmanager
def _metrics_page(options: ServerOptions) -> Iterator[None]:
    """``/metrics`` while the `with` lasts."""
    if options.metrics_port is None:
        yield
        return
    from prometheus_client import start_http_server

    try:
        page, thread = start_http_server(options.metrics_port, options.host.strip("[]"))
    except OSError as error:
        raise InvalidSetting(f"metrics_port={options.metrics_port}: {error}") from None
    try:
        yield
    finally:
        page.shutdown()
        page.server_close()
        thread.join()


def _credentials(options: ServerOptions) -> Any:
    def read(path: str) -> bytes:
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise InvalidSetting(f"cannot read the TLS file {path}: {error.strerror}") from None

    authorities = read(options.client_certificates) if options.client_certificates else None
    pair = (read(options.key or ""), read(options.certificate or ""))
    return grpc.ssl_server_credentials([pair], authorities, authorities is not None)
