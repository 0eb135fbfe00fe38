"""Routes, keys and errors of the models API.

The order is the reference's: path and method (404, 405), then the key (429, 401), then the rest.
"""

from __future__ import annotations

import logging
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, request
from werkzeug.exceptions import HTTPException

from seldon.errors import Conflict, InvalidModel, InvalidParameter, ModelNotFound, SeldonError
from seldon.models_api.gate import Gate
from seldon.models_api.operations import OPERATIONS, Operation
from seldon.models_api.recommend import FAILURE, JSON, RecommendCalls
from seldon.models_api.requests import InvalidRequest
from seldon.models_api.service import ModelsService
from seldon.models_api.views import empty

log = logging.getLogger(__name__)

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]


def mount_models_api(app: Flask, service: ModelsService, gate: Gate) -> None:
    """Put the API at its documented paths, which match without regard to case."""
    app.register_blueprint(create_blueprint(service, gate))
    most_body = app.config.get("MAX_BODY_BYTES", 2**20)
    in_front = RecommendCalls(service, gate, app.extensions["record"], most_body, app.wsgi_app)
    app.wsgi_app = _LowerCasePaths(in_front)  # type: ignore[method-assign]


def create_blueprint(service: ModelsService, gate: Gate) -> Blueprint:
    """All operations as one blueprint, which answers every method of its paths itself."""
    blueprint = Blueprint("models_api", __name__)
    for path, operations in _by_path(OPERATIONS).items():
        blueprint.add_url_rule(
            path.replace("{path}", "<path:path>").replace("{", "<").replace("}", ">"),
            endpoint=path.strip("/").replace("/", "-"),
            view_func=_dispatcher(operations, service, gate),
            methods=METHODS,
            provide_automatic_options=False,
            strict_slashes=False,
        )
    blueprint.add_url_rule(
        "/api/<path:rest>", "unknown", _unknown_path, methods=METHODS, strict_slashes=False
    )
    blueprint.register_error_handler(SeldonError, _seldon_error)
    blueprint.register_error_handler(HTTPException, _http_error)
    blueprint.register_error_handler(Exception, lambda error: _unexpected(gate, error))
    return blueprint


def _by_path(operations: Iterable[Operation]) -> dict[str, dict[str, Operation]]:
    paths: dict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in operations:
        paths[operation.path][operation.method] = operation
    # `default` stands for the default model only where the reference has such an operation;
    # elsewhere it is a model id that is not valid.
    paths["/api/models/default"] = {
        **paths["/api/models/{modelId}"],
        **paths["/api/models/default"],
    }
    return paths


def _dispatcher(
    operations: dict[str, Operation], service: ModelsService, gate: Gate
) -> Callable[..., Response]:
    allowed = ", ".join(operations)

    def dispatch(**arguments: str) -> Response:
        if request.method == "OPTIONS":
            return Response(status=204, headers={"Allow": allowed})
        operation = operations.get("GET" if request.method == "HEAD" else request.method)
        if operation is None:
            message = f"The requested resource does not support http method '{request.method}'."
            return _message(405, message, Allow=allowed)
        visit = gate.visit(request.environ)
        if visit.retry_after:
            message = "Too many calls with this key, or from this address without a valid one."
            return _message(429, message, **{"Retry-After": visit.retry_after})
        if visit.key is None or (operation.key == "admin" and not visit.is_admin):
            return empty(401)
        if FAILURE in request.environ:
            raise request.environ[FAILURE]
        if operation.path.count("{") > len(arguments):
            arguments = {"modelId": "default"}
        return operation.view(service, **arguments)

    return dispatch


def _unknown_path(rest: str) -> Response:
    message = f"No HTTP resource was found that matches the request URI '{request.url}'."
    return _message(404, message)


def _seldon_error(error: SeldonError) -> Response:
    if isinstance(error, InvalidRequest) and error.model_state:
        return _json(400, {"Message": str(error), "ModelState": error.model_state})
    if isinstance(error, InvalidParameter | Conflict):
        return _message(error.status, str(error))
    if isinstance(error, ModelNotFound):
        return empty(404)
    log.error("%s %s: %s", request.method, request.path, error)
    if isinstance(error, InvalidModel):
        # A damaged model folder is the service's trouble, and a missing one is a 404.
        return _message(500, "The stored model cannot be used; the log has the cause.")
    response = _message(error.status, "The service cannot answer now; ask again in a moment.")
    if error.status == 503:
        response.headers["Retry-After"] = "5"
    return response


def _http_error(error: HTTPException) -> Response:
    return _message(error.code or 500, error.description or error.name)


def _unexpected(gate: Gate, error: Exception) -> Response:
    log.error("%s %s: %s", request.method, request.path, error, exc_info=error)
    if not gate.visit(request.environ).is_admin:
        return empty(500)
    return _json(500, {"Message": "An error has occurred.", **_described(error)})


def _described(error: BaseException) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ExceptionMessage": str(error),
        "ExceptionType": type(error).__qualname__,
        "StackTrace": "".join(traceback.format_tb(error.__traceback__)),
    }
    if error.__cause__ is not None:
        document["InnerException"] = {"Message": "", **_described(error.__cause__)}
    return document


def _message(status: int, message: str, **headers: str) -> Response:
    return _json(status, {"Message": message}, **headers)


def _json(status: int, document: dict[str, Any], **headers: str) -> Response:
    return Response(orjson.dumps(document), status, headers, content_type=JSON)


class _LowerCasePaths:
    """Below ``/api/models`` a path holds literal words and GUIDs only, so case can go."""

    def __init__(self, wsgi_app: Callable[..., Iterable[bytes]]) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path[:11].lower() == "/api/models":
            environ["PATH_INFO"] = path.lower()
        return self._wsgi_app(environ, start_response)
