"""`RecommendQuery`: the parameters of /recommend, read strictly from a URL or a body."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from seldon.errors import InvalidParameter
from seldon.memcache import check_key

MAX_LIMIT = 1000
MAX_KEYS = 16
MAX_CLIENT = 256
LOW, HIGH = -(2**63), 2**63 - 1


class InvalidQuery(InvalidParameter):
    """One or more parameters cannot be used.

    Attributes
    ----------
    problems : dict of str to str
        Parameter to what is wrong with it.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


@dataclass(frozen=True)
class RecommendQuery:
    """One request for recommendations.

    Attributes
    ----------
    client : str
    user_id : int
        -1 when the user is unknown.
    limit : int
        1 to 1000; a larger one was cut to 1000.
    recent_interactions : list of int
        Newest first.
    exclusion_items : list of int
    data_keys : list of bytes
        memcached keys of the candidate lists; empty when the caller names none.
    dimensions : list of int
    item_id : int, optional
        The item being looked at.
    candidates : list of int, optional
        Sent in the body instead of a key.
    """

    client: str
    user_id: int
    limit: int
    recent_interactions: list[int]
    exclusion_items: list[int]
    data_keys: list[bytes]
    dimensions: list[int]
    item_id: int | None = None
    candidates: list[int] | None = None


def parse_query_string(text: str) -> RecommendQuery:
    """Read the query string of ``GET /recommend``.

    Of a repeated parameter the first counts; unknown ones are ignored; a list may be empty,
    absent, or hold empty elements.

    Raises
    ------
    InvalidQuery
        Names every parameter that is missing or unusable, its value and what was expected.
    """
    values: dict[str, str] = {}
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if "%" in name:
            name = unquote_plus(name)
        if name in FIELDS and name not in values:
            values[name] = value
    for name, value in values.items():
        if "%" in value:
            value = value.replace("%2C", ",")
            if "%" in value or "+" in value:
                value = unquote_plus(value)
            values[name] = value
        elif "+" in value:
            values[name] = value.replace("+", " ")
    values.pop("candidates", None)  # only in a body
    return parse_fields(values)


def parse_fields(values: Mapping[str, Any]) -> RecommendQuery:
    """Read the fields of a query string, a form, or a JSON object.

    A list may be a text with commas or, from JSON, a list; a number may be a text.

    Raises
    ------
    InvalidQuery
    """
    read: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, (attribute, reader, default) in FIELDS.items():
        try:
            value = values.get(name)
            read[attribute] = default if value is None else reader(name, value)
        except InvalidParameter as error:
            problems[name] = str(error)
        else:
            if read[attribute] is REQUIRED:
                problems[name] = f"{name} is missing"
    if problems:
        raise InvalidQuery(problems)
    return RecommendQuery(**{k: [] if v is NOTHING else v for k, v in read.items()})


def with_hashed_user(text: str, key: bytes) -> str:
    """A query string for a log: the same user has the same other id as long as `key` is.

    Parameters
    ----------
    text : str
    key : bytes
        Empty leaves the text as it is.
    """
    if not key:
        return text
    pairs = text.split("&")
    for place, pair in enumerate(pairs):
        name, _, value = pair.partition("=")
        if unquote_plus(name) == "user_id":
            digest = hashlib.blake2b(value.encode(), key=key[:64], digest_size=8).digest()
            pairs[place] = f"user_id={int.from_bytes(digest) >> 1}"
    return "&".join(pairs)


def _client(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CLIENT or "\ufffd" in value:
        raise _unusable(name, value, f"a name of 1 to {MAX_CLIENT} characters")
    return value


def _integer(name: str, value: Any) -> int:
    number = value
    if isinstance(value, str):
        digits = value[1:] if value[:1] == "-" else value
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
            raise _unusable(name, value, "a 64-bit integer")
        number = int(value)
    if type(number) is not int or not LOW <= number <= HIGH:
        raise _unusable(name, value, "a 64-bit integer")
    return number


def _limit(name: str, value: Any) -> int:
    number = value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        number = int(value.lstrip("0")[:5] or 0)  # above the most is cut, of any length
    if type(number) is not int or number < 1:
        raise _unusable(name, value, f"an integer from 1 to {MAX_LIMIT}")
    return min(number, MAX_LIMIT)


def _id_list(name: str, value: Any) -> list[int]:
    """Non-negative ids; the common case without a loop in Python."""
    if isinstance(value, str):
        if not value:
            return []
        joined = value.replace(",", "")
        if not (joined.isascii() and joined.isdigit()) or ",," in f",{value},":
            return [_id(name, each) for each in value.split(",") if each]
        try:
            ids = list(map(int, value.split(",")))
        except ValueError:  # more digits than Python converts
            ids = [HIGH + 1]
        return ids if max(ids) <= HIGH else [_id(name, each) for each in value.split(",")]
    if not isinstance(value, list):
        raise _unusable(name, value, "a list of item ids")
    if set(map(type, value)) == {int} and min(value) >= 0 and max(value) <= HIGH:
        return value
    return [_id(name, each) for each in value]


def _id(name: str, element: Any) -> int:
    try:
        number = _integer(name, element)
    except InvalidParameter:
        number = -1
    if number < 0:
        raise InvalidParameter(f"{name}: {_shown(element)} in it is not an item id")
    return number


def _dimensions(name: str, value: Any) -> list[int]:
    elements = value.split(",") if isinstance(value, str) else value
    if not isinstance(elements, list):
        raise _unusable(name, value, "a list of integers")
    return [_integer(name, each) for each in elements if each != ""]


def _optional_id(name: str, value: Any) -> int | None:
    return None if value == "" else _integer(name, value)


def _keys(name: str, value: Any) -> list[bytes]:
    elements = value.split(",") if isinstance(value, str) else value
    if not isinstance(elements, list) or not all(isinstance(each, str) for each in elements):
        raise _unusable(name, value, "memcached keys")
    keys = [check_key(each) for each in elements if each]
    if len(keys) > MAX_KEYS:
        raise InvalidParameter(f"{name} has {len(keys)} keys; at most {MAX_KEYS} are read")
    return list(dict.fromkeys(keys))


def _unusable(name: str, value: Any, expected: str) -> InvalidParameter:
    return InvalidParameter(f"{name}={_shown(value)} is not {expected}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


REQUIRED, NOTHING = object(), object()
FIELDS: dict[str, tuple[str, Callable[[str, Any], Any], Any]] = {
    "client": ("client", _client, REQUIRED),
    "user_id": ("user_id", _integer, REQUIRED),
    "limit": ("limit", _limit, REQUIRED),
    "recent_interactions": ("recent_interactions", _id_list, NOTHING),
    "exclusion_items": ("exclusion_items", _id_list, NOTHING),
    "data_key": ("data_keys", _keys, NOTHING),
    "dimensions": ("dimensions", _dimensions, NOTHING),
    "item_id": ("item_id", _optional_id, None),
    "candidates": ("candidates", _id_list, None),
}
