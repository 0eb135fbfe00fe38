"""The documented import path of `Recommender`, `Extension` and their wrappers."""

from seldon.base import Recommender
from seldon.deprecated import renamed
from seldon.extension import Extension
from seldon.wrappers import ExtensionWrapper, RecommenderWrapper

__all__ = ["Extension", "ExtensionWrapper", "Recommender", "RecommenderWrapper"]

__getattr__ = renamed(
    __name__, {"Recommender_wrapper": RecommenderWrapper, "Extension_wrapper": ExtensionWrapper}
)
