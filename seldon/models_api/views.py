"""What each operation of the API reference does, in the order of the reference."""

from __future__ import annotations

import re
from typing import Any

import orjson
from flask import Response, g, request
from werkzeug.exceptions import UnsupportedMediaType

from seldon.errors import ModelNotFound
from seldon.models_api.recommend import JSON, Pairs, as_json, for_events, for_item, logged, query
from seldon.models_api.requests import InvalidRequest, model_id, training_request
from seldon.models_api.schemas import to_json
from seldon.models_api.service import ModelsService


def train_model(service: ModelsService) -> Response:
    model = service.create(training_request(body()))
    answer = answered(model, 201)
    answer.headers["Location"] = f"{request.url_root}api/models/{model.id}"
    return answer


def list_models(service: ModelsService) -> Response:
    return answered(service.registry.summaries())


def get_model(service: ModelsService, modelId: str) -> Response:
    return answered(service.model(model_id(modelId)))


def delete_model(service: ModelsService, modelId: str) -> Response:
    service.delete(model_id(modelId))
    return empty(202)


def set_default_model(service: ModelsService) -> Response:
    wanted = model_id(query(request.environ).get("modelid", ""))
    if not service.registry.set_default(wanted):
        raise ModelNotFound(f"there is no completed model {wanted}")
    return empty(200)


def get_default_model(service: ModelsService) -> Response:
    return answered(service.model(None))


def recommend_for_item(service: ModelsService, modelId: str | None = None) -> Response:
    wanted = None if modelId is None else model_id(modelId)
    return recommended(wanted, for_item(service, wanted, query(request.environ)))


def recommend_for_events(service: ModelsService, modelId: str | None = None) -> Response:
    wanted = None if modelId is None else model_id(modelId)
    return recommended(wanted, for_events(service, wanted, query(request.environ), body()))


def upload_input(service: ModelsService, container: str, path: str) -> Response:
    """Beyond the reference, which left it to the cloud's own storage API.

    A file larger than a body may be (MAX_BODY_BYTES) comes in parts, each with the
    ``Content-Range`` of its bytes.
    """
    part = request.headers.get("Content-Range")
    if part is None:
        service.inputs.write(container, path, request.stream)
        return empty(204)
    match = re.fullmatch(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15})", part, re.ASCII)
    if match is None:
        raise InvalidRequest(f"Content-Range: {part!r} is not like 'bytes 0-524287/3000000'")
    start, total = int(match[1]), int(match[2])
    whole = service.uploads.add(container, path, request.stream, start, total)
    return empty(204 if whole else 202)


def body() -> bytes:
    """The JSON text of the request; an empty body may have any media type."""
    text = request.get_data(cache=False)
    if text and request.mimetype not in ("application/json", "text/json"):
        raise UnsupportedMediaType(
            f"The request entity's media type '{request.mimetype or 'none'}' is not supported "
            "for this resource."
        )
    return text


def recommended(wanted: str | None, pairs: Pairs) -> Response:
    g.logged = logged(wanted, pairs)
    return Response(as_json(pairs), content_type=JSON)


def empty(status: int) -> Response:
    response = Response(status=status)
    del response.headers["Content-Type"]
    return response


def answered(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(to_json(value)), status, content_type=JSON)
