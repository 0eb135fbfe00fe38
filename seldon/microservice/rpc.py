"""gRPC ``Classify``: from the Seldon server's messages to a prediction and back."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from seldon.errors import InvalidParameter, MissingExtra, SeldonError
from seldon.operation import metrics
from seldon.operation.log import RequestLog
from seldon.pipeline.predictor import Features, Predictor

try:
    import grpc

    from seldon.rpc import seldon_pb2, seldon_pb2_grpc
except ImportError as error:
    raise MissingExtra(error.name or "grpcio", "grpc") from None

log = logging.getLogger(__name__)
SERVICE = seldon_pb2.DESCRIPTOR.services_by_name["Seldon"].full_name
METHOD = f"/{SERVICE}/Classify"
MAX_DETAIL = 1000  # characters; details travel in headers, which clients take up to 8 KiB of


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


class Servicer(seldon_pb2_grpc.SeldonServicer):
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
            return await context.abort(code, detail[:MAX_DETAIL])
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
