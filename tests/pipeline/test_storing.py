"""Pipelines in folders: every scikit-learn classifier comes back, nothing untrusted does."""

import hashlib
import json
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.utils import all_estimators

import seldon.pipeline.basic_transforms as bt
import seldon.pipeline.util as sutl
from seldon import load_recommender, save_recommender
from seldon.errors import InvalidModel, MissingExtra, ModelNotFound
from seldon.folders import MANIFEST
from seldon.pipeline import load_pipeline, save_pipeline, trust
from seldon.pipeline.auto_transforms import AutoTransform
from seldon.pipeline.frames import FrameTransform
from seldon.pipeline.tfidf_transform import TfidfTransform
from tests.saved_models import SimpleRecommender

X, y = load_iris(return_X_y=True)


# These take another classifier, or a target that Iris has not.
META = {"ClassifierChain", "FixedThresholdClassifier", "MultiOutputClassifier"}
META |= {"OneVsRestClassifier", "SelfTrainingClassifier", "StackingClassifier"}
META |= {"TunedThresholdClassifierCV", "VotingClassifier"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_scikit_learn_classifier_with_probabilities_comes_back(tmp_path):
    kept = 0
    for name, cls in all_estimators(type_filter="classifier"):
        if name in META or not hasattr(cls, "predict_proba"):
            continue
        pipeline = make_pipeline(MinMaxScaler(), cls()).fit(X, y)
        if not hasattr(pipeline, "predict_proba"):
            continue
        save_pipeline(pipeline, tmp_path / name)
        loaded = load_pipeline(tmp_path / name)
        assert np.allclose(loaded.predict_proba(X), pipeline.predict_proba(X)), name
        kept += 1
    assert kept > 20


def test_our_own_steps(tmp_path):
    frame = pd.DataFrame(
        {
            "a": [1, 2, 3, 4],
            "t": ["ox yak", "yak", "zebu yak", "ox"],
            "d": ["2020-01-01", None] * 2,
            "k": list("uvuu"),
        }
    )
    pipeline = Pipeline(
        [
            ("id", bt.FeatureIdTransform("k", "kid")),
            ("words", TfidfTransform("t", "w")),
            ("split", bt.SplitTransform(input_features=["t"], output_feature="s")),
            ("bin", bt.BinaryTransform("d", "has_d")),
            (
                "auto",
                AutoTransform(
                    exclude=["w", "s", "t"], date_cols=["d"], drop_constant_features=False
                ),
            ),
            ("svm", bt.SvmlightTransform(included=["s"], output_feature="svm")),
        ]
    ).fit(frame)
    save_pipeline(pipeline, tmp_path / "p")
    pd.testing.assert_frame_equal(
        load_pipeline(tmp_path / "p").transform(frame), pipeline.transform(frame)
    )


def test_the_documented_wrapper(tmp_path):
    wrapper = sutl.PipelineWrapper(work_folder=str(tmp_path / "work"))
    pipeline = Pipeline([("include_features", bt.IncludeFeaturesTransform(included=["a", "b"]))])
    frame = pd.DataFrame([{"a": 1, "b": 2, "c": 3}])
    pipeline.fit(frame)
    wrapper.save_pipeline(pipeline, str(tmp_path / "dest"))
    wrapper.save_pipeline(pipeline, "memory://pipelines/one")
    for place in (str(tmp_path / "dest"), "memory://pipelines/one"):
        assert sorted(wrapper.load_pipeline(place).transform(frame)) == ["a", "b"]
    assert not list((tmp_path / "work").iterdir())
    assert {p.name for p in (tmp_path / "dest").iterdir()} == {MANIFEST, "pipeline.skops"}


class Unregistered(FrameTransform):
    def transform(self, X):
        return X * 2


@trust
class Registered(FrameTransform):
    def transform(self, X):
        return X * 2


def doubled(values):
    return values * 2


def test_types_of_the_user_need_their_word(tmp_path):
    with pytest.raises(InvalidModel, match=r"test_storing\.Unregistered.*@seldon\.pipeline\.trust"):
        save_pipeline(Pipeline([("own", Unregistered())]), tmp_path / "p")
    save_pipeline(Pipeline([("own", Registered())]), tmp_path / "p")
    loaded = load_pipeline(tmp_path / "p")
    assert loaded.transform(pd.DataFrame({"a": [1]}))["a"].tolist() == [2]


def test_functions_need_trust_too(tmp_path):
    pipeline = Pipeline([("log", FunctionTransformer(np.log1p))])
    save_pipeline(pipeline, tmp_path / "numpy")
    with pytest.raises(InvalidModel, match="doubled"):
        save_pipeline(Pipeline([("f", FunctionTransformer(doubled))]), tmp_path / "own")
    with pytest.raises(InvalidModel, match="is not on the list"):
        save_pipeline(CountVectorizer(preprocessor=Path.touch), tmp_path / "stdlib")


def poisoned(folder, canary):
    """A folder that is whole and well-formed, and names a function to run at load."""
    import skops.io

    from seldon.folders import publishing
    from seldon.pipeline.storing import FILE, KIND

    with publishing(folder, KIND) as path:
        step = FunctionTransformer(canary.touch, validate=False)
        (path / FILE).write_bytes(skops.io.dumps(Pipeline([("bad", step)])))


def test_row_34_a_poisoned_pipeline_is_refused(tmp_path):
    canary = tmp_path / "canary"
    poisoned(tmp_path / "p", canary)
    with pytest.raises(InvalidModel, match="not on the list of trusted types"):
        load_pipeline(tmp_path / "p")
    assert not canary.exists()


def test_row_34_an_original_pickle_needs_trust(tmp_path):
    canary = tmp_path / "canary"

    class Poison:
        def __reduce__(self):
            return Path.touch, (canary,)

    (tmp_path / "model").mkdir()
    joblib.dump(Poison(), tmp_path / "model" / "p")
    for trusted in (False, {"0" * 64}):
        with pytest.raises(InvalidModel, match="runs whatever code it holds"):
            load_pipeline(tmp_path / "model", trusted=trusted)
    assert not canary.exists()

    pipeline = make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=500)).fit(X, y)
    joblib.dump(pipeline, tmp_path / "model" / "p")
    digest = hashlib.sha256((tmp_path / "model" / "p").read_bytes()).hexdigest()
    loaded = load_pipeline(tmp_path / "model", trusted={digest})
    assert np.allclose(loaded.predict_proba(X), pipeline.predict_proba(X))


def test_damage_is_refused(tmp_path):
    pipeline = make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=500)).fit(X, y)
    save_pipeline(pipeline, tmp_path / "p")
    file = tmp_path / "p" / "pipeline.skops"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InvalidModel, match="SHA-256"):
        load_pipeline(tmp_path / "p")


def test_row_66_what_cannot_be_read_says_what_wrote_it(tmp_path):
    from seldon.folders import publishing
    from seldon.pipeline.storing import FILE, KIND

    with publishing(tmp_path / "p", KIND, {"libraries": {"scikit-learn": "0.17"}}) as path:
        (path / FILE).write_bytes(b"not a zip")
    with pytest.raises(
        InvalidModel, match=r"written with scikit-learn 0\.17; here is scikit-learn"
    ):
        load_pipeline(tmp_path / "p")


def test_other_folders_are_not_pipelines(tmp_path):
    save_recommender(SimpleRecommender(), tmp_path / "rec")
    with pytest.raises(InvalidModel, match="not a scikit-learn pipeline"):
        load_pipeline(tmp_path / "rec")
    with pytest.raises(ModelNotFound):
        load_pipeline(tmp_path / "none")
    save_pipeline(MinMaxScaler(), tmp_path / "p")
    with pytest.raises(InvalidModel, match="cannot be imported"):
        load_recommender(tmp_path / "p")


def test_the_manifest_names_the_libraries(tmp_path):
    save_pipeline(MinMaxScaler(), tmp_path / "p")
    manifest = json.loads((tmp_path / "p" / MANIFEST).read_text())
    assert {"scikit-learn", "skops", "numpy"} <= set(manifest["metadata"]["libraries"])


def test_row_65_without_skops(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(MissingExtra, match=r"seldon-recommender\[predict\]"):
        save_pipeline(MinMaxScaler(), tmp_path / "p")


def test_an_unfitted_pipeline_can_be_kept(tmp_path):
    save_pipeline(LogisticRegression(), tmp_path / "p")
    with pytest.raises(NotFittedError):
        load_pipeline(tmp_path / "p").predict_proba(X)
