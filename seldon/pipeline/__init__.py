"""Prediction pipelines: scikit-learn over pandas, saved without pickle and served."""

from seldon.pipeline.storing import load_pipeline, save_pipeline, trust

__all__ = ["load_pipeline", "save_pipeline", "trust"]
