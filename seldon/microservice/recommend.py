"""Puts ``/recommend`` together: memcached, algorithms, service, endpoint."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask

from seldon.algorithms import Algorithm, load_algorithm
from seldon.candidate_store import CandidateStore
from seldon.memcache.libmemcached import SafePool
from seldon.memcache.servers import connect
from seldon.memory import give_back_memory
from seldon.microservice.endpoint import RecommendEndpoint
from seldon.microservice.explain import create_explain_blueprint
from seldon.microservice.service import RecommendService
from seldon.operation.log import RequestLog


def mount_recommend(
    app: Flask, algorithms: Algorithms, settings: dict[str, Any], request_log: RequestLog
) -> RecommendService:
    """Answer ``/recommend`` in front of a Flask app's own routes.

    The route is WSGI middleware, because what Flask does around a view (request object,
    contexts, routing, response object) costs more than this view itself.
    """
    memcache = connect(settings["MEMCACHE"]["servers"], settings["MEMCACHE"]["pool_size"])
    store = CandidateStore(
        memcache,
        settings["CANDIDATE_CACHE_BYTES"],
        settings["MAX_CANDIDATES"],
        settings["CANDIDATE_TRUST_SECONDS"],
    )
    service = RecommendService(store, algorithms.chain, algorithms.chains, settings)
    app.wsgi_app = RecommendEndpoint(  # type: ignore[method-assign]
        service, app.wsgi_app, settings, request_log
    )
    app.extensions["recommend"] = service
    app.register_blueprint(create_explain_blueprint(service))
    app.extensions["readiness"].add("memcached", _cache_check(service, settings["REQUIRE_CACHE"]))
    app.extensions["readiness"].add(
        "algorithms", lambda: {"ok": True, "loaded": algorithms.versions()}
    )
    return service


@dataclass(frozen=True)
class Algorithms:
    """Who is asked for recommendations.

    Attributes
    ----------
    chain : list of Algorithm
        Tried in order until one answers something.
    chains : dict of str to list of Algorithm
        Client to its own chain.
    """

    chain: list[Algorithm]
    chains: dict[str, list[Algorithm]] = field(default_factory=dict)

    @classmethod
    def load(cls, settings: dict[str, Any], folders: Sequence[Path]) -> Algorithms:
        """The chains that the settings name, each algorithm loaded once.

        Parameters
        ----------
        settings : mapping
        folders : sequence of Path
            Where ``<name>.py`` is looked for.
        """
        pool = SafePool(settings["MEMCACHE"]["servers"], settings["MEMCACHE"]["pool_size"])
        loaded: dict[str, Algorithm] = {}

        def chain(names: str | list[str]) -> list[Algorithm]:
            names = [names] if isinstance(names, str) else names
            for name in names:
                if name not in loaded:
                    loaded[name] = load_algorithm(name, folders, pool, settings)
            return [loaded[name] for name in names]

        chains = {client: chain(names) for client, names in settings["RECOMMENDER_ALGS"].items()}
        loaded_chain = chain(settings["RECOMMENDER_ALG"])
        give_back_memory()  # what learning at start has freed
        return cls(loaded_chain, chains)

    def versions(self) -> dict[str, str]:
        """Version by name, of every algorithm there is."""
        every = itertools.chain(self.chain, *self.chains.values())
        return {algorithm.name: algorithm.version() for algorithm in every}


def _cache_check(service: RecommendService, required: bool) -> Callable[[], dict[str, Any]]:
    def check() -> dict[str, Any]:
        servers = service.store.memcache.reachable()
        return {"ok": not required or any(servers.values()), "servers": servers}

    return check
