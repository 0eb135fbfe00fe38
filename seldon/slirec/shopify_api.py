"""Step 1, the wire: `ShopifyClient`, one shop's GraphQL Admin API, asked within its limits."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from seldon.errors import InvalidParameter, MissingExtra, SeldonError

API_VERSION = "2026-07"
"""The first version that lists every collection: older ones leave out those of the newer model."""

PAGE = 250
"""Entries a page; Shopify allows no more."""


class ShopifyClient:
    """One shop's GraphQL Admin API, asked within its limits.

    Before a query its cost is waited for, as the shop's last answer told it
    (``extensions.cost.throttleStatus``). Throttling, 429, 5xx and broken connections are met
    with waiting, exponential with jitter, and a bounded number of attempts.

    Parameters
    ----------
    store_url : str
        ``https://my-shop.myshopify.com``; the scheme may be left out. Plain http only to this
        machine, because the token travels with every request.
    access_token : str
        An Admin API token; never shown in errors, logs or `repr`.
    api_version : str
        ``YYYY-MM``; Shopify supports each for a year.
    timeout : float
        Seconds one answer may take.
    attempts : int
        How often one query is sent before giving up.
    longest_wait : float
        Seconds; the longest pause between two attempts.
    sleep, clock, rng
        Waiting, seconds and jitter, for tests.
    """

    def __init__(
        self,
        store_url: str,
        access_token: str,
        *,
        api_version: str = API_VERSION,
        timeout: float = 30,
        attempts: int = 8,
        longest_wait: float = 30,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtra("httpx", "shopify") from None
        if not (access_token.isascii() and access_token.isprintable() and access_token.strip()):
            raise InvalidParameter("SHOPIFY_ACCESS_TOKEN is empty or has characters no token has")
        self.shop = _shop_address(store_url)
        self.api_version = api_version
        self._errors = httpx.TransportError
        self._token = access_token
        self._attempts = attempts
        self._longest_wait = longest_wait
        self._sleep, self._clock = sleep, clock
        self._rng = rng or random.Random()
        self._costs: dict[str, float] = {}
        self._available, self._restored_per_second, self._seen_at = float("inf"), 1.0, 0.0
        self._page_sizes: dict[str, int] = {}
        self._http = httpx.Client(
            headers={"X-Shopify-Access-Token": access_token}, timeout=timeout, verify=True
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **options: Any) -> Self:
        """The shop of ``SHOPIFY_STORE_URL`` with the token ``SHOPIFY_ACCESS_TOKEN``."""
        values = []
        for name in ("SHOPIFY_STORE_URL", "SHOPIFY_ACCESS_TOKEN"):
            value = environment.get(name, "").strip()
            if not value:
                raise InvalidParameter(
                    f"the environment variable {name} is not set; it names "
                    + ("the shop" if name.endswith("URL") else "an Admin API token of the shop")
                )
            values.append(value)
        return cls(*values, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def __repr__(self) -> str:
        return f"ShopifyClient({self.shop!r})"

    def nodes(
        self, query: str, connection: str, variables: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every node of a paged connection; see `pages`."""
        for page, _ in self.pages(query, connection, variables):
            yield from page

    def pages(
        self,
        query: str,
        connection: str,
        variables: Mapping[str, Any] | None = None,
        *,
        after: str | None = None,
    ) -> Iterator[tuple[list[dict[str, Any]], str | None]]:
        """Pages of a connection, each with the cursor behind it, ``None`` at the end.

        A query that may cost more than the shop allows is asked again with half the page.

        Parameters
        ----------
        query : str
            Takes ``$first`` and ``$after``; answers ``nodes`` and ``pageInfo``.
        connection : str
            Where the connection stands in the answer, names joined by points.
        variables : mapping, optional
            Further variables of `query`.
        after : str, optional
            Begin behind this cursor.
        """
        while True:
            size = self._page_sizes.get(query, PAGE)
            try:
                data = self.execute(query, {**(variables or {}), "first": size, "after": after})
            except _TooExpensive:
                if size == 1:
                    raise
                self._page_sizes[query] = size // 2
                continue
            found: dict[str, Any] = data
            for name in connection.split("."):
                found = found.get(name) or {}
            info = found.get("pageInfo", {})
            after = info.get("endCursor") if info.get("hasNextPage") else None
            yield found.get("nodes", []), after
            if after is None:
                return

    def change(
        self, query: str, field: str, variables: Mapping[str, Any], *, repeatable: bool
    ) -> dict[str, Any]:
        """Run a mutation; its ``userErrors`` become `ShopRefused`.

        Parameters
        ----------
        query : str
        field : str
            The mutation's name in the answer.
        variables : mapping
        repeatable : bool
            Whether sending it twice does no harm. If not, a lost answer is `ShopUnavailable`
            at once, for the caller to look whether the change was made.
        """
        payload: dict[str, Any] = (
            self.execute(query, variables, repeatable=repeatable).get(field) or {}
        )
        errors = payload.get("userErrors") or []
        if errors:
            told = "; ".join(self._clean(str(error.get("message"))) for error in errors)
            raise ShopRefused(f"{self.shop} refused {field} of {_named(variables)}: {told}")
        return payload

    def execute(
        self, query: str, variables: Mapping[str, Any], *, repeatable: bool = True
    ) -> dict[str, Any]:
        """Run one query and return its ``data``."""
        for attempt in range(1, self._attempts + 1):
            self._wait_for_cost(query)
            try:
                return self._ask(query, variables)
            except _TryAgain as failure:
                reason = str(failure)
                if failure.perhaps_made and not repeatable:
                    raise AnswerLost(f"{self.shop}: {reason}") from None
                if attempt < self._attempts:
                    self._sleep(self._pause(attempt, failure.seconds))
        raise ShopUnavailable(f"{self.shop}: {reason}, {self._attempts} times; try again later")

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        address = f"{self.shop}/admin/api/{self.api_version}/graphql.json"
        try:
            response = self._http.post(address, json={"query": query, "variables": variables})
        except self._errors as error:
            raise _TryAgain(f"no answer ({type(error).__name__})", made=True) from None
        self._check_status(response)
        try:
            document = response.json()
        except ValueError:
            raise _TryAgain("the answer is not JSON", made=True) from None
        if not isinstance(document, dict):
            raise _TryAgain("the answer is not a JSON object", made=True)
        throttle = self._note_cost(query, document)
        errors = document.get("errors")
        if errors:
            self._raise(errors, throttle)
        data = document.get("data")
        if not isinstance(data, dict):
            raise _TryAgain("the answer has no data", made=True)
        return data

    def _check_status(self, response: Any) -> None:
        status = response.status_code
        if status == 429:
            raise _TryAgain("HTTP 429", _seconds(response.headers.get("Retry-After")))
        if status >= 500:
            raise _TryAgain(f"HTTP {status}", _seconds(response.headers.get("Retry-After")), True)
        if status in (401, 403):
            raise ShopRefused(
                f"{self.shop} refused the access token (HTTP {status}); SHOPIFY_ACCESS_TOKEN must "
                "be an Admin API token of this shop"
            )
        if 300 <= status < 400:
            raise ShopRefused(
                f"{self.shop} redirects (HTTP {status}), which is not followed with a token; set "
                "SHOPIFY_STORE_URL to the address ending in myshopify.com"
            )
        if status != 200:
            raise ShopRefused(
                f"{self.shop} answered HTTP {status} for API version {self.api_version}; check "
                "SHOPIFY_STORE_URL and the version"
            )

    def _raise(self, errors: Any, throttle: float | None) -> None:
        entries = [error for error in errors if isinstance(error, dict)]
        codes = {(entry.get("extensions") or {}).get("code") for entry in entries}
        told = self._clean("; ".join(str(entry.get("message")) for entry in entries) or str(errors))
        if "MAX_COST_EXCEEDED" in codes:
            raise _TooExpensive(f"{self.shop}: {told}")
        if "THROTTLED" in codes or told == "Throttled":
            raise _TryAgain("throttled", throttle)
        if "INTERNAL_SERVER_ERROR" in codes:
            raise _TryAgain(told, made=True)
        if "ACCESS_DENIED" in codes:
            raise ShopRefused(f"{self.shop}: {told}; the token lacks a scope, see the walkthrough")
        raise ShopRefused(f"{self.shop}: {told}")

    def _note_cost(self, query: str, document: Mapping[str, Any]) -> float | None:
        """Keep what the answer tells of the budget; seconds until this query is affordable."""
        cost = (document.get("extensions") or {}).get("cost") or {}
        status = cost.get("throttleStatus") or {}
        try:
            self._costs[query] = float(cost["requestedQueryCost"])
            self._available = float(status["currentlyAvailable"])
            self._restored_per_second = max(float(status["restoreRate"]), 1e-3)
        except (KeyError, TypeError, ValueError):
            return None
        self._seen_at = self._clock()
        return 0.05 + max(0.0, self._costs[query] - self._available) / self._restored_per_second

    def _wait_for_cost(self, query: str) -> None:
        restored = (self._clock() - self._seen_at) * self._restored_per_second
        short = self._costs.get(query, 0) - (self._available + restored)
        if short > 0:
            # A little more, because the shop's seconds are not ours.
            seconds = 0.05 + short / self._restored_per_second
            self._sleep(min(seconds, self._longest_wait))

    def _pause(self, attempt: int, told: float | None) -> float:
        # Half of the pause is jitter, so that two programs of one shop do not meet again.
        backoff = min(self._longest_wait, 0.5 * 2**attempt) * self._rng.uniform(0.5, 1)
        return backoff if told is None else min(told, self._longest_wait)

    def _clean(self, text: str) -> str:
        return text.replace(self._token, "***")[:500]


class ShopUnavailable(SeldonError):
    """The shop did not answer, or only with errors, as often as it was asked."""

    status = 503


class ShopRefused(SeldonError):
    """The shop answered that it will not do this: token, scopes, address or the input itself."""

    status = 502


class AnswerLost(ShopUnavailable):
    """A change was sent and nobody knows whether it was made."""


class _TooExpensive(ShopRefused):
    """The query may cost more than the shop allows for one query."""


class _TryAgain(Exception):
    def __init__(self, reason: str, seconds: float | None = None, made: bool | None = False):
        super().__init__(reason)
        self.seconds = seconds
        self.perhaps_made = made


def _shop_address(url: str) -> str:
    text = url.strip()
    parts = urlsplit(text if "://" in text else f"https://{text}")
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.username is not None:
        raise InvalidParameter("SHOPIFY_STORE_URL must not carry a user name or password")
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise InvalidParameter(
            f"SHOPIFY_STORE_URL={url!r} is not a shop's address like https://my-shop.myshopify.com"
        )
    if parts.scheme == "http" and not loopback:
        raise InvalidParameter(
            f"SHOPIFY_STORE_URL={url!r}: the token would travel in clear; use https"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _seconds(header: str | None) -> float | None:
    try:
        return None if header is None else float(header)
    except ValueError:
        return None


def _named(variables: Mapping[str, Any]) -> str:
    for value in (*variables.values(), variables):
        if isinstance(value, dict) and "title" in value:
            return repr(value["title"])
    return repr(variables.get("id"))
