"""The way in and out: the admin key once, then a session; a token in every form."""

from __future__ import annotations

import logging

from flask import Response, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as AnyResponse

from seldon.models_api.gate import Gate
from seldon.models_api.page.session import COOKIE, Sessions

log = logging.getLogger(__name__)

_OPEN = ("models_page.login", "models_page.static")


class Access:
    """Lets people with a session through, and everybody else to the form that asks for the key."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._sessions = Sessions(gate.keys)

    def guard(self) -> AnyResponse | None:
        """Before every request: the session, and for a change the token of our own forms.

        Raises
        ------
        Forbidden
            A form that did not come from a page of this session.
        """
        if request.endpoint in _OPEN:
            return None
        cookie = request.cookies.get(COOKIE)
        if cookie is None or not self._sessions.is_open(cookie):
            wanted = request.full_path.rstrip("?") if request.method == "GET" else None
            return redirect(url_for("models_page.login", next=wanted), 303)
        token = request.form.get("form_token", "")
        if request.method == "POST" and not self._sessions.is_form(cookie, token):
            raise Forbidden("This form is out of date. Go back, load the page again, and retry.")
        return None

    def form_token(self) -> str:
        """The token of this request's session; empty without one."""
        cookie = request.cookies.get(COOKIE)
        return self._sessions.form_token(cookie) if cookie else ""

    def login(self) -> AnyResponse:
        target = _on_this_page(request.values.get("next", ""))
        if request.method == "GET":
            return make_response(render_template("models_page/login.html", next=target))
        # Typed text takes the way of a header: UTF-8 bytes, handed over as Latin-1.
        typed = request.form.get("key", "").encode("utf-8", "replace").decode("latin-1")
        visit = self._gate.visit_with(typed, request.environ)
        if visit.retry_after or not visit.is_admin:
            log.warning("the page at /models was asked for with a wrong key, or too often")
            return _refused(target, visit.retry_after)
        response = redirect(request.script_root + target, 303)
        response.set_cookie(
            COOKIE,
            self._sessions.begin(),
            max_age=self._sessions.seconds,
            path=url_for("models_page.models"),
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return response

    def logout(self) -> AnyResponse:
        response = redirect(url_for("models_page.login"), 303)
        response.delete_cookie(
            COOKIE, url_for("models_page.models"), httponly=True, samesite="Strict"
        )
        return response


def _refused(target: str, retry_after: str | None) -> Response:
    page = render_template("models_page/login.html", next=target, wrong=True, wait=retry_after)
    headers = {"Retry-After": retry_after} if retry_after else {}
    return Response(page, 429 if retry_after else 401, headers, mimetype="text/html")


def _on_this_page(target: str) -> str:
    """`target` if it leads to this page: a login form must not send people elsewhere."""
    inside = target.startswith(("/models/", "/models?")) and target.isprintable()
    return target if inside and "\\" not in target else "/models"
