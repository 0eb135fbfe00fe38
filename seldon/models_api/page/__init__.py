"""The page at ``/models``, for people who would rather look. Made on the server, works offline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from seldon.errors import SeldonError
from seldon.models_api.gate import Gate
from seldon.models_api.page import facts, plots
from seldon.models_api.page.access import Access
from seldon.models_api.page.pages import Pages
from seldon.models_api.service import ModelsService

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def create_page(service: ModelsService, gate: Gate) -> Blueprint:
    """The page as a blueprint; everything but the way in asks for a session."""
    blueprint = Blueprint(
        "models_page",
        __name__,
        url_prefix="/models",
        template_folder="templates",
        static_folder="static",
    )
    access = Access(gate)
    pages = Pages(service)

    def route(methods: str, path: str, view: Callable[..., Any]) -> None:
        blueprint.add_url_rule(
            path, view.__name__, view, methods=methods.split(), strict_slashes=False
        )

    route("GET POST", "/login", access.login)
    route("POST", "/logout", access.logout)
    route("GET", "", pages.models)
    route("GET POST", "/train", pages.train)
    route("GET", "/compare", pages.compare)
    route("GET", "/<uuid:model_id>", pages.model)
    route("GET", "/<uuid:model_id>/recommend", pages.recommend)
    route("POST", "/<uuid:model_id>/default", pages.set_default)
    route("GET POST", "/<uuid:model_id>/delete", pages.delete)
    route("GET POST", "/<path:path>", pages.unknown)

    blueprint.before_request(access.guard)
    blueprint.after_request(_protect)
    blueprint.register_error_handler(SeldonError, pages.refused)
    blueprint.register_error_handler(Exception, pages.failed)
    blueprint.context_processor(
        lambda: {"form_token": access.form_token(), "facts": facts, "plots": plots}
    )
    return blueprint


def _protect(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint != "models_page.static":
        response.headers["Cache-Control"] = "no-store"
    return response
