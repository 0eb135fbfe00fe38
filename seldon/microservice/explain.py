"""``GET /explain``: why `/recommend` answers what it answers; for people, not for the server."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response, request

from seldon.microservice.query import parse_query_string
from seldon.microservice.service import RecommendService


def create_explain_blueprint(service: RecommendService) -> Blueprint:
    """A route with the parameters of ``/recommend``.

    Each item of the answer has the score that ``/recommend`` gives it and ``contributions``:
    past interactions, and what each adds to the score before that is normalised; ``sum`` is
    their sum. An algorithm that cannot tell has none.
    """
    blueprint = Blueprint("explain", __name__)

    @blueprint.get("/explain")
    def explain() -> Response:
        result, reasons = service.explain(
            parse_query_string(request.query_string.decode("latin-1"))
        )
        items = zip(result.answer.items, result.answer.scores, reasons, strict=True)
        document = {
            "algorithm": result.algorithm,
            "version": result.version,
            "explained": [
                {
                    "item": item,
                    "score": score,
                    "sum": sum(added for _, added in parts),
                    "contributions": [
                        {"item": seed, "contribution": added} for seed, added in parts
                    ],
                }
                for item, score, parts in items
            ],
        }
        return Response(orjson.dumps(document), mimetype="application/json")

    return blueprint
