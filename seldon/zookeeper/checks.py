"""Whether a Seldon server takes a strategy's document.

It reads them with a strict reader. One field too many, one unknown name or ratios that do not
add up, and it logs an error and keeps what it had, or serves nothing. So everything is checked
here against what the server's last version accepts.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Collection, Set
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

from seldon.errors import InvalidParameter
from seldon.zookeeper.documents import (
    ACTIONS_TO_FILTER,
    ACTIONS_TO_USE,
    ALGORITHMS,
    COMBINERS,
    EXTERNAL,
    FILTERS,
    INCLUDERS,
    ITEMS_PER_INCLUDER,
    NAME,
    URL,
    as_text,
    shown,
)

# One list of 7-digit ids and one popular list under memcached's default item size of 1 MiB.
_FITTING = {"recentItemsIncluder": 130_000, "mostPopularIncluder": 20_000}
_WHOLE = {ITEMS_PER_INCLUDER: 1, ACTIONS_TO_FILTER: 0, ACTIONS_TO_USE: 1}
_OPTIONS = (URL, NAME, *_WHOLE)


def check_algorithm_config(document: object, where: str = "algs") -> list[str]:
    """Check an algorithm config as the server would, and for what it would silently ignore.

    Parameters
    ----------
    document : object
        JSON values, see `algorithm_config`.
    where : str
        What the messages call it.

    Returns
    -------
    list of str
        Advice: the server accepts these, but they may not do what was meant.

    Raises
    ------
    InvalidParameter
        The server would refuse the document, or never call the service.
    """
    fields = _fields(
        document, where, {"algorithms", "combiner"}, {"diversityLevel", "actionWeights"}
    )
    advice: list[str] = []
    algorithms = _list(fields["algorithms"], f"{where}.algorithms")
    if not algorithms:
        raise InvalidParameter(f"{where}.algorithms is empty: nothing would be recommended")
    for number, entry in enumerate(algorithms):
        advice += _check_algorithm(entry, f"{where}.algorithms[{number}]")
    _known(fields["combiner"], f"{where}.combiner", COMBINERS)
    level = fields.get("diversityLevel")
    if level is not None and _number(level, f"{where}.diversityLevel") <= 0:
        raise InvalidParameter(f"{where}.diversityLevel={level} must be above 0")
    for number, entry in enumerate(_list(fields.get("actionWeights"), f"{where}.actionWeights")):
        weight = _fields(entry, f"{where}.actionWeights[{number}]", {"type", "value"})
        _whole(weight["type"], f"{where}.actionWeights[{number}].type", 0)
        _number(weight["value"], f"{where}.actionWeights[{number}].value")
    return advice


def check_variations(document: object, where: str = "variations") -> list[str]:
    """Check ``{"variations": [...]}``; otherwise as `check_algorithm_config`."""
    fields = _fields(document, where, {"variations"})
    advice: list[str] = []
    total = Fraction(0)
    labels: list[str] = []
    for number, entry in enumerate(_list(fields["variations"], f"{where}.variations")):
        at = f"{where}.variations[{number}]"
        part = _fields(entry, at, {"label", "ratio", "config"})
        labels.append(_string(part["label"], f"{at}.label"))
        ratio = _number(part["ratio"], f"{at}.ratio")
        if not Decimal("0.01") <= ratio <= 1:
            raise InvalidParameter(f"{at}.ratio={ratio} must be from 0.01 to 1")
        if ratio * 100 % 1:
            advice.append(f"{at}.ratio={ratio}: the server shares users out in whole percents")
        total += Fraction(ratio)
        advice += check_algorithm_config(part["config"], f"{at}.config")
    if total != 1:
        raise InvalidParameter(
            f"{where}: the ratios add up to {float(total)}, they must add up to 1"
        )
    if len(set(labels)) < len(labels):
        raise InvalidParameter(f"{where}: the labels {labels} must differ from each other")
    return advice


def check_rectags(document: object, where: str = "alg_rectags") -> list[str]:
    """Check ``{"defaultStrategy": S, "recTagToStrategy": {tag: S}}``; S is either of the above."""
    fields = _fields(document, where, {"defaultStrategy", "recTagToStrategy"})
    advice = check_strategy(fields["defaultStrategy"], f"{where}.defaultStrategy")
    tags = fields["recTagToStrategy"]
    if not isinstance(tags, dict):
        raise InvalidParameter(f"{where}.recTagToStrategy={shown(tags)} must be an object")
    for tag, strategy in tags.items():
        advice += check_strategy(strategy, f"{where}.recTagToStrategy[{tag!r}]")
    return advice


def check_strategy(document: object, where: str = "strategy") -> list[str]:
    """Check a strategy that is either an algorithm config or variations."""
    if isinstance(document, dict) and "variations" in document:
        return check_variations(document, where)
    return check_algorithm_config(document, where)


def check_document(document: object, where: str = "strategy") -> list[str]:
    """Check what can be published: a strategy, or all of ``alg_rectags``."""
    if isinstance(document, dict) and "defaultStrategy" in document:
        return check_rectags(document, where)
    return check_strategy(document, where)


CHECKS: dict[str, Callable[[object, str], list[str]]] = {
    "alg_test": check_variations,
    "alg_rectags": check_rectags,
    "algs": check_algorithm_config,
    "default_strategy": check_algorithm_config,
}
"""How each node is checked."""


def check_url(url: str, where: str = URL) -> list[str]:
    """Check the address of a `/recommend` service as the server reads it.

    The server takes host, port and path through `java.net.URI` and always speaks plain http;
    everything else in the address is silently dropped, so it is refused here.

    Returns
    -------
    list of str
        Advice on a missing port.
    """
    refuse = f"{where}={url!r}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidParameter(f"{refuse}: {error}") from error
    if parts.scheme != "http":
        raise InvalidParameter(f"{refuse} must start with http://; the server speaks nothing else")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise InvalidParameter(f"{refuse}: the server drops everything from '?' or '#' on")
    if "@" in parts.netloc:
        raise InvalidParameter(f"{refuse}: the server drops a user name and password")
    _check_host(parts.netloc.removesuffix(f":{port}"), refuse)
    if port == 0:
        raise InvalidParameter(f"{refuse}: port 0 cannot be called")
    if parts.path in ("", "/"):
        raise InvalidParameter(f"{refuse} has no path; the service answers at /recommend")
    if not re.fullmatch(r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]*)+", parts.path):
        raise InvalidParameter(f"{refuse}: the path may hold letters, digits and -._~ only")
    return [] if port else [f"{where} names no port, the server will call port 80"]


def nearest(name: str, names: Collection[str]) -> str:
    """``; did you mean 'x'?`` when one of `names` is near, else the list of them."""
    lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), lower, 1, 0.6)
    if close:
        return f"; did you mean {lower[close[0]]!r}?"
    return f"; known are {', '.join(sorted(names))}" if names else ""


def _check_algorithm(entry: object, where: str) -> list[str]:
    fields = _fields(entry, where, {"name"}, {"includers", "filters", "config"})
    name = _known(fields["name"], f"{where}.name", ALGORITHMS)
    includers = _list(fields.get("includers"), f"{where}.includers")
    for number, includer in enumerate(includers):
        if includer == "explicitItemsIncluder":
            raise InvalidParameter(
                f"{where}.includers[{number}]: the server uses explicitItemsIncluder itself, for "
                "calls that bring their items; configured, it includes nothing"
            )
        _known(includer, f"{where}.includers[{number}]", INCLUDERS)
    for number, item in enumerate(_list(fields.get("filters"), f"{where}.filters")):
        _known(item, f"{where}.filters[{number}]", FILTERS)
    config = _check_config(fields.get("config"), f"{where}.config", name == EXTERNAL)
    if name != EXTERNAL:
        return []
    if not includers:
        raise InvalidParameter(
            f"{where}.includers is empty: without one the server never calls the service; "
            f"use {INCLUDERS[0]}"
        )
    if URL not in config:
        raise InvalidParameter(f"{where}.config has no {URL}; the server's default is not a URL")
    advice = check_url(config[URL], f"{where}.config.{URL}")
    listed = int(config.get(ITEMS_PER_INCLUDER, 200))
    for includer in includers:
        if listed > _FITTING[includer]:
            advice.append(
                f"{where}: {listed} items of {includer} exceed 1 MiB, memcached's default item "
                "size: start memcached with -I 8m or more"
            )
    return advice


def _check_config(value: object, where: str, external: bool) -> dict[str, str]:
    if isinstance(value, dict):
        raise InvalidParameter(f'{where} must be a list of {{"name": …, "value": …}}')
    config: dict[str, str] = {}
    for number, entry in enumerate(_list(value, where)):
        option = _fields(entry, f"{where}[{number}]", {"name", "value"})
        name = _string(option["name"], f"{where}[{number}].name")
        if external and name.startswith("io.seldon."):
            _known(name, f"{where}[{number}].name", _OPTIONS)
        if name in config:
            raise InvalidParameter(f"{where}: {name!r} is given twice")
        config[name] = _string(option["value"], f"{where}[{number}].value")
        if name in _WHOLE:
            _whole(config[name], f"{where}.{name}", _WHOLE[name])
    return config


def _check_host(host: str, refuse: str) -> None:
    """Refuse a host that `java.net.URI` finds none in: it would call nothing, without a word."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
        last = "[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
        if not re.fullmatch(rf"(?:{label}|(?:{label}\.)+{last})\.?", host):
            raise InvalidParameter(
                f"{refuse}: {host!r} is no host for the server; it takes letters, digits, '-' "
                "and '.' (no '_'), or an IP address"
            ) from None
    else:
        if (address.version == 6) != (bare is not host):
            raise InvalidParameter(f"{refuse}: an IPv6 address stands in brackets")


def _fields(
    value: object, where: str, required: Set[str], optional: Set[str] = frozenset()
) -> dict[str, Any]:
    """A JSON object's fields; the server refuses the whole node for one that it does not know."""
    if not isinstance(value, dict):
        raise InvalidParameter(f"{where}={shown(value)} must be an object")
    for name in value:
        if name not in required | optional:
            raise InvalidParameter(
                f"{where} has the field {name!r}, which the server refuses"
                f"{nearest(str(name), required | optional)}"
            )
    for name in sorted(required):
        if value.get(name) is None:
            raise InvalidParameter(f"{where} lacks {name!r}")
    return value


def _list(value: object, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidParameter(f"{where}={shown(value)} must be a list")
    return value


def _known(value: object, where: str, names: Collection[str]) -> str:
    if not isinstance(value, str) or value not in names:
        raise InvalidParameter(
            f"{where}={shown(value)} is unknown to the server{nearest(str(value), names)}"
        )
    return value


def _string(value: object, where: str) -> str:
    """Text; the server's reader takes a number or a boolean as its text."""
    if isinstance(value, (str, bool, int, float, Decimal)) and as_text(value).strip():
        return as_text(value)
    raise InvalidParameter(f"{where}={shown(value)} must be a text")


def _number(value: object, where: str) -> Decimal:
    try:
        number = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InvalidParameter(f"{where}={shown(value)} must be a number")
    return number


def _whole(value: object, where: str, least: int) -> int:
    """A Java int in decimal digits."""
    text = as_text(value)
    if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) < 2**31:
        raise InvalidParameter(f"{where}={shown(value)} must be a whole number from {least} up")
    return int(text)
