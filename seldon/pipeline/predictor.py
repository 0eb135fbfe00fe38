"""`Predictor`: a pipeline that answers class probabilities; what ``/predict`` and gRPC share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from seldon.errors import InvalidModel, InvalidParameter, SeldonError

# What a pipeline raises at data it cannot use: a fault of the request, not of the service.
DATA_ERRORS = (ValueError, TypeError, KeyError, IndexError)
MAX_REASON = 500
ONE_ROW = pd.RangeIndex(1)

Features = pd.DataFrame | npt.NDArray[Any]


class Prediction(NamedTuple):
    """One class of an answer.

    Attributes
    ----------
    name : str
    probability : float
        0 to 1, finite.
    """

    name: str
    probability: float


class PredictionFailed(SeldonError):
    """The pipeline answered something that is no list of probabilities."""


class Predictor:
    """Asks a fitted pipeline for the classes of one row.

    Parameters
    ----------
    pipeline : estimator
        Anything with `predict_proba`; of a scikit-learn `Pipeline` the last step decides.
    model_name : str

    Raises
    ------
    InvalidModel
        It has no `predict_proba`, or is not fitted.
    """

    def __init__(self, pipeline: Any, model_name: str) -> None:
        self.pipeline = pipeline
        self.model_name = model_name
        self._estimator = pipeline.steps[-1][1] if hasattr(pipeline, "steps") else pipeline
        _check(pipeline, self._estimator)
        names = getattr(pipeline, "feature_names_in_", None)
        self._expected = None if names is None else list(names)
        self._columns: dict[tuple[str, ...], pd.Index] = {}
        self._names: list[str] = []

    def features(self, document: Any) -> Features:
        """What the pipeline gets for a JSON document: exactly one row.

        Parameters
        ----------
        document : dict or list
            An object makes a DataFrame as ``pandas.DataFrame([document])`` would; where the
            pipeline knows the names it was fitted with, the columns come in that order. A
            list makes an array of shape (1, n), or such a DataFrame where names are known.

        Raises
        ------
        InvalidParameter
            Neither, empty, of more than one row, or without a feature the pipeline needs.
        """
        if isinstance(document, list):
            return self._row_of_list(document)
        if not isinstance(document, dict):
            raise InvalidParameter(
                f"the features are a JSON {_json_type(document)}; expected an object or a list"
            )
        if not document:
            raise InvalidParameter("the features are an empty object; expected names and values")
        if self._expected is not None:
            document = self._in_order(document, self._expected)
        values = list(document.values())
        if all(type(value) is float for value in values):
            # One block of floats: a tenth of the time of the general way, the same frame.
            row = np.array([values], np.float64)
            return pd.DataFrame(row, ONE_ROW, self._index(tuple(document)), copy=False)
        return pd.DataFrame([document])

    def predict(self, features: Features) -> list[Prediction]:
        """Probabilities of the first row, in the order of the pipeline's classes.

        Raises
        ------
        InvalidParameter
            The pipeline cannot use these features; its own message is the reason.
        PredictionFailed
            It answered no probabilities.
        """
        try:
            probabilities = self.pipeline.predict_proba(features)
        except SeldonError:
            raise
        except DATA_ERRORS as error:
            raise InvalidParameter(
                f"the pipeline refuses these features: {_reason(error)}"
            ) from error
        return self._named(probabilities)

    def _named(self, probabilities: Any) -> list[Prediction]:
        try:
            row = np.asarray(probabilities)[0].tolist()
            if not all(math.isfinite(value) for value in row):
                raise PredictionFailed(f"the pipeline answered {row}, not finite numbers")
        except (IndexError, TypeError, ValueError) as error:
            raise PredictionFailed(
                f"the pipeline answered no row of probabilities: {error}"
            ) from error
        if len(self._names) != len(row):
            self._names = class_names(self._estimator, len(row))
        return list(map(Prediction, self._names, row))

    def _row_of_list(self, values: list[Any]) -> Features:
        if len(values) == 1 and isinstance(values[0], list):
            values = values[0]  # a list of one row
        if not values or any(isinstance(value, (list, dict)) for value in values):
            raise InvalidParameter(
                "the features are a list that is not one row; expected one value a feature"
            )
        if self._expected is not None:
            if len(values) != len(self._expected):
                raise InvalidParameter(
                    f"the features are a list of {len(values)} values; expected "
                    f"{len(self._expected)}: {', '.join(map(str, self._expected))}"
                )
            return self.features(dict(zip(self._expected, values, strict=True)))
        return np.array(values).reshape(1, -1)

    def _in_order(self, document: Mapping[str, Any], expected: Sequence[str]) -> dict[str, Any]:
        missing = [name for name in expected if name not in document]
        if missing:
            raise InvalidParameter(f"missing features: {', '.join(map(str, missing))}")
        ordered = {name: document[name] for name in expected}
        return ordered if len(ordered) == len(document) else {**ordered, **document}

    def _index(self, names: tuple[str, ...]) -> pd.Index:
        index = self._columns.get(names)
        if index is None:
            index = pd.Index(names)
            if len(self._columns) < 100:  # callers choose the names; memory must not follow them
                self._columns[names] = index
        return index


def class_names(estimator: Any, number: int) -> list[str]:
    """Names of the columns of `predict_proba`.

    Parameters
    ----------
    estimator : estimator
        Names come from its ``get_class_id_map()``, a dict of column to name, if it has that;
        else from ``classes_``; else a column's name is its number.
    number : int
        How many columns there are.
    """
    id_map = estimator.get_class_id_map() if hasattr(estimator, "get_class_id_map") else {}
    classes = getattr(estimator, "classes_", None)
    if classes is None or len(classes) != number:
        classes = range(number)
    return [str(id_map.get(place, name)) for place, name in enumerate(classes)]


def _check(pipeline: Any, estimator: Any) -> None:
    if not hasattr(pipeline, "predict_proba"):
        kind = type(estimator).__name__
        raise InvalidModel(
            f"{kind} has no predict_proba: it is a regressor, a transformer, or a classifier "
            "without probabilities. /predict serves probabilities of classes; wrap it, for "
            "example in sklearn.calibration.CalibratedClassifierCV, or choose another last step"
        )
    if type(estimator).__module__.startswith("sklearn."):
        from sklearn.exceptions import NotFittedError
        from sklearn.utils.validation import check_is_fitted

        try:
            check_is_fitted(estimator)
        except NotFittedError as error:
            raise InvalidModel(f"the pipeline is not fitted: {error}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error}"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= MAX_REASON else f"{text[:MAX_REASON]}…"


def _json_type(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")
