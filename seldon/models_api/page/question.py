"""Trying a model out: what was asked, what it recommends, and why."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from seldon.models_api.requests import InvalidRequest, recommendation_count, usage_events
from seldon.models_api.service import sar_events
from seldon.sar.affinity import Event
from seldon.sar.model import Contribution, SARRecommender

_COLUMNS = ("itemId", "eventType", "timestamp")


@dataclass(frozen=True)
class Question:
    """What to recommend for: an item, or a person by what they did.

    Attributes
    ----------
    item : str
        With it the question is item-to-item; empty without.
    user : str
        Adds that user's stored history; empty for none.
    events : tuple of Event
    count : int
    """

    item: str = ""
    user: str = ""
    events: tuple[Event, ...] = ()
    count: int = 10

    @property
    def is_empty(self) -> bool:
        return not (self.item or self.user or self.events)


@dataclass(frozen=True)
class Recommended:
    """One recommendation; the scores of its reasons add up to `score`."""

    item: str
    score: float
    reasons: tuple[Contribution, ...]


@dataclass(frozen=True)
class Answer:
    """What a model says to a question.

    Attributes
    ----------
    items : tuple of Recommended
        Best first.
    unknown : tuple of str
        Items of the question that the model does not know.
    history : int or None
        Stored events of the asked user that were used; `None` when the model kept none of
        anybody.
    """

    items: tuple[Recommended, ...]
    unknown: tuple[str, ...]
    history: int | None

    @property
    def backfilled(self) -> int:
        return sum(not one.reasons for one in self.items)


@dataclass(frozen=True)
class Place:
    """One rank of two answers; `moved_*` is the rank in the other one, `None` if not there."""

    rank: int
    first: Recommended | None
    second: Recommended | None
    first_elsewhere: int | None
    second_elsewhere: int | None


def question_of(form: Mapping[str, str]) -> Question:
    """Read the fields ``itemId``, ``userId``, ``events`` and ``recommendationCount``.

    An event is a line: the item, then a type and a time if there are any, with commas.

    Raises
    ------
    InvalidRequest
        Naming the lines, in `model_state`, when it is about events.
    """
    count = recommendation_count((form.get("recommendationCount") or "").strip() or None)
    item = (form.get("itemId") or "").strip()
    if item:
        return Question(item=item, count=count)
    user = (form.get("userId") or "").strip()
    return Question(user=user, events=_events(form.get("events") or ""), count=count)


def ask(model: SARRecommender, question: Question, now: float) -> Answer:
    """What `model` recommends, with what each item or event of the question contributed.

    Parameters
    ----------
    now : float
        Seconds since 1970 UTC, the moment the events are weighed at.
    """
    if question.item:
        pairs = model.similar_items(question.item, question.count)
        named = [question.item]

        def why(item: str) -> list[Contribution]:
            # An item asked for by itself weighs 1 at any time.
            found = model.explain(item, [question.item], now=model.latest)
            return [replace(reason, affinity=1.0) for reason in found]
    else:
        user = question.user or None
        pairs = model.recommend_items(question.events, user, question.count, now)
        named = [event.item for event in question.events]

        def why(item: str) -> list[Contribution]:
            return model.explain(item, question.events, user, now)

    items = tuple(
        Recommended(item, score, tuple(why(item)) if score > 0 else ()) for item, score in pairs
    )
    unknown = dict.fromkeys(item for item in named if model.items.indices([item])[0] < 0)
    return Answer(items, tuple(unknown), _stored(model, question.user))


def side_by_side(first: Answer, second: Answer) -> list[Place]:
    """Two answers to the same question, rank by rank."""
    ranks = [{one.item: n for n, one in enumerate(a.items, 1)} for a in (first, second)]
    places = []
    for n in range(max(len(first.items), len(second.items))):
        left = first.items[n] if n < len(first.items) else None
        right = second.items[n] if n < len(second.items) else None
        places.append(
            Place(
                n + 1,
                left,
                right,
                ranks[1].get(left.item) if left else None,
                ranks[0].get(right.item) if right else None,
            )
        )
    return places


def _events(text: str) -> tuple[Event, ...]:
    given: list[dict[str, Any]] = []
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            cells = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True))]
            named = zip(_COLUMNS, cells, strict=False)
            given.append({name: cell for name, cell in named if cell})
            lines.append(number)
    try:
        return tuple(sar_events(usage_events(orjson.dumps(given))))
    except InvalidRequest as error:
        raise InvalidRequest(str(error), _by_line(error.model_state, lines)) from error


def _by_line(problems: Mapping[str, list[str]], lines: Sequence[int]) -> dict[str, list[str]]:
    """``usageEvents[0].timestamp`` becomes ``Line 1``."""
    found: dict[str, list[str]] = {}
    for key, messages in problems.items():
        position = int(key.partition("[")[2].partition("]")[0])
        found.setdefault(f"Line {lines[position]}", []).extend(messages)
    return found


def _stored(model: SARRecommender, user: str) -> int | None:
    if model.history is None:
        return None
    kept = model.history.of(user) if user else None
    return 0 if kept is None else len(kept)
