"""The JSON document that ``/predict`` and ``/extension`` are asked about."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from seldon.errors import InvalidParameter

MOST_DISCARDED = 32 * 2**20
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def read_document(request: Request, most_query: int, most_body: int) -> Any:
    """The value of the parameter ``json``, or the JSON body of a POST.

    Parameters
    ----------
    request : flask.Request
        With ``json`` in the query string or a form, or a body of type application/json.
    most_query, most_body : int
        A longer query string, or a longer body, is refused before it is read; bytes.

    Raises
    ------
    InvalidParameter
        There is none, it is too long, or it is not JSON: NaN and infinities are not, nor is
        what is nested 1,024 levels deep.
    """
    if len(request.query_string) > most_query:
        raise InvalidParameter(
            f"the query string has {len(request.query_string)} bytes; at most {most_query} are "
            f"read, and of the body of a POST {most_body}"
        )
    if (request.content_length or 0) > most_body:
        _discard(request)
        raise _too_long(f"{request.content_length} bytes", most_body)
    text: str | bytes | None = request.args.get("json")
    if text is None and request.method == "POST":
        request.max_content_length = request.max_form_memory_size = most_body
        try:
            is_form = request.mimetype in FORMS
            text = request.form.get("json") if is_form else request.get_data() or None
        except RequestEntityTooLarge:  # a body that did not announce its length
            raise _too_long("more bytes", most_body) from None
    if text is None:
        raise InvalidParameter(
            "json is missing: send the features as a JSON object in the parameter json, "
            "or in the body of a POST"
        )
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidParameter(f"json is not JSON: {error}") from None


def _discard(request: Request) -> None:
    """Read past a body: a caller that is still sending would find a reset, not our answer."""
    left = min(request.content_length or 0, MOST_DISCARDED)
    while left > 0 and (chunk := request.environ["wsgi.input"].read(min(left, 65_536))):
        left -= len(chunk)


def _too_long(found: str, most_body: int) -> InvalidParameter:
    return InvalidParameter(f"the body has {found}; at most {most_body} are read")
