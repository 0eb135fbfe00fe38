"""What the page shows: one method a page, in the order people come by."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from flask import Response, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from seldon.errors import InvalidModel, ModelNotFound, SeldonError
from seldon.models_api.page import facts
from seldon.models_api.page.form import DEFAULTS, by_field, given_in
from seldon.models_api.page.question import Answer, Question, ask, question_of, side_by_side
from seldon.models_api.requests import InvalidRequest, model_id, training_request
from seldon.models_api.schemas import (
    Model,
    ModelStatus,
    ModelSummary,
    to_json,
)
from seldon.models_api.service import ModelsService
from seldon.sar.model import SARRecommender

log = logging.getLogger(__name__)

SHOWN = 500
"""Models of the list; the newest."""
_LIVE = (ModelStatus.Created, ModelStatus.InProgress)


@dataclass(frozen=True)
class Tried:
    """A question put to a model, as far as it got.

    Attributes
    ----------
    problems : list of str
        What is wrong with the question; then there is no answer.
    known : dict of str to list of str
        Items and users of the model that can be asked about, for people who know none.
    """

    question: Question
    answer: Answer | None
    problems: list[str]
    known: dict[str, list[str]]


class Pages:
    """Views; whoever gets here has a session."""

    def __init__(self, service: ModelsService) -> None:
        self._service = service

    def models(self) -> str:
        """Every model with its status."""
        newest = sorted(
            self._service.registry.summaries(), key=lambda one: one.creation_time, reverse=True
        )
        shown = [self._with_message(summary) for summary in newest[:SHOWN]]
        default = self._service.registry.default()
        return render_template(
            "models_page/models.html",
            models=shown,
            completed=[one for one in shown if one.model_status is ModelStatus.Completed],
            total=len(newest),
            default=default,
            live=any(one.model_status in _LIVE for one in shown),
        )

    def train(self) -> str | tuple[str, int] | AnyResponse:
        """The form that starts a training."""
        problems: dict[str, list[str]] = {}
        given: Mapping[str, Any] = {**DEFAULTS, **self._parameters_again()}
        if request.method == "POST":
            given = given_in(request.form)
            try:
                model = self._service.create(training_request(orjson.dumps(given)))
            except InvalidRequest as error:
                problems = by_field(error)
            else:
                return redirect(_to("model", model.id), 303)
        page = render_template("models_page/train.html", given=given, problems=problems)
        return (page, 400) if problems else page

    def model(self, model_id: UUID) -> str:
        """All there is to know of one model."""
        model = self._service.model(str(model_id))
        return render_template(
            "models_page/model.html",
            model=model,
            is_default=self._is_default(model),
            live=model.model_status in _LIVE,
            others=self._completed(but=model.id),
        )

    def recommend(self, model_id: UUID) -> str | tuple[str, int]:
        """Try a model out, and see why."""
        model = self._service.model(str(model_id))
        tried = self._tried(model)
        page = render_template("models_page/recommend.html", model=model, tried=tried)
        return (page, 400) if tried.problems else page

    def compare(self) -> str | tuple[str, int]:
        """Two models side by side, and what each recommends for the same question."""
        first, second = (
            self._service.model(model_id(request.args.get(name, ""))) for name in ("a", "b")
        )
        both = [self._tried(one) if _is_completed(one) else None for one in (first, second)]
        answers = [tried.answer for tried in both if tried and tried.answer]
        page = render_template(
            "models_page/compare.html",
            models=(first, second),
            tried=both[0] or both[1],
            answers=answers,
            places=side_by_side(*answers) if len(answers) == 2 else None,
            evaluations=_evaluations(first, second),
        )
        return (page, 400) if any(tried and tried.problems for tried in both) else page

    def set_default(self, model_id: UUID) -> AnyResponse:
        if not self._service.registry.set_default(str(model_id)):
            raise ModelNotFound("Only a completed model can be the default, and this is none.")
        return redirect(_to("model", model_id), 303)

    def delete(self, model_id: UUID) -> str | AnyResponse:
        """Ask, then do it."""
        model = self._service.model(str(model_id))
        if request.method == "GET":
            return render_template(
                "models_page/delete.html", model=model, is_default=self._is_default(model)
            )
        self._service.delete(model.id)
        return redirect(url_for("models_page.models"), 303)

    def unknown(self, path: str) -> AnyResponse:
        return _error(404, "There is no such page.")

    def refused(self, error: SeldonError) -> AnyResponse:
        if isinstance(error, ModelNotFound):
            return _error(404, "There is no such model, or it is not trained. It may be deleted.")
        if isinstance(error, InvalidRequest):
            return _error(400, str(error))
        log.error("%s %s: %s", request.method, request.path, error)
        if isinstance(error, InvalidModel):
            return _error(500, "The stored model cannot be used. The log has the cause.")
        return _error(error.status, "The service cannot answer now. Try again in a moment.")

    def failed(self, error: Exception) -> AnyResponse:
        if isinstance(error, HTTPException):
            return _error(error.code or 500, error.description or error.name)
        log.error("%s %s: %s", request.method, request.path, error, exc_info=error)
        return _error(500, "The service failed. The log has the cause.")

    def _with_message(self, summary: ModelSummary) -> ModelSummary | Model:
        """An unfinished model with where it is; deleted ones stay as they were listed."""
        if summary.model_status not in _LIVE:
            return summary
        try:
            return self._service.model(summary.id)
        except ModelNotFound:
            return summary

    def _parameters_again(self) -> dict[str, Any]:
        """Of the model whose id stands in the address, to train another one like it."""
        if not request.args.get("again"):
            return {}
        model = self._service.model(model_id(request.args["again"]))
        return {**to_json(model.parameters), "description": model.description or ""}

    def _completed(self, but: str) -> list[ModelSummary]:
        found = self._service.registry.summaries()
        others = [m for m in found if m.model_status is ModelStatus.Completed and m.id != but]
        return sorted(others, key=lambda one: one.creation_time, reverse=True)[:SHOWN]

    def _is_default(self, model: Model) -> bool:
        default = self._service.registry.default()
        return default is not None and default.id == model.id

    def _tried(self, model: Model) -> Tried:
        """The question in the address, asked; an empty one is only a form."""
        recommender = self._service.recommender(model.id)
        known = _known(recommender)
        try:
            question = question_of(request.args)
        except InvalidRequest as error:
            problems = [f"{at}: {said}" for at, all_ in error.model_state.items() for said in all_]
            return Tried(Question(), None, problems or [str(error)], known)
        answer = None if question.is_empty else ask(recommender, question, time.time())
        return Tried(question, answer, [], known)


def _is_completed(model: Model) -> bool:
    return model.model_status is ModelStatus.Completed


def _known(model: SARRecommender) -> dict[str, list[str]]:
    items = [str(item) for item in model.items.ids[model.popular[:8]]]
    users = [] if model.history is None else [str(user) for user in model.history.users.ids[:8]]
    return {"items": items, "users": users}


def _evaluations(*models: Model) -> list[tuple[str, Any]]:
    """(A or B, metrics) of the evaluated ones."""
    measured = zip("AB", map(facts.metrics, models), strict=True)
    return [(name, metrics) for name, metrics in measured if metrics]


def _to(page: str, model_id: object) -> str:
    return url_for(f"models_page.{page}", model_id=model_id)


def _error(status: int, message: str) -> AnyResponse:
    page = render_template("models_page/error.html", status=status, message=message)
    response = Response(page, status, mimetype="text/html")
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response
