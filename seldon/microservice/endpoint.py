"""``GET`` and ``POST /recommend`` over HTTP: the Seldon server's contract."""

from __future__ import annotations

import io
import logging
import random
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import orjson

from seldon.errors import AddressTooLong, InvalidParameter, RequestTooLarge, SeldonError
from seldon.microservice.query import (
    InvalidQuery,
    RecommendQuery,
    parse_fields,
    parse_query_string,
    with_hashed_user,
)
from seldon.microservice.service import Recommended, RecommendService
from seldon.operation import metrics
from seldon.operation.log import RequestLog
from seldon.web import PROBLEM_JSON, problem, request_id

log = logging.getLogger(__name__)
ROUTE = "/recommend"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
StartResponse = Callable[..., Any]
Headers = list[tuple[str, str]]


class RecommendEndpoint:
    """A WSGI app that answers ``/recommend`` and passes everything else on.

    The body has exactly the fields the Seldon server's strict reader knows; all else that
    is worth saying is a header.
    """

    def __init__(
        self,
        service: RecommendService,
        other: Callable[..., Iterable[bytes]],
        settings: dict[str, Any],
        request_log: RequestLog,
    ) -> None:
        self._service = service
        self._other = other
        self._most_query = settings["MAX_QUERY_BYTES"]
        self._most_body = settings["MAX_BODY_BYTES"]
        self._logs_requests = settings["LOG_LEVEL"] in ("DEBUG", "INFO")
        self._share_with_query = settings["LOG_QUERIES"]
        self._user_key = settings["LOG_USER_KEY"].encode()
        self._request_log = request_log

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != ROUTE:
            return self._other(environ, start_response)
        started = time.perf_counter()
        given_id = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        query: RecommendQuery | None = None
        result = Recommended()
        try:
            method = environ["REQUEST_METHOD"]
            if method in ("GET", "HEAD"):
                query = self._from_address(environ)
            elif method == "POST":
                query = self._from_body(environ)
            else:
                return _not_allowed(method, given_id, start_response)
            result = self._service.recommend(query)
            status, body = 200, _as_json(result)
            headers = _headers(result, given_id, time.perf_counter() - started)
        except SeldonError as error:
            status, body, headers = _refusal(error, given_id)
        except Exception as error:
            log.error("/recommend: %r", error, exc_info=error)
            status, body, headers = _failure(given_id)
        self._record(environ, given_id, query, result, status, time.perf_counter() - started)
        headers.append(("Content-Length", str(len(body))))
        start_response(STATUS[status], headers)
        return [body]

    def _from_address(self, environ: dict[str, Any]) -> RecommendQuery:
        text = environ["QUERY_STRING"]
        if len(text) > self._most_query:
            raise AddressTooLong(
                f"the query string has {len(text)} bytes, MAX_QUERY_BYTES is {self._most_query}; "
                f"POST {ROUTE} takes the same fields in its body"
            )
        return parse_query_string(text)

    def _from_body(self, environ: dict[str, Any]) -> RecommendQuery:
        kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if kind not in (FORM, JSON):
            raise _UnsupportedType(f"Content-Type {kind!r} is not {JSON} or {FORM}")
        body = self._body(environ)
        if kind == FORM:
            try:
                pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True)
            except UnicodeDecodeError as error:
                raise InvalidParameter(f"the form is not UTF-8: {error}") from None
            values: dict[str, Any] = {}
            for name, value in pairs:
                values.setdefault(name, value)
            return parse_fields(values)
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InvalidParameter(f"the body is not JSON: {error}") from None
        if not isinstance(document, dict):
            raise InvalidParameter(
                f"the body is a JSON {type(document).__name__}; expected an object"
            )
        return parse_fields(document)

    def _body(self, environ: dict[str, Any]) -> bytes:
        length = environ.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()):
            raise InvalidParameter(f"Content-Length {length!r} is not a number")
        stream: io.BufferedIOBase = environ["wsgi.input"]
        chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        if int(length) <= self._most_body:
            try:
                body = stream.read(self._most_body + 1 if chunked else int(length))
            except Exception as error:  # the server's own classes
                raise InvalidParameter(f"the body cannot be read: {error}") from error
            if len(body) <= self._most_body:
                return body
        raise RequestTooLarge(f"the body is longer than MAX_BODY_BYTES, {self._most_body}")

    def _record(
        self,
        environ: dict[str, Any],
        given_id: str,
        query: RecommendQuery | None,
        result: Recommended,
        status: int,
        seconds: float,
    ) -> None:
        client = query.client if query else ""
        label = client if client in self._service.clients else metrics.OTHER
        metrics.count_request(ROUTE, label, status, seconds)
        if not self._logs_requests:
            return
        line = {
            "event": "recommend",
            "request_id": given_id,
            "client": client,
            "status": status,
            "algorithm": result.algorithm,
            "version": result.version,
            "source": result.source,
            "candidates": result.candidates,
            "returned": len(result.answer.items),
            "ms": round(seconds * 1e3, 3),
            "candidates_ms": round(result.candidates_ms, 3),
            "algorithm_ms": round(result.algorithm_ms, 3),
        }
        if result.answer.dropped:
            line["dropped"] = result.answer.dropped
        if result.troubles:
            line["troubles"] = result.troubles
        if self._share_with_query and random.random() < self._share_with_query:
            line["query"] = with_hashed_user(environ["QUERY_STRING"], self._user_key)
            line["items"] = result.answer.items
            line["scores"] = result.answer.scores
        self._request_log.write(line)


class _UnsupportedType(SeldonError):
    status = 415


def _as_json(result: Recommended) -> bytes:
    answer = result.answer
    return orjson.dumps(
        {
            "recommended": [
                {"item": item, "score": score}
                for item, score in zip(answer.items, answer.scores, strict=True)
            ]
        }
    )


def _headers(result: Recommended, given_id: str, seconds: float) -> Headers:
    headers = [
        ("Content-Type", JSON),
        ("X-Request-Id", given_id),
        ("X-Recommender-Algorithm", f"{result.algorithm}/{result.version}"),
        ("X-Candidates-Source", result.source),
        ("X-Candidates-Count", str(result.candidates)),
        (
            "Server-Timing",
            f"candidates;dur={result.candidates_ms:.3f}, "
            f"algorithm;dur={result.algorithm_ms:.3f}, total;dur={seconds * 1e3:.3f}",
        ),
    ]
    if result.cut:
        headers.append(("X-Candidates-Cut", "1"))
    return headers


def _refusal(error: SeldonError, given_id: str) -> tuple[int, bytes, Headers]:
    more = {"parameters": error.problems} if isinstance(error, InvalidQuery) else {}
    headers = [("Content-Type", PROBLEM_JSON), ("X-Request-Id", given_id)]
    if error.status == 503:
        headers.append(("Retry-After", "1"))
    return error.status, problem(error.status, str(error), request_id=given_id, **more), headers


def _failure(given_id: str) -> tuple[int, bytes, Headers]:
    detail = "the service failed; its log has the cause under this request id"
    headers = [("Content-Type", PROBLEM_JSON), ("X-Request-Id", given_id)]
    return 500, problem(500, detail, request_id=given_id), headers


def _not_allowed(method: str, given_id: str, start_response: StartResponse) -> Iterable[bytes]:
    headers = [("Allow", "GET, HEAD, POST, OPTIONS"), ("X-Request-Id", given_id)]
    if method == "OPTIONS":
        start_response(STATUS[204], headers)
        return []
    body = problem(405, f"{method} is not one of GET, HEAD, POST", request_id=given_id)
    headers += [("Content-Type", PROBLEM_JSON), ("Content-Length", str(len(body)))]
    start_response(STATUS[405], headers)
    return [body]
