"""Pipelines in model folders, in the skops format: data and names of types, no pickle.

A pickle runs whatever its author wrote; a skops file names types, and only those on *our* list
are made: scikit-learn's classes, ours, XGBoost's, and what this process has registered with
`trust`. The list is never read from the file.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from seldon.errors import InvalidModel, MissingExtra
from seldon.folders import MANIFEST, open_folder, publishing
from seldon.locations import Location, delivered, fetched

FILE = "pipeline.skops"
KIND = "scikit-learn pipeline"

_XGBOOST = {
    f"xgboost.{name}"
    for name in (
        "core.Booster",
        "sklearn.XGBClassifier",
        "sklearn.XGBRFClassifier",
        "sklearn.XGBRegressor",
    )
}
_trusted: set[str] = set()

T = TypeVar("T", bound=Callable[..., Any])


def trust(made: T) -> T:
    """Let pipelines hold objects of this class, or this function; usable as a decorator.

    Register your own transforms where they are defined, and import that module before a
    pipeline with them is loaded.
    """
    _trusted.add(f"{made.__module__}.{made.__qualname__}")
    return made


def save_pipeline(
    pipeline: Any,
    location: Location,
    *,
    storage: Mapping[str, Any] | None = None,
    work_folder: Location | None = None,
) -> None:
    """Write a fitted scikit-learn pipeline to a model folder, whole or not at all.

    Parameters
    ----------
    pipeline : estimator
        A `sklearn.pipeline.Pipeline`, or any single estimator.
    location : path or fsspec URL
    storage, work_folder
        As for `seldon.locations.fetched`.

    Raises
    ------
    InvalidModel
        It holds a type that `load_pipeline` would refuse; see `trust`.
    """
    skops = _skops()
    try:
        content = skops.dumps(pipeline)
    except Exception as error:  # whatever a step's own state may raise
        raise InvalidModel(f"{pipeline!r} cannot be saved: {error}") from error
    _check_types(skops.get_untrusted_types(data=content), "the pipeline")
    with (
        delivered(location, storage, work_folder) as target,
        publishing(target, KIND, {"libraries": _library_versions()}) as folder,
    ):
        (folder / FILE).write_bytes(content)


def load_pipeline(
    location: Location,
    *,
    trusted: bool | Collection[str] = False,
    storage: Mapping[str, Any] | None = None,
    work_folder: Location | None = None,
) -> Any:
    """Load what `save_pipeline` wrote.

    Parameters
    ----------
    location : path or fsspec URL
    trusted : bool or collection of str
        Whether a folder of the original Seldon package, a pickle named ``p``, is read: see
        `seldon.originals.unpickled`.
    storage, work_folder
        As for `seldon.locations.fetched`.

    Raises
    ------
    ModelNotFound, InvalidModel
        No model folder, a damaged one, one with types that are not trusted, or one made by
        library versions that this process cannot read.
    """
    with fetched(location, storage, work_folder) as path:
        if (path / "p").is_file() and not (path / MANIFEST).exists():
            from seldon.originals import unpickled

            return unpickled(path / "p", None, trusted)
        folder = open_folder(path)
        if folder.kind != KIND or FILE not in folder.files:
            raise InvalidModel(f"{location}: holds a {folder.kind!r}, not a {KIND}")
        # What is checked is what is read, whatever happens to the file in between.
        return _loaded((path / FILE).read_bytes(), location, folder.metadata)


def _loaded(content: bytes, location: Location, metadata: Mapping[str, Any]) -> Any:
    skops = _skops()
    try:
        types = skops.get_untrusted_types(data=content)
        _check_types(types, str(location))
        return skops.loads(content, trusted=types)
    except InvalidModel:
        raise
    except Exception as error:  # a file of another library version may raise anything
        made_by = metadata.get("libraries", {})
        raise InvalidModel(
            f"{location}: cannot be read: {type(error).__name__}: {error}. It was written with "
            f"{_listed(made_by)}; here is {_listed(_library_versions())}"
        ) from error


def _check_types(names: Collection[str], owner: str) -> None:
    refused = sorted(name for name in names if not _is_trusted(name))
    if refused:
        raise InvalidModel(
            f"{owner} holds {', '.join(refused)}, which is not on the list of trusted types; "
            "if it is yours, mark it with @seldon.pipeline.trust where it is defined and import "
            "that module before the pipeline is loaded"
        )


def _is_trusted(name: str) -> bool:
    if name in _trusted or name in _XGBOOST:
        return True
    module, _, attribute = name.rpartition(".")
    package, _, rest = module.partition(".")
    ours = module.startswith("seldon.pipeline.") or module in (
        "seldon.sklearn_estimator",
        "seldon.xgb",
    )
    theirs = package == "sklearn" and not rest.startswith(("externals", "datasets", "tests"))
    # Their functions stay out: a pipeline that calls one is as free as a program.
    return (ours or theirs) and isinstance(_attribute(module, attribute), type)


def _attribute(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def _library_versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name in ("scikit-learn", "numpy", "pandas", "skops", "xgboost-cpu", "xgboost"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "(unknown)"


def _skops() -> Any:
    try:
        import skops.io
    except ImportError:
        raise MissingExtra("skops", "predict") from None
    return skops.io
