"""Every operation of the API once: from this table come the routes and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from flask import Response

from seldon.models_api import views
from seldon.models_api.schemas import (
    ErrorMessage,
    Model,
    ModelSummary,
    Recommendation,
    TrainingRequest,
    UsageEvent,
)


@dataclass(frozen=True)
class QueryParameter:
    name: str
    description: str
    schema: dict[str, Any]
    required: bool = False


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    Attributes
    ----------
    key : {"admin", "recommend"}
        The weakest key that opens it.
    body : type or generic alias, optional
        What the request's JSON is read as; `bytes` for a file.
    success : HTTPStatus
    answer : type or generic alias, optional
        What the answer's JSON was made of; `None` for an empty body.
    errors : dict of int to str
        Other statuses and when they come; those of `EVERYWHERE` are not repeated.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    view: Callable[..., Response]
    key: Literal["admin", "recommend"] = "admin"
    query: tuple[QueryParameter, ...] = ()
    body: Any = None
    success: HTTPStatus = HTTPStatus.OK
    answer: Any = None
    errors: dict[int, str] = field(default_factory=dict)


_NOT_A_GUID = "modelId is not a GUID."
_UNKNOWN = "There is no such model."
_NO_DEFAULT = "No default model is set."
_MEDIA_TYPE = "The body is not application/json."
_TOO_LARGE = "The body is longer than the setting MAX_BODY_BYTES."
_BAD_REQUEST = "A parameter or the body cannot be used, or the model is not trained."
_COUNT = QueryParameter(
    "recommendationCount",
    "How many recommendations are wanted at most.",
    {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
)
_ITEM = QueryParameter("itemId", "The item to recommend for.", {"type": "string"}, required=True)
_USER = QueryParameter(
    "userId",
    "Adds what the model kept of this user's history (enableUserToItemRecommendations).",
    {"type": "string"},
)

OPERATIONS = (
    Operation(
        "TrainModel",
        "POST",
        "/api/models",
        "Train a new model",
        views.train_model,
        body=TrainingRequest,
        success=HTTPStatus.CREATED,
        answer=Model,
        errors={
            400: "The parameters are not valid; ModelState says which.",
            413: _TOO_LARGE,
            415: _MEDIA_TYPE,
        },
    ),
    Operation(
        "ListModels",
        "GET",
        "/api/models",
        "List all models",
        views.list_models,
        answer=list[ModelSummary],
    ),
    Operation(
        "SetDefaultModel",
        "PUT",
        "/api/models/default",
        "Make a completed model the default model",
        views.set_default_model,
        query=(
            QueryParameter(
                "modelId", "The model.", {"type": "string", "format": "uuid"}, required=True
            ),
        ),
        errors={400: _NOT_A_GUID, 404: "There is no such completed model."},
    ),
    Operation(
        "GetDefaultModel",
        "GET",
        "/api/models/default",
        "Get the default model",
        views.get_default_model,
        answer=Model,
        errors={404: _NO_DEFAULT},
    ),
    Operation(
        "GetModel",
        "GET",
        "/api/models/{modelId}",
        "Get a model: its status, parameters and statistics",
        views.get_model,
        answer=Model,
        errors={400: _NOT_A_GUID, 404: _UNKNOWN},
    ),
    Operation(
        "DeleteModel",
        "DELETE",
        "/api/models/{modelId}",
        "Delete a model, and stop its training",
        views.delete_model,
        success=HTTPStatus.ACCEPTED,
        errors={400: _NOT_A_GUID, 404: _UNKNOWN},
    ),
    Operation(
        "GetItemRecommendationsFromDefaultModel",
        "GET",
        "/api/models/default/recommend",
        "Recommend for an item, with the default model",
        views.recommend_for_item,
        key="recommend",
        query=(_ITEM, _COUNT),
        answer=list[Recommendation],
        errors={400: _BAD_REQUEST, 404: _NO_DEFAULT},
    ),
    Operation(
        "GetPersonalizedRecommendationsFromDefaultModel",
        "POST",
        "/api/models/default/recommend",
        "Recommend for a person's events, with the default model",
        views.recommend_for_events,
        key="recommend",
        query=(_USER, _COUNT),
        body=list[UsageEvent],
        answer=list[Recommendation],
        errors={400: _BAD_REQUEST, 404: _NO_DEFAULT, 413: _TOO_LARGE, 415: _MEDIA_TYPE},
    ),
    Operation(
        "GetItemRecommendations",
        "GET",
        "/api/models/{modelId}/recommend",
        "Recommend for an item",
        views.recommend_for_item,
        key="recommend",
        query=(_ITEM, _COUNT),
        answer=list[Recommendation],
        errors={400: _BAD_REQUEST, 404: _UNKNOWN},
    ),
    Operation(
        "GetPersonalizedRecommendations",
        "POST",
        "/api/models/{modelId}/recommend",
        "Recommend for a person's events",
        views.recommend_for_events,
        key="recommend",
        query=(_USER, _COUNT),
        body=list[UsageEvent],
        answer=list[Recommendation],
        errors={400: _BAD_REQUEST, 404: _UNKNOWN, 413: _TOO_LARGE, 415: _MEDIA_TYPE},
    ),
    Operation(
        "UploadInput",
        "PUT",
        "/api/inputs/{container}/{path}",
        "Upload a usage or catalog file (not part of the original API); a large one in parts, "
        "each with its Content-Range",
        views.upload_input,
        body=bytes,
        success=HTTPStatus.NO_CONTENT,
        errors={
            202: "A part was taken; the file is not whole yet.",
            400: "The names lead out of the container, or a file is in the way.",
            409: "Bytes before this part are missing.",
            413: _TOO_LARGE,
        },
    ),
)

EVERYWHERE = {
    401: "No key, or one that does not open this.",
    429: "Too many calls; Retry-After has the seconds to wait.",
}
"""Errors of every operation."""

ERRORS: dict[int, Any] = dict.fromkeys((400, 409, 415, 429), ErrorMessage)
"""What the body of an error is made of; the other errors have none."""
