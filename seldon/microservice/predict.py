"""``GET`` and ``POST /predict``: class probabilities of one row of features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from flask import Blueprint, Response, request

from seldon.errors import InvalidSetting
from seldon.microservice.document import read_document
from seldon.pipeline.predictor import Prediction, Predictor


def create_blueprint(predictor: Predictor, wire: str, most_query: int, most_body: int) -> Blueprint:
    """The route ``/predict``.

    Parameters
    ----------
    predictor : Predictor
    wire : {"documented", "server"}
        Names of the answer's fields: ``score``, ``classId``, ``confidence`` as documented, or
        those that the Seldon server of the last release parses.
    most_query, most_body : int
        Longest query string and body read, bytes.
    """
    if wire not in WIRES:
        raise InvalidSetting(f"wire={wire!r} is not one of {', '.join(map(repr, WIRES))}")
    as_json = WIRES[wire]
    blueprint = Blueprint("predict", __name__)

    @blueprint.route("/predict", methods=["GET", "POST"])
    def predict() -> Response:
        document = read_document(request, most_query, most_body)
        features = predictor.features(_feature_part(document))
        answer = as_json(predictor.predict(features), predictor.model_name)
        return Response(orjson.dumps(answer), content_type="application/json")

    return blueprint


def _feature_part(document: Any) -> Any:
    """The features, which stand at the top level or, as the server's guides have it, in data."""
    if isinstance(document, dict) and isinstance(document.get("data"), (dict, list)):
        return document["data"]
    return document


def _documented(predictions: list[Prediction], model_name: str) -> dict[str, Any]:
    return {
        "predictions": [
            {"score": probability, "classId": name, "confidence": probability}
            for name, probability in predictions
        ]
    }


def _server(predictions: list[Prediction], model_name: str) -> dict[str, Any]:
    # The server's reader refuses fields it does not know: nothing may be added here.
    return {
        "predictions": [
            {"prediction": probability, "predictedClass": name, "confidence": probability}
            for name, probability in predictions
        ],
        "meta": {"modelName": model_name},
    }


WIRES: dict[str, Callable[[list[Prediction], str], dict[str, Any]]] = {
    "documented": _documented,
    "server": _server,
}
