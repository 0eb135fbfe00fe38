"""The way in and out: the admin key once, then a session; a token in every form."""

from __future__ import annotations

import logging

from flask import Response, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as AnyResponse

from seldon.models_api.limits import CallLimits, caller, retry_after
from seldon.models_api.page.session import COOKIE, Sessions

log = logging.getLogger(__name__)

_OPEN = ("models_page.login", "models_page.static")


class Access:
    """Lets people with a session through, and everybody else to the form that asks for the key."""

    def __init__(self, sessions: Sessions, limits: CallLimits) -> None:
        self._sessions = sessions
        self._limits = limits

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
        key = self._sessions.key(request.form.get("key", ""))
        wait = self._limits.wait(caller(request.environ), key)
        if wait:
            page = render_template("models_page/login.html", next=target, wait=retry_after(wait))
            answer = Response(page, 429, mimetype="text/html")
            answer.headers["Retry-After"] = retry_after(wait)
            return answer
        cookie = self._sessions.begin(key)
        if cookie is None:
            log.warning("the page at /models was asked for with a wrong key")
            page = render_template("models_page/login.html", next=target, wrong=True)
            return Response(page, 401, mimetype="text/html")
        response = redirect(request.script_root + target, 303)
        response.set_cookie(
            COOKIE,
            cookie,
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


def _on_this_page(target: str) -> str:
    """`target` if it leads to this page: a login form must not send people elsewhere."""
    inside = target.startswith(("/models/", "/models?")) and target.isprintable()
    return target if inside and "\\" not in target else "/models"
