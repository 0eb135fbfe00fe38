"""Step 2, your own: product views out of Snowplow page-view events, one JSON object a line."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from seldon.errors import InvalidParameter
from seldon.slirec.events import Events
from seldon.slirec.inventory import InventorySnapshot

USER_FIELDS = {"duid": "domain_userid", "nuid": "network_userid", "uid": "user_id"}
"""Tracker protocol name to the name in enriched events."""

_PRODUCT_PAGE = re.compile(
    r"/(?:[a-z]{2,3}(?:-[a-z0-9]{2,4})?/)?(?:collections/[^/]+/)?products/([^/]+)", re.I
)


@dataclass(frozen=True)
class SnowplowReport:
    """What became of the lines.

    Attributes
    ----------
    lines, views : int
        Lines read, and product views kept.
    skipped : dict
        Reason to (how many events, line of the first; lines count from 1).
    """

    lines: int
    views: int
    skipped: dict[str, tuple[int, int]]

    def __str__(self) -> str:
        rows = [f"{self.views} product views of {self.lines} lines"]
        rows += [f"{n} left out: {why} (first in line {at})" for why, (n, at) in self._sorted()]
        return "\n".join(rows)

    def _sorted(self) -> list[tuple[str, tuple[int, int]]]:
        return sorted(self.skipped.items(), key=lambda entry: -entry[1][0])


def read_snowplow(
    path: str | os.PathLike[str],
    inventory: InventorySnapshot,
    *,
    app_id: str | None = None,
    user_field: str = "duid",
) -> tuple[Events, SnowplowReport]:
    """Read product views from what a Snowplow tracker sent or an enricher wrote.

    A line is a tracker's payload (``{"schema": "iglu:…/payload_data/…", "data": [{"e": "pv",
    "duid": …, "url": …, "dtm": …}, …]}``, bare or as ``message`` of an envelope), one such
    event, or an enriched event (``event``, ``domain_userid``, ``page_url``,
    ``derived_tstamp``). The product is the handle in the page's address, its category the
    inventory's.

    Parameters
    ----------
    path : path
        Text, or packed with gzip (``.gz``).
    inventory : InventorySnapshot
        Views of other handles are left out: anybody can ask for any address.
    app_id : str, optional
        Keep only events of this application.
    user_field : str
        Who the user is: ``duid``, the browser; ``nuid``, the collector's cookie; or ``uid``,
        the login.

    Returns
    -------
    Events
        Users in order of appearance, each one's events by time.
    SnowplowReport

    Raises
    ------
    InvalidParameter
        No product view is left; the message says why.
    """
    if user_field not in USER_FIELDS:
        raise InvalidParameter(
            f"user_field={user_field!r} is none of {', '.join(sorted(USER_FIELDS))}"
        )
    skipped: dict[str, tuple[int, int]] = {}
    rows: list[tuple[str, str, int]] = []
    seen: set[str] = set()
    line_number = 0
    for line_number, line in enumerate(_lines(path), 1):
        for event in _events(line) if line.strip() else ():
            found = _view(event, inventory, app_id, user_field, seen)
            if isinstance(found, str):
                count, first = skipped.get(found, (0, line_number))
                skipped[found] = (count + 1, first)
            else:
                rows.append(found)
    report = SnowplowReport(line_number, len(rows), skipped)
    if not rows:
        raise InvalidParameter(
            f"{path}: no product view is left: {'; '.join(str(report).splitlines())}"
        )
    order = {user: position for position, user in enumerate(dict.fromkeys(r[0] for r in rows))}
    rows.sort(key=lambda row: (order[row[0]], row[2]))
    categories = [inventory.by_handle[handle].category for _, handle, _ in rows]
    return (
        Events(
            np.array([row[0] for row in rows], np.str_),
            np.array([row[1] for row in rows], np.str_),
            np.array(categories, np.str_),
            np.array([row[2] for row in rows], np.int64),
        ),
        report,
    )


def product_handle(url: str) -> str | None:
    """The handle in a product page's address, lower case; ``None`` for any other page.

    Understands ``/products/<handle>``, ``/collections/<name>/products/<handle>``, a language
    before them, and whatever follows.

    >>> product_handle("https://shop.example/en-gb/collections/tea/products/earl-grey?variant=7")
    'earl-grey'
    """
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    found = _PRODUCT_PAGE.match(path)
    return unquote(found[1]).lower() if found else None


def _lines(path: str | os.PathLike[str]) -> Iterator[bytes]:
    name = os.fspath(path)
    try:
        with gzip.open(name, "rb") if name.endswith(".gz") else open(name, "rb") as stream:
            yield from stream
    except (OSError, EOFError) as error:
        raise InvalidParameter(f"events {name!r} cannot be read: {error}") from None


def _events(line: bytes) -> Iterator[Mapping[str, Any] | str]:
    """Events of one line, each in the tracker's or the enricher's words; a str says why not."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        yield "not JSON"
        return
    if isinstance(found, dict) and isinstance(found.get("message"), dict):
        found = found["message"]
    if isinstance(found, dict) and isinstance(found.get("data"), list):
        found = found["data"]
    for event in found if isinstance(found, list) else [found]:
        yield event if isinstance(event, dict) else "not a JSON object"


def _view(
    event: Mapping[str, Any] | str,
    inventory: InventorySnapshot,
    app_id: str | None,
    user_field: str,
    seen: set[str],
) -> tuple[str, str, int] | str:
    """User, handle and second of a product view, or why it is none."""
    if isinstance(event, str):
        return event
    raw = "e" in event
    kind = event.get("e") if raw else event.get("event", event.get("event_name"))
    if kind not in ("pv", "page_view"):
        return "not a page view"
    if app_id is not None and event.get("aid" if raw else "app_id") != app_id:
        return "another application"
    user = event.get(user_field if raw else USER_FIELDS[user_field])
    if not isinstance(user, str) or not user.strip():
        return "no user"
    handle = product_handle(str(event.get("url" if raw else "page_url", "")))
    if handle is None:
        return "not a product page"
    if handle not in inventory.by_handle:
        return "a product that is not in the inventory"
    times = ("ttm", "dtm") if raw else ("derived_tstamp", "collector_tstamp", "dvce_created_tstamp")
    second = next((s for name in times if (s := _second(event.get(name))) is not None), None)
    if second is None:
        return "no time"
    # Trackers send again what was not acknowledged.
    id = event.get("eid" if raw else "event_id")
    if isinstance(id, str) and id:
        if id in seen:
            return "sent twice"
        seen.add(id)
    return user.strip(), handle, second


def _second(value: Any) -> int | None:
    """Seconds since 1970 of milliseconds (a tracker's) or an ISO time in UTC (an enricher's)."""
    text = str(value).strip()
    if re.fullmatch(r"[0-9]{1,16}", text, re.A):
        return int(text) // 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
