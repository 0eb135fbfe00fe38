"""The Iris pipeline that the tests of prediction serve."""

import pytest


@pytest.fixture(scope="session")
def iris():
    """Features as the documentation names them, and the names of the classes."""
    from sklearn.datasets import load_iris

    data = load_iris(as_frame=True)
    frame = data.data.set_axis(["f1", "f2", "f3", "f4"], axis=1)
    return frame, data.target.map(dict(enumerate(data.target_names)))


@pytest.fixture(scope="session")
def pipeline(iris):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(*iris)


@pytest.fixture(scope="session")
def pipeline_folder(pipeline, tmp_path_factory):
    from seldon.pipeline.util import PipelineWrapper

    folder = tmp_path_factory.mktemp("models") / "pipeline"
    PipelineWrapper().save_pipeline(pipeline, str(folder))
    return str(folder)
