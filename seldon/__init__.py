"""A recommender service for Seldon servers, and the models behind it."""

from seldon.base import Recommender, load_recommender, save_recommender
from seldon.deprecated import renamed
from seldon.extension import Extension, load_extension, save_extension
from seldon.wrappers import ExtensionWrapper, RecommenderWrapper

__all__ = [
    "Extension",
    "ExtensionWrapper",
    "Recommender",
    "RecommenderWrapper",
    "__version__",
    "load_extension",
    "load_recommender",
    "save_extension",
    "save_recommender",
]
__version__ = "1.0.0"

__getattr__ = renamed(
    __name__, {"Recommender_wrapper": RecommenderWrapper, "Extension_wrapper": ExtensionWrapper}
)
