"""The recommend operations: what they do, and a short way to them in front of Flask."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

from seldon.models_api.gate import Gate
from seldon.models_api.requests import InvalidRequest, recommendation_count, usage_events
from seldon.models_api.service import ModelsService, sar_events
from seldon.models_api.store import ID
from seldon.web import RequestRecord, request_id

JSON = "application/json; charset=utf-8"
FAILURE = "seldon.models_api.failure"
"""Where in a request's environ stands what has gone wrong with it already."""

_ROUTE = re.compile(rf"/api/models/(?:(default)|({ID}))/recommend")

Pairs = list[tuple[str, float]]


def for_item(service: ModelsService, wanted: str | None, asked: Mapping[str, str]) -> Pairs:
    """Item-to-item recommendations.

    Parameters
    ----------
    wanted : str or None
        A model; `None` is the default model.
    asked : mapping
        The query, by `query`.

    Raises
    ------
    InvalidRequest, ModelNotFound
    """
    item = asked.get("itemid")
    if item is None:
        raise InvalidRequest("itemId is missing: give the item to recommend for, as ?itemId=…")
    count = recommendation_count(asked.get("recommendationcount"))
    recommender = service.recommender(wanted)
    # An empty item id is no event: popular items, or nothing.
    if not item.strip():
        return recommender.recommend_items([], None, count, time.time())
    return recommender.similar_items(item.strip(), count)


def for_events(
    service: ModelsService, wanted: str | None, asked: Mapping[str, str], body: bytes
) -> Pairs:
    """Personalised recommendations for the events in `body`; otherwise as `for_item`."""
    count = recommendation_count(asked.get("recommendationcount"))
    events = sar_events(usage_events(body))
    recommender = service.recommender(wanted)
    user = asked.get("userid", "").strip() or None
    return recommender.recommend_items(events, user, count, time.time())


def query(environ: Mapping[str, Any]) -> dict[str, str]:
    """The query by lower-case names: case does not matter; of several the first one counts."""
    text = environ.get("QUERY_STRING", "").encode("latin-1").decode("utf-8", "replace")
    pairs = parse_qsl(text, keep_blank_values=True)
    return {name.lower(): value for name, value in reversed(pairs)}


def as_json(pairs: Pairs) -> bytes:
    return orjson.dumps([{"recommendedItemId": item, "score": score} for item, score in pairs])


def logged(wanted: str | None, pairs: Pairs) -> dict[str, Any]:
    """For the log: places that backfilling has filled have score 0, and nothing else has."""
    backfilled = sum(score == 0 for _, score in pairs)
    return {"model": wanted or "default", "returned": len(pairs), "backfilled": backfilled}


class RecommendCalls:
    """A WSGI app that answers plain recommend calls and passes everything else on.

    What Flask does around a view takes longer than these views. Calls that are not plain (a
    chunked body, a GUID in braces, no key) get their answer from Flask's routes for the same
    operations, and so do those that fail: the failure is handed over, and raised there.
    """

    def __init__(
        self,
        service: ModelsService,
        gate: Gate,
        record: RequestRecord,
        most_body: int,
        other: Callable[..., Iterable[bytes]],
    ) -> None:
        self._service = service
        self._gate = gate
        self._record = record
        self._most_body = most_body
        self._other = other

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        route = _ROUTE.fullmatch(environ.get("PATH_INFO", ""))
        if route is None or not self._is_plain(environ):
            return self._other(environ, start_response)
        started = time.perf_counter()
        visit = self._gate.visit(environ)
        if visit.key is None or visit.retry_after:
            return self._other(environ, start_response)
        wanted, method = route[2], environ["REQUEST_METHOD"]
        try:
            if method == "GET":
                pairs = for_item(self._service, wanted, query(environ))
            else:
                body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                pairs = for_events(self._service, wanted, query(environ), body)
        except Exception as error:
            environ[FAILURE] = error
            return self._other(environ, start_response)
        answer = as_json(pairs)
        given_id = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        headers = [
            ("Content-Type", JSON),
            ("Content-Length", str(len(answer))),
            ("X-Request-Id", given_id),
        ]
        start_response("200 OK", headers)
        rule = f"/api/models/{'<modelId>' if wanted else 'default'}/recommend"
        seconds = time.perf_counter() - started
        self._record(given_id, method, rule, 200, seconds, **logged(wanted, pairs))
        return [answer]

    def _is_plain(self, environ: dict[str, Any]) -> bool:
        if environ["REQUEST_METHOD"] == "GET":
            return True
        length = environ.get("CONTENT_LENGTH", "")
        return (
            environ["REQUEST_METHOD"] == "POST"
            and environ.get("CONTENT_TYPE", "").partition(";")[0] == "application/json"
            and len(length) < 12
            and length.isdecimal()
            and int(length) <= self._most_body
        )
