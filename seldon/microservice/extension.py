"""``GET`` and ``POST /extension``: one JSON document in, another out."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response, request

from seldon.errors import SeldonError
from seldon.extension import Extension
from seldon.microservice.document import read_document


class NotJson(SeldonError):
    """The extension answered something that has no form in JSON."""


def create_blueprint(extension: Extension, most_query: int, most_body: int) -> Blueprint:
    """The route ``/extension``.

    Parameters
    ----------
    extension : Extension
    most_query, most_body : int
        Longest query string and body read, bytes.
    """
    blueprint = Blueprint("extension", __name__)

    @blueprint.route("/extension", methods=["GET", "POST"])
    def answer() -> Response:
        answer = extension.predict(input=read_document(request, most_query, most_body))
        options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
        try:
            body = orjson.dumps(answer, option=options)
        except TypeError as error:
            name = type(extension).__name__
            raise NotJson(f"{name}.predict answered what JSON cannot say: {error}") from error
        return Response(body, content_type="application/json")

    return blueprint
