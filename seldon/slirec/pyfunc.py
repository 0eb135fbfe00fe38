"""The code of the logged MLflow model. MLflow runs this file; nothing of it is pickled.

Input, a row a visitor: ``items``, handles of the products viewed, oldest first;
``timestamps``, when, as text, in seconds or milliseconds since 1970; ``userId``, which is not
read. Output, a row a visitor: ``itemIds``, the shop's ids of the best products, best first, and
``preds``, their scores, 0 to 1. The parameter ``limit`` says how many.
"""

import time
from collections.abc import Mapping
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.model import PythonModel

from seldon.errors import InvalidParameter
from seldon.slirec.packaging import LIMIT, read_artifacts, seconds


class ShopRecommendations(PythonModel):
    """The best products of the inventory after what a visitor viewed."""

    def load_context(self, context: Any) -> None:
        self.recommender, self.inventory = read_artifacts(context.artifacts["model"])
        self.handles = [product.handle for product in self.inventory.products]

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        limit = int((params or {}).get("limit", LIMIT))
        now = time.time()
        try:
            return [self.answer(row, now, limit) for row in model_input.to_dict("records")]
        except InvalidParameter as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None

    def answer(self, row: Mapping[Any, Any], now: float, limit: int) -> dict[str, Any]:
        times = row.get("timestamps")
        names, scores = self.recommender.rank(
            list(row["items"]),
            None if times is None else [seconds(text) for text in times],
            now=now,
            count=limit,
            candidates=self.handles,
        )
        ids = [self.inventory.by_handle[name].id for name in names]
        return {"itemIds": ids, "preds": scores.tolist()}


mlflow.models.set_model(ShopRecommendations())
