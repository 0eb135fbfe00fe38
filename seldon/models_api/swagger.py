"""Swagger UI at ``/swagger``, offline: its files come from the package swagger-ui-bundle."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response, request, send_from_directory
from swagger_ui_bundle import swagger_ui_path

from seldon.models_api.openapi import document
from seldon.models_api.recommend import JSON

_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
# Swagger UI sets style attributes and draws its icons from data: addresses.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Recommendations API</title>
<link rel="stylesheet" href="{root}/swagger/swagger-ui.css">
<link rel="icon" href="{root}/swagger/favicon-32x32.png">
</head>
<body>
<div id="ui"></div>
<script src="{root}/swagger/swagger-ui-bundle.js"></script>
<script src="{root}/swagger/start.js"></script>
</body>
</html>
"""
_START = 'SwaggerUIBundle({url: "docs/v1", dom_id: "#ui", deepLinking: true, validatorUrl: null});'


def create_swagger() -> Blueprint:
    """The UI, and the OpenAPI document at ``/swagger/docs/v1``; no key is needed to read them."""
    blueprint = Blueprint("swagger", __name__, url_prefix="/swagger")

    @blueprint.get("/", strict_slashes=True)
    def page() -> Response:
        return Response(_PAGE.format(root=request.script_root), mimetype="text/html")

    @blueprint.get("/start.js")
    def start() -> Response:
        return Response(_START, mimetype="text/javascript")

    @blueprint.get("/docs/v1")
    def description() -> Response:
        return Response(orjson.dumps(document()), content_type=JSON)

    @blueprint.get(f"/<any{_FILES}:name>")
    def file(name: str) -> Response:
        return send_from_directory(swagger_ui_path, name)

    @blueprint.after_request
    def guard(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return blueprint
