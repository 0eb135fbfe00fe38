"""A recommender service for Seldon servers, and the models behind it."""

from seldon.base import Recommender, load_recommender, save_recommender

__all__ = ["Recommender", "__version__", "load_recommender", "save_recommender"]
__version__ = "1.0.0"
