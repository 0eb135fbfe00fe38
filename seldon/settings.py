"""The table of settings: name, default, what a value must be, and what it does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ALGORITHM_NAME = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class Setting:
    """One setting: its default, what it must be, and what it does."""

    name: str
    default: Any
    expected: str
    is_valid: Callable[[Any], bool]
    help: str


def _is_number(low: float, high: float, kind: Any = int) -> Callable[[Any], bool]:
    def is_valid(value: Any) -> bool:
        return isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high

    return is_valid


def _is_memcache(value: Any) -> bool:
    servers, size = value["servers"], value["pool_size"]
    return (
        isinstance(servers, list)
        and all(isinstance(s, str) and _is_address(s) for s in servers)
        and len(set(servers)) == len(servers)
        and _is_number(1, 1000)(size)
    )


def _is_address(text: str) -> bool:
    """``host:port``, ``host``, or the path of a unix socket."""
    if text.startswith("/"):
        return True
    host, _, port = text.rpartition(":")
    if not host:
        return bool(re.fullmatch(r"[A-Za-z0-9._-]+", text))
    return bool(re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]", host)) and (
        port.isascii() and port.isdigit() and 0 < int(port) < 65536
    )


def _is_api_keys(value: Any) -> bool:
    keys = [*value["admin"], *value["recommend"]]
    sound = all(isinstance(key, str) and not set(key) & set(", \t\r\n") for key in keys)
    return sound and (not any(keys) or any(value["admin"]))


def _is_chain(value: Any) -> bool:
    names = [value] if isinstance(value, str) else value
    return (
        isinstance(names, list)
        and len(names) > 0
        and all(isinstance(n, str) and ALGORITHM_NAME.fullmatch(n) for n in names)
    )


def _is_chains(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(client, str) and _is_chain(chain) for client, chain in value.items()
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _one_of(*names: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in names


_TABLE = [
    Setting(
        "RECOMMENDER_ALG",
        "example_alg",
        "the name of a file in algs/ without .py, or a list of names tried in order",
        _is_chain,
        "the algorithm: a file in algs/, or a list of files tried in order",
    ),
    Setting(
        "RECOMMENDER_ALGS",
        {},
        "a dict of client name to algorithm name or list of names",
        _is_chains,
        "other algorithms for some clients: {'client': 'name' or ['name', ...]}",
    ),
    Setting(
        "MEMCACHE",
        {"servers": ["127.0.0.1:11211"], "pool_size": 4},
        "{'servers': ['host:port', ...], 'pool_size': 1 to 1000}",
        _is_memcache,
        "memcached servers in the order the Seldon server lists them, connections per process",
    ),
    Setting(
        "RECOMMENDER_MODEL",
        "",
        "a path",
        _is_text,
        "folder of a saved recommender, for saved_recommender",
    ),
    Setting(
        "INTERACTIONS",
        "",
        "a path",
        _is_text,
        "events that most_popular and recent_similarity learn from",
    ),
    Setting(
        "RANDOM_SEED",
        None,
        "an integer or None",
        lambda v: v is None or _is_number(0, 2**63 - 1)(v),
        "seed of example_alg, so that the same request gets the same answer",
    ),
    Setting(
        "SCORE_NORMALIZATION",
        "max",
        "'max' or 'none'",
        _one_of("max", "none"),
        "'max' divides by the best score; 'none' only clips to 0..1",
    ),
    Setting(
        "ON_CANDIDATE_FAILURE",
        "error",
        "'error' or 'catalogue'",
        _one_of("error", "catalogue"),
        "memcached cannot be asked: 503, or the algorithm's own items",
    ),
    Setting(
        "CACHE_BUDGET_MS",
        150,
        "a number from 1 to 60000",
        _is_number(1, 60_000, (int, float)),
        "time for all memcached calls of one request",
    ),
    Setting(
        "ALGORITHM_BUDGET_MS",
        400,
        "a number from 1 to 60000",
        _is_number(1, 60_000, (int, float)),
        "time for all algorithms of one request; the Seldon server waits 2 s",
    ),
    Setting(
        "ALGORITHM_SLOTS",
        4,
        "an integer from 1 to 1000",
        _is_number(1, 1000),
        "calls of one algorithm at a time in a process; a stuck call holds one",
    ),
    Setting(
        "CANDIDATE_CACHE_BYTES",
        64 * 2**20,
        "an integer from 0 to 2**40",
        _is_number(0, 2**40),
        "memory for parsed candidate lists in each process",
    ),
    Setting(
        "CANDIDATE_TRUST_SECONDS",
        0,
        "a number from 0 to 3600",
        _is_number(0, 3600, (int, float)),
        "how long a list is used without asking memcached whether it changed",
    ),
    Setting(
        "MAX_CANDIDATES",
        200_000,
        "an integer from 1 to 10**8",
        _is_number(1, 10**8),
        "ids read of one request's lists; the rest is cut and the answer flagged",
    ),
    Setting(
        "MAX_QUERY_BYTES",
        65_536,
        "an integer from 1000 to 10**8",
        _is_number(1000, 10**8),
        "longest query string; above it 414, of /predict and /extension 400",
    ),
    Setting(
        "MAX_BODY_BYTES",
        2**20,
        "an integer from 1000 to 10**9",
        _is_number(1000, 10**9),
        "longest body read; above it 413, of /predict and /extension 400",
    ),
    Setting(
        "MAX_WAITING",
        64,
        "an integer from 1 to 100000",
        _is_number(1, 100_000),
        "requests waiting in one worker before it refuses more with 503",
    ),
    Setting(
        "REQUIRE_CACHE",
        False,
        "True or False",
        _is_bool,
        "/readyz answers 503 while no memcached server can be reached",
    ),
    Setting(
        "DRAIN_SECONDS",
        1,
        "a number from 0 to 300",
        _is_number(0, 300, (int, float)),
        "after SIGTERM: /readyz says 503 and requests are still taken for this long",
    ),
    Setting(
        "LOG_LEVEL",
        "INFO",
        "'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        _one_of("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO writes a line a request; WARNING only what is wrong",
    ),
    Setting(
        "LOG_QUERIES",
        0,
        "a number from 0 to 1",
        lambda v: isinstance(v, (int, float)) and 0 <= v <= 1,
        "share of requests whose query and answer are logged, for seldon.replay",
    ),
    Setting(
        "LOG_USER_KEY",
        "",
        "a text",
        _is_text,
        "a secret under which user ids in the log are hashed; empty logs them as they are",
    ),
    Setting(
        "API_KEYS",
        {"admin": [], "recommend": []},
        "{'admin': ['primary', 'secondary'], 'recommend': ['primary', 'secondary']}, keys "
        "without commas or blanks, at least one of them admin, or none at all",
        _is_api_keys,
        "keys of the models API (header x-api-key); without any it is not mounted",
    ),
    Setting(
        "MODELS_CALLS_PER_MINUTE",
        600_000,
        "an integer from 0 to 10**9",
        _is_number(0, 10**9),
        "calls with one key on one host, above it 429; 0 is no limit",
    ),
    Setting(
        "MODELS_REFUSALS_PER_MINUTE",
        60,
        "an integer from 0 to 10**9",
        _is_number(0, 10**9),
        "calls from one address without a valid key, above it 429; 0 is no limit",
    ),
    Setting(
        "MODELS_ROOT",
        "var/models",
        "a path",
        lambda v: _is_text(v) and v != "",
        "folder of the models API's trained models and their registry",
    ),
    Setting(
        "MODELS_INPUT_ROOT",
        "var/inputs",
        "a path or an fsspec address like s3://bucket/prefix",
        lambda v: _is_text(v) and v != "",
        "where usage and catalog files lie: a folder in it is a container",
    ),
    Setting(
        "MODELS_DATABASE",
        "",
        "a database URL: sqlite:///… or postgresql://…",
        lambda v: v == "" or v.startswith(("sqlite:", "postgresql:")),
        "registry of models; empty is SQLite in MODELS_ROOT, for one host",
    ),
    Setting(
        "MODELS_LOADED",
        16,
        "an integer from 1 to 10000",
        _is_number(1, 10_000),
        "models of the models API in memory per process",
    ),
    Setting(
        "MODELS_MEMORY_BYTES",
        4 * 2**30,
        "an integer from 1 to 2**50",
        _is_number(1, 2**50),
        "and their files' size together",
    ),
    Setting(
        "TRAINING_MEMORY_BYTES",
        0,
        "an integer from 0 to 2**50",
        _is_number(0, 2**50),
        "memory a training may use; 0 is four fifths of the machine or container",
    ),
    Setting(
        "START_TRAINER",
        True,
        "True or False",
        _is_bool,
        "start a trainer beside the web processes when there is something to train",
    ),
    Setting(
        "SWAGGER_UI",
        True,
        "True or False",
        _is_bool,
        "serve the models API's description at /swagger",
    ),
    Setting(
        "MODELS_PAGE",
        True,
        "True or False",
        _is_bool,
        "serve the page for people at /models, behind an admin key",
    ),
]
SETTINGS = {setting.name: setting for setting in _TABLE}
SECRET = frozenset({"API_KEYS", "LOG_USER_KEY", "MODELS_DATABASE"})
