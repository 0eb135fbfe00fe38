"""gRPC: the Seldon server's ``Classify``, with health, reflection and a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seldon.errors import InvalidParameter, InvalidSetting, MissingExtra, SeldonError
from seldon.operation import metrics
from seldon.operation.log import RequestLog
from seldon.pipeline.predictor import Features, Predictor

try:
    import grpc
    from grpc import aio
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection

    from seldon.rpc import seldon_pb2, seldon_pb2_grpc
except ImportError as error:
    raise MissingExtra(error.name or "grpcio", "grpc") from None

log = logging.getLogger(__name__)
SERVICE = seldon_pb2.DESCRIPTOR.services_by_name["Seldon"].full_name
METHOD = f"/{SERVICE}/Classify"


class CustomDataHandler:
    """Makes features of a request; subclass it for messages of your own."""

    def getData(self, request: seldon_pb2.ClassificationRequest) -> Features:
        """Unpack ``request.data`` and return what the pipeline takes.

        Parameters
        ----------
        request : ClassificationRequest
            Its ``data`` is a `google.protobuf.Any`.

        Returns
        -------
        DataFrame or array
            One row.

        Raises
        ------
        seldon.errors.InvalidParameter
            The caller's mistake; it becomes INVALID_ARGUMENT. Anything else that is raised
            becomes INTERNAL with its message.
        """
        raise NotImplementedError(f"{type(self).__name__} has no getData(request)")


class DefaultCustomDataHandler(CustomDataHandler):
    """Takes a `DefaultCustomPredictRequest`, a list of numbers.

    Parameters
    ----------
    predictor : Predictor, optional
        Where it knows the names of the features, the numbers get them.
    """

    def __init__(self, predictor: Predictor | None = None) -> None:
        self._predictor = predictor

    def getData(self, request: seldon_pb2.ClassificationRequest) -> Features:
        message = seldon_pb2.DefaultCustomPredictRequest()
        if not request.data.Unpack(message):
            raise InvalidParameter(
                f"data holds {request.data.TypeName() or 'nothing'}, "
                f"expected {message.DESCRIPTOR.full_name}"
            )
        values = list(message.values)
        if not all(np.isfinite(values)):
            raise InvalidParameter(f"values hold a number that is not finite: {values[:20]}")
        if self._predictor is not None:
            return self._predictor.features(values)
        return np.array(values).reshape(1, -1)


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
            servicer = _Servicer(self._predictor, self._handler, pool)
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


class _Servicer(seldon_pb2_grpc.SeldonServicer):
    """Translates between messages and the predictor; decides nothing."""

    def __init__(
        self, predictor: Predictor, handler: CustomDataHandler, pool: ThreadPoolExecutor
    ) -> None:
        self._predictor = predictor
        self._handler = handler
        self._pool = pool
        self._request_log = RequestLog()

    async def Classify(
        self, request: seldon_pb2.ClassificationRequest, context: Any
    ) -> seldon_pb2.ClassificationReply:
        # When the deadline passes or the caller goes, gRPC cancels this coroutine, and with it
        # the work, if no thread has begun it.
        gone = threading.Event()
        started, code = time.perf_counter(), grpc.StatusCode.CANCELLED
        try:
            reply = await asyncio.get_running_loop().run_in_executor(
                self._pool, self._reply, request, gone
            )
            code = grpc.StatusCode.OK
            return reply
        except Exception as error:
            code, detail = _status(error)
            return await context.abort(code, detail)
        finally:
            gone.set()
            self._record(request.meta.puid, code, time.perf_counter() - started)

    def _reply(
        self, request: seldon_pb2.ClassificationRequest, gone: threading.Event
    ) -> seldon_pb2.ClassificationReply:
        features = self._handler.getData(request)
        if gone.is_set():
            raise SeldonError("nobody waits for this answer any more")
        results = [
            seldon_pb2.ClassificationResult(
                prediction=probability, predictedClass=name, confidence=probability
            )
            for name, probability in self._predictor.predict(features)
        ]
        meta = seldon_pb2.ClassificationReplyMeta(
            puid=request.meta.puid, modelName=self._predictor.model_name
        )
        return seldon_pb2.ClassificationReply(meta=meta, predictions=results)

    def _record(self, puid: str, code: Any, seconds: float) -> None:
        number, _ = code.value
        metrics.count_request(METHOD, metrics.OTHER, number, seconds)
        self._request_log.write(
            {
                "time": time.time(),
                "event": "request",
                "request_id": puid,
                "method": "gRPC",
                "route": METHOD,
                "status": code.name,
                "ms": round(seconds * 1e3, 3),
            }
        )


def _status(error: Exception) -> tuple[Any, str]:
    """The gRPC status of what a handler or a pipeline raised, and what the caller is told."""
    if isinstance(error, InvalidParameter):
        return grpc.StatusCode.INVALID_ARGUMENT, str(error)
    if isinstance(error, SeldonError):
        log.error("Classify: %s", error)
        return grpc.StatusCode.INTERNAL, str(error)
    log.error("Classify: %r", error, exc_info=error)
    return grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"


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
