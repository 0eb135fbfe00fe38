"""Algorithms: one file under `algs/`, one function; loaded, called in bounded time, cleaned."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from seldon.base import Recommender, Scored
from seldon.candidates import NO_IDS, CandidateList, Ids
from seldon.errors import AlgorithmNotFound, InvalidModel, SeldonError
from seldon.live import LiveModel
from seldon.settings import ALGORITHM_NAME

EXTRAS = ("dimensions", "item_id")
FUNCTION = "get_recommendations"
PARAMETERS = 5


@dataclass(frozen=True)
class Algorithm:
    """A loaded algorithm.

    Attributes
    ----------
    name : str
    function : callable
        ``get_recommendations(user_id, client, recent, data_set, limit)``.
    extras : tuple of str
        Which of `EXTRAS` it asks for by parameter name.
    catalogue : callable
        The ids it can recommend when the caller names no candidates.
    version : callable
        Text that changes with the code or the model it serves.
    contributions : callable
        ``contributions(user_id, item, recent, client)``: what each past interaction adds to an
        item's score; empty where it cannot tell.
    quick : bool
        Its time is bounded by what it is; it is called without a time limit.
    """

    name: str
    function: Callable[..., Scored]
    extras: tuple[str, ...]
    catalogue: Callable[[], CandidateList]
    version: Callable[[], str]
    contributions: Callable[..., list[tuple[int, float]]] = lambda *_: []
    quick: bool = False


def load_algorithm(
    name: str, folders: Sequence[Path], mc: object, config: Mapping[str, Any]
) -> Algorithm:
    """Import ``<name>.py`` from the first folder that has it and run its ``init(mc, config)``.

    Parameters
    ----------
    name : str
        A file name without ``.py``: lower-case letters, digits and underscores.
    folders : sequence of Path
    mc : object
        Handed to ``init``: a pool of memcached clients with ``reserve()``.
    config : mapping
        Handed to ``init``: the settings.

    Raises
    ------
    AlgorithmNotFound
        No such file, a file that does not import, one without the function, or an ``init``
        that raised.
    """
    if not ALGORITHM_NAME.fullmatch(name):
        raise AlgorithmNotFound(f"RECOMMENDER_ALG={name!r}: a name has only a-z, 0-9 and _")
    path = next((f / f"{name}.py" for f in folders if (f / f"{name}.py").is_file()), None)
    if path is None:
        raise AlgorithmNotFound(_missing(name, folders))
    module = _import(name, path)
    _initialise(module, path, mc, config)
    return from_module(module, name, hashlib.sha256(path.read_bytes()).hexdigest()[:12])


def from_module(module: ModuleType, name: str, version: str) -> Algorithm:
    """The algorithm in an imported module.

    The module may define ``catalogue()``, an array of ids, and ``version()``, a text, which may
    answer differently from call to call, ``contributions(user_id, item, recent, client)``, and
    ``QUICK = True``.
    """
    function = getattr(module, FUNCTION, None)
    if not callable(function):
        raise AlgorithmNotFound(
            f"{module.__file__} has no function "
            f"{FUNCTION}(user_id, client, recent, data_set, limit)"
        )
    return Algorithm(
        name,
        function,
        _extras(function, module.__file__ or name),
        _Catalogue(getattr(module, "catalogue", lambda: NO_IDS)),
        getattr(module, "version", lambda: version),
        getattr(module, "contributions", lambda *_: []),
        getattr(module, "QUICK", False) is True,
    )


def from_recommender(recommender: Recommender, name: str, version: str) -> Algorithm:
    """A `Recommender` as an algorithm."""
    return Algorithm(
        name,
        as_function(recommender),
        (),
        _Catalogue(recommender.catalogue),
        lambda: version,
        recommender.contributions,
    )


def from_live_model(live: LiveModel, name: str) -> Algorithm:
    """The newest model of a folder as an algorithm."""
    return Algorithm(
        name,
        lambda *query: as_function(live.get().model)(*query),
        (),
        _Catalogue(lambda: live.get().model.catalogue()),
        lambda: live.get().version,
        lambda *query: live.get().model.contributions(*query),
    )


def as_function(recommender: Recommender) -> Callable[..., Scored]:
    """``get_recommendations`` that asks `recommender`."""

    def get_recommendations(
        user_id: int, client: str, recent: Sequence[int], data_set: Any, limit: int
    ) -> Scored:
        return recommender.recommend(user_id, data_set, recent, client, limit)

    return get_recommendations


def as_recommender(function: Callable[..., Scored]) -> Recommender:
    """A `Recommender` that asks ``get_recommendations``; it can be saved by the function's name."""
    return FunctionRecommender(function)


class FunctionRecommender(Recommender):
    """Asks a plug-in function.

    Parameters
    ----------
    function : callable or str
        ``get_recommendations``, or its place, ``"module:name"``.
    """

    def __init__(self, function: Callable[..., Scored] | str) -> None:
        if isinstance(function, str):
            module, _, name = function.partition(":")
            try:
                function = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError, ValueError) as error:
                raise InvalidModel(f"{module}:{name} cannot be imported: {error}") from error
        if not callable(function):
            raise InvalidModel(f"{function!r} is not a function")
        self.function = function

    def recommend(
        self,
        user: int,
        ids: Collection[int],
        recent_interactions: Sequence[int],
        client: str,
        limit: int,
    ) -> Scored:
        return self.function(user, client, recent_interactions, ids, limit)

    def get_params(self) -> dict[str, Any]:
        place = f"{self.function.__module__}:{self.function.__qualname__}"
        if "<" in place or self.function.__module__ == "__main__":
            raise InvalidModel(
                f"{place} cannot be found again; put the function at the top level of a module"
            )
        return {"function": place}


class _Catalogue:
    """Remembers the list made of an array for as long as the algorithm answers that array."""

    def __init__(self, catalogue: Callable[[], Any]) -> None:
        self._catalogue = catalogue
        self._last: tuple[Any, CandidateList] | None = None

    def __call__(self) -> CandidateList:
        ids = self._catalogue()
        last = self._last
        if last is None or last[0] is not ids:
            last = (ids, CandidateList(_distinct(ids)))
            self._last = last
        return last[1]


def _distinct(ids: Any) -> Ids:
    array = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids))
    return np.unique(array.astype(np.int64)) if array.size else NO_IDS


def _import(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"algs.{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[spec.name]
        raise AlgorithmNotFound(f"{path} was found but does not import: {_named(error)}") from error
    return module


def _initialise(module: ModuleType, path: Path, mc: object, config: Mapping[str, Any]) -> None:
    init = getattr(module, "init", None)
    if init is None:
        return
    try:
        init(mc, config)
    except SeldonError:
        raise
    except (Exception, SystemExit) as error:
        raise AlgorithmNotFound(f"{path}: init(mc, config) raised {_named(error)}") from error


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _extras(function: Callable[..., Any], where: str) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    extras = tuple(p.name for p in parameters if p.name in EXTRAS)
    required = [p for p in positional if p.default is p.empty and p.name not in EXTRAS]
    takes_more = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    room = len([p for p in positional if p.name not in EXTRAS])
    if len(required) > PARAMETERS or (room < PARAMETERS and not takes_more):
        shown = ", ".join(p.name for p in parameters)
        raise AlgorithmNotFound(
            f"{where}: {FUNCTION}({shown}) must take (user_id, client, recent, data_set, limit)"
        )
    return extras


def _missing(name: str, folders: Sequence[Path]) -> str:
    known = sorted({p.stem for folder in folders[:1] for p in folder.glob("[a-z_]*.py")})
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known) or 'none'}"
    return f"RECOMMENDER_ALG={name!r}: no {name}.py in {', '.join(map(str, folders))}; {hint}"
