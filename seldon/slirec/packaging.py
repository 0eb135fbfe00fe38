"""Step 6: a trained model as an MLflow model: code, safetensors and JSON, no pickle."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import seldon
from seldon.errors import InvalidModel, InvalidParameter, MissingExtra
from seldon.slirec.inventory import InventorySnapshot, read_inventory, write_inventory
from seldon.slirec.model import SLiRecRecommender

LIMIT = 16
"""Recommendations of one answer unless the request's parameter ``limit`` says otherwise."""

CODE = Path(__file__).with_name("pyfunc.py")

_REQUIRED = ("mlflow", "numpy", "pandas", "safetensors")
_LATEST_IN_SECONDS = 1e11  # above it, a timestamp is in milliseconds: in seconds, the year 5138


@dataclass(frozen=True)
class Packaged:
    """Where the logged model is.

    Attributes
    ----------
    uri : str
        What MLflow loads and serves: ``models:/<name>/<version>`` when it was registered.
    version : int, optional
        In the registry.
    """

    uri: str
    version: int | None


def log_model(
    recommender: SLiRecRecommender,
    inventory: InventorySnapshot,
    *,
    tracking_uri: str,
    experiment: str = "slirec",
    registered_name: str | None = None,
    metrics: Mapping[str, float] | None = None,
) -> Packaged:
    """Log the model to an MLflow server or a local database, and register it.

    Parameters
    ----------
    recommender : SLiRecRecommender
    inventory : InventorySnapshot
        What may be recommended, and the shop's ids for it.
    tracking_uri : str
        ``http(s)://…``, ``databricks`` or ``sqlite:///<file>``; beside a database file the
        artifacts go into the folder ``mlartifacts``.
    experiment : str
    registered_name : str, optional
        Name in the model registry; not registered without one.
    metrics : mapping, optional
        Logged with the run.
    """
    mlflow = _mlflow()
    # The module's global address is left alone: this process may log elsewhere as well.
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    try:
        run = {"experiment_id": _experiment(mlflow, tracking_uri, experiment)}
        with mlflow.start_run(**run), _parts(recommender, inventory) as parts:
            mlflow.log_metrics(dict(metrics or {}))
            logged = mlflow.pyfunc.log_model(
                name="slirec", registered_model_name=registered_name, **parts
            )
    finally:
        mlflow.set_tracking_uri(before[0])
        mlflow.set_registry_uri(before[1])
    if registered_name is None:
        return Packaged(str(logged.model_uri), None)
    version = int(logged.registered_model_version)
    return Packaged(f"models:/{registered_name}/{version}", version)


def save_model(
    recommender: SLiRecRecommender, inventory: InventorySnapshot, path: str | os.PathLike[str]
) -> None:
    """Write the MLflow model to a folder, which must not exist; no tracking server is needed."""
    mlflow = _mlflow()
    if Path(path).exists():
        raise InvalidParameter(
            f"{os.fspath(path)!r} exists already; an MLflow model is not replaced"
        )
    with _parts(recommender, inventory) as parts:
        mlflow.pyfunc.save_model(os.fspath(path), **parts)


def write_artifacts(
    recommender: SLiRecRecommender, inventory: InventorySnapshot, folder: str | os.PathLike[str]
) -> None:
    """Write what the logged code reads: weights.safetensors, model.json, inventory.json."""
    from safetensors.numpy import save_file

    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    arrays, document = recommender.to_arrays()
    save_file(
        {name: values.copy() for name, values in arrays.items()}, where / "weights.safetensors"
    )
    text = json.dumps(document, ensure_ascii=False)
    (where / "model.json").write_text(text, encoding="utf-8")
    write_inventory(inventory, where / "inventory.json")


def read_artifacts(
    folder: str | os.PathLike[str],
) -> tuple[SLiRecRecommender, InventorySnapshot]:
    """Read what `write_artifacts` wrote; safetensors checks every size before it allocates.

    Raises
    ------
    InvalidModel
        A file is missing, damaged, or of another model.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise MissingExtra("safetensors", "slirec") from None
    where = Path(folder)
    try:
        arrays = load_file(where / "weights.safetensors")
        document = json.loads((where / "model.json").read_text(encoding="utf-8"))
        recommender = SLiRecRecommender.from_arrays(arrays, document)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InvalidModel(f"{where}: not a packaged SLi-Rec model: {error}") from error
    return recommender, read_inventory(where / "inventory.json")


def seconds(timestamp: str | float) -> float:
    """Seconds since 1970 of a timestamp as clients send them: text or number, s or ms."""
    try:
        value = float(timestamp)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        shown = str(timestamp) if isinstance(timestamp, str) else timestamp  # numpy's text as ours
        raise InvalidParameter(
            f"timestamps has {shown!r}, expected seconds or milliseconds since 1970"
        )
    return value / 1000 if abs(value) > _LATEST_IN_SECONDS else value


@contextmanager
def _parts(
    recommender: SLiRecRecommender, inventory: InventorySnapshot
) -> Iterator[dict[str, Any]]:
    """What MLflow is told, with the files it copies in a folder that is gone afterwards."""
    known = set(recommender.vocabulary.items)
    example = [product.handle for product in inventory.products if product.handle in known][:3]
    if not example:
        raise InvalidParameter(
            f"the model knows none of the {len(inventory)} products of the inventory; was it "
            "trained on this shop's events?"
        )
    with tempfile.TemporaryDirectory() as folder:
        write_artifacts(recommender, inventory, Path(folder) / "artifacts")
        yield {
            "python_model": str(CODE),
            "artifacts": {"model": str(Path(folder) / "artifacts")},
            "code_paths": [str(_code(Path(folder) / "seldon"))],
            "signature": _signature(),
            "input_example": {
                "userId": "visitor-1",
                "items": example,
                "timestamps": [str(1_700_000_000 + 60 * n) for n in range(len(example))],
            },
            "pip_requirements": [f"{name}=={metadata.version(name)}" for name in _REQUIRED],
        }


def _code(target: Path) -> Path:
    """A copy of this package without its services, so that MLflow needs no checkout."""
    source = Path(seldon.__file__).parent
    left_out = {path.name for path in source.iterdir() if path.is_dir()} - {"slirec"}

    def ignored(folder: str, names: list[str]) -> set[str]:
        top = left_out if Path(folder) == source else set()
        return {name for name in names if name in top or name == "__pycache__"}

    shutil.copytree(source, target, ignore=ignored)
    return target


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array

    text = DataType.string
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(Array(text), "items"),
                ColSpec(Array(text), "timestamps", required=False),
                ColSpec(text, "userId", required=False),
            ]
        ),
        outputs=Schema([ColSpec(Array(text), "itemIds"), ColSpec(Array(DataType.double), "preds")]),
        params=ParamSchema([ParamSpec("limit", DataType.long, LIMIT)]),
    )


def _experiment(mlflow: Any, tracking_uri: str, name: str) -> str:
    found = mlflow.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    place = None
    if tracking_uri.startswith("sqlite:///"):
        database = Path(tracking_uri.removeprefix("sqlite:///")).resolve()
        place = (database.parent / "mlartifacts").as_uri()
    return str(mlflow.create_experiment(name, artifact_location=place))


def _mlflow() -> Any:
    try:
        import mlflow
        import mlflow.pyfunc
    except ImportError as error:
        raise MissingExtra(error.name or "mlflow", "mlflow") from None
    return mlflow
