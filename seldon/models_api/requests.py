"""Request bodies → dataclasses; every mistake of a body is reported, not only the first."""

from __future__ import annotations

import enum
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import orjson

from seldon.errors import InvalidParameter
from seldon.models_api.schemas import TrainingRequest, UsageEvent, wire_name

T = TypeVar("T")

MAXIMUM_WEIGHT = 1e12
"""Beyond it sums of scores could overflow, and JSON knows no infinity."""

_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_HYPHENATED = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_GUID = re.compile(
    rf"[0-9a-f]{{32}}|{_HYPHENATED}|\{{{_HYPHENATED}\}}|\({_HYPHENATED}\)", re.ASCII | re.IGNORECASE
)
_NET_NAMES = {str: "String", bool: "Boolean", int: "Int32", float: "Double", datetime: "DateTime"}
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,9}", re.ASCII)
_ABSENT = object()


class InvalidRequest(InvalidParameter):
    """A body or a query value that cannot be used.

    Attributes
    ----------
    model_state : dict of str to list of str
        Messages by the reference's keys, such as ``modelParameters.SupportThreshold``; empty
        when the message says it all.
    """

    def __init__(self, message: str, model_state: Mapping[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.model_state = dict(model_state or {})


def model_id(text: str) -> str:
    """The GUID in `text`, lower-case with hyphens; braces and parentheses are accepted."""
    if not _GUID.fullmatch(text):
        raise InvalidRequest("modelId is not valid")
    return str(UUID(text.strip("{}()")))


def recommendation_count(text: str | None) -> int:
    """How many recommendations are wanted: 1 to 100, 10 when not said."""
    if text is None:
        return 10
    if not _WHOLE_NUMBER.fullmatch(text) or not 1 <= int(text) <= 100:
        raise InvalidRequest("recommendationCount must be between 1 and 100")
    return int(text)


def training_request(body: bytes) -> TrainingRequest:
    """The body of *train a new model*.

    Raises
    ------
    InvalidRequest
        With a `model_state` as the reference has it: range, length and required rules under
        the property's C# name, conversion errors under its JSON path.
    """
    given = _json(body)
    if not isinstance(given, dict):
        raise InvalidRequest("Invalid format. Expected a valid 'ModelParameters' JSON")
    problems: dict[str, list[str]] = {}
    request = _read(TrainingRequest, given, "modelParameters.", "", problems)
    if request is None:
        raise InvalidRequest("The request is invalid.", problems)
    return request


def usage_events(body: bytes) -> list[UsageEvent]:
    """The events of a personalised request; none when the body is empty, `null` or ``[]``.

    Events that are `null` or have no ``itemId`` are dropped.
    """
    given = _json(body)
    if given is None:
        return []
    if not isinstance(given, list):
        raise InvalidRequest("Invalid format. Expected an array of usage events")
    problems: dict[str, list[str]] = {}
    events = []
    for position, event in enumerate(given):
        if event is None:
            continue
        path = f"[{position}]"
        if not isinstance(event, dict):
            problems[f"usageEvents{path}"] = [_conversion(event, "UsageEvent", path)]
            continue
        read = _read(UsageEvent, event, "usageEvents", f"{path}.", problems)
        if read is not None and read.item_id.strip():
            events.append(read)
    if problems:
        raise InvalidRequest("The request is invalid.", problems)
    return events


def _json(body: bytes) -> Any:
    """What `body` says, `None` when it is empty, `_ABSENT` when it is no JSON."""
    if not body.strip():
        return None
    try:
        return orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return _ABSENT


def _read(
    schema: type[T],
    given: Mapping[str, Any],
    prefix: str,
    path: str,
    problems: dict[str, list[str]],
) -> T | None:
    """`schema` from the properties in `given`; `None` after noting what is wrong with them."""
    kinds = typing.get_type_hints(schema)
    named = _by_wire_name(schema, given)
    values: dict[str, Any] = {}
    wrong = False
    for field in fields(schema):  # type: ignore[arg-type]
        name = wire_name(field.name)
        value = named.get(name)
        key = prefix + name[0].upper() + name[1:]
        complaint = None
        if value is None:
            if field.default is MISSING:
                complaint = f"The {name} field is required."
        else:
            try:
                values[field.name] = _convert(value, _kind(kinds[field.name]), path + name)
                complaint = _broken_rule(name, values[field.name], field)
            except ValueError as error:
                key, complaint = prefix + path + name, str(error)
        if complaint:
            problems[key] = [complaint]
            wrong = True
    return None if wrong else schema(**values)


def _by_wire_name(schema: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Property names of JSON are matched without regard to case, as Json.NET does."""
    names = {wire_name(f.name).lower(): wire_name(f.name) for f in fields(schema)}
    return {names[name.lower()]: held for name, held in given.items() if name.lower() in names}


def _kind(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        return next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    return hint


def _convert(value: Any, kind: Any, path: str) -> Any:
    """`value` as `kind`; ValueError with the message of the reference when it is not one."""
    converted: Any = None
    if kind is str:
        # A numeric item id is a string to everybody but JSON.
        converted = str(value) if type(value) in (str, int) else None
    elif kind is bool:
        text = value.lower() if isinstance(value, str) else value
        converted = {True: True, False: False, "true": True, "false": False}.get(
            text if isinstance(text, bool | int | str) else None
        )
    elif kind is int:
        converted = int(value) if type(value) is int or _is_whole(value) else None
    elif kind is float:
        finite = type(value) in (int, float) and abs(value) <= MAXIMUM_WEIGHT
        converted = float(value) if finite else None
    elif kind is datetime:
        converted = _date_time(value) if isinstance(value, str) else None
    elif issubclass(kind, enum.Enum):
        converted = _member(kind, value)
    if converted is None:
        raise ValueError(_conversion(value, kind, path))
    return converted


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value) and value.is_integer()


def _member(kind: type[enum.Enum], value: Any) -> enum.Enum | None:
    """A member by its name, without regard to case, or by its number."""
    for member in kind:
        if isinstance(value, str) and value.strip().lower() == member.name.lower():
            return member
        if type(value) is int and value == member.value:
            return member
    return None


def _date_time(text: str) -> datetime | None:
    """ISO 8601; UTC when no offset is given."""
    if not _DATE_TIME.fullmatch(text.strip()):
        return None
    try:
        moment = datetime.fromisoformat(text.strip().upper())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _conversion(value: Any, kind: Any, path: str) -> str:
    shown = orjson.dumps(value, default=str).decode()
    if len(shown) > 80:
        shown = f"{shown[:77]}..."
    name = kind if isinstance(kind, str) else _NET_NAMES.get(kind, kind.__name__)
    expected = ""
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        expected = f" Expected one of {', '.join(member.name for member in kind)}."
    elif kind is datetime:
        expected = " Expected a date and time like 2017-04-20T18:00:00Z."
    elif kind is float:
        expected = f" Expected a number between -{MAXIMUM_WEIGHT:g} and {MAXIMUM_WEIGHT:g}."
    return f"Error converting value {shown} to type '{name}'. Path '{path}'.{expected}"


def _broken_rule(name: str, value: Any, field: Any) -> str | None:
    rules = field.metadata
    if "minimum" in rules and not rules["minimum"] <= value <= rules["maximum"]:
        return f"The field {name} must be between {rules['minimum']} and {rules['maximum']}."
    if "maxLength" in rules and len(value) > rules["maxLength"]:
        limit = rules["maxLength"]
        return f"The field {name} must be a string with a maximum length of {limit}."
    if field.default is MISSING and not value.strip():
        return f"The {name} field is required."
    return None
