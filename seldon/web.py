"""A Flask app whose errors are JSON, with health, readiness, metrics and a request log."""

from __future__ import annotations

import itertools
import logging
import os
import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from seldon.errors import SeldonError
from seldon.operation.health import Readiness
from seldon.operation.log import RequestLog
from seldon.operation.metrics import CONTENT_TYPE, OTHER, count_request, exposition

log = logging.getLogger(__name__)
PROBLEM_JSON = "application/problem+json"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNLOGGED = {"/healthz", "/readyz", "/metrics"}


def create_web_app(name: str, settings: Mapping[str, Any], request_log: RequestLog) -> Flask:
    """An app with ``/healthz``, ``/readyz`` and ``/metrics``, ready for blueprints.

    Parameters
    ----------
    name : str
        The import name of the app.
    settings : mapping
        Upper-case settings; they become ``app.config``.
    request_log : RequestLog
        Gets a line for each request but the three above, with what the view put into
        ``g.logged``.

    Returns
    -------
    Flask
        ``app.extensions["readiness"]`` is its `Readiness`, ``app.extensions["record"]`` the
        `RequestRecord` for what answers in front of its routes.
    """
    app = Flask(name, static_folder=None)
    app.config.from_mapping(settings)
    app.config["MAX_CONTENT_LENGTH"] = app.config.get("MAX_BODY_BYTES")
    app.extensions["readiness"] = readiness = Readiness()
    app.extensions["record"] = record = RequestRecord(
        request_log if app.config.get("LOG_LEVEL", "INFO") in ("DEBUG", "INFO") else None
    )

    app.register_error_handler(SeldonError, _seldon_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)

    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        g.request_id = request_id(request.headers.get("X-Request-Id", ""))

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        if request.path not in UNLOGGED:
            route = request.url_rule.rule if request.url_rule else OTHER
            seconds = time.perf_counter() - g.started
            more = g.get("logged", {})
            record(g.request_id, request.method, route, response.status_code, seconds, **more)
        return response

    @app.get("/healthz")
    def healthz() -> Response:
        return Response(b'{"alive":true}', mimetype="application/json")

    @app.get("/readyz")
    def readyz() -> Response:
        ready, document = readiness.report()
        return Response(orjson.dumps(document), 200 if ready else 503, mimetype="application/json")

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(exposition(), content_type=CONTENT_TYPE)

    return app


def problem(status: int, detail: str, **more: Any) -> bytes:
    """The body of an error answer, after RFC 9457."""
    document = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)


_ids = itertools.count(1)


def request_id(offered: str) -> str:
    """The caller's id of its request if it is harmless, else one of our own."""
    if offered and REQUEST_ID.fullmatch(offered):
        return offered
    return f"{os.getpid():x}-{int(_STARTED):x}-{next(_ids):x}"


_STARTED = time.time()


class RequestRecord:
    """Counts an answer, and writes its line.

    Parameters
    ----------
    request_log : RequestLog or None
        `None` writes no lines.
    """

    def __init__(self, request_log: RequestLog | None) -> None:
        self._request_log = request_log

    def __call__(
        self, given_id: str, method: str, route: str, status: int, seconds: float, **more: Any
    ) -> None:
        """Of one request; `more` goes into the line. `route` must come from code, not callers."""
        count_request(route, OTHER, status, seconds)
        if self._request_log is None:
            return
        self._request_log.write(
            {
                "event": "request",
                "request_id": given_id,
                "method": method,
                "route": route,
                "status": status,
                "ms": round(seconds * 1e3, 3),
                **more,
            }
        )


def _seldon_error(error: SeldonError) -> Response:
    response = _problem_response(error.status, str(error))
    if error.status == 503:
        response.headers["Retry-After"] = "1"
    return response


def _http_error(error: HTTPException) -> Response:
    code = error.code or 500
    response = _problem_response(code, error.description or HTTPStatus(code).phrase)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After", "Location"):
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    log.error("%s %s: %s", request.method, request.path, error, exc_info=error)
    return _problem_response(500, "the service failed; its log has the cause under this request id")


def _problem_response(status: int, detail: str) -> Response:
    body = problem(status, detail, request_id=g.get("request_id"))
    return Response(body, status, content_type=PROBLEM_JSON)
