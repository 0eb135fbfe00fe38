"""SKLearnClassifier and XGBoostClassifier: fitted to a frame, served by any column order."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from seldon.pipeline import load_pipeline, save_pipeline
from seldon.sklearn_estimator import SKLearnClassifier
from seldon.xgb import XGBoostClassifier

FRAME = pd.DataFrame([{"target": 0, "b": 1.0, "c": 0}, {"target": 1, "b": 0, "c": 2.0}] * 49)


def classifiers():
    yield SKLearnClassifier(clf=LogisticRegression(), target="target")
    pytest.importorskip("xgboost")
    yield XGBoostClassifier(target="target", n_estimators=5, nthread=1, silent=0)


@pytest.fixture(params=["sklearn", "xgboost"])
def classifier(request):
    return list(classifiers())[request.param == "xgboost"]


def test_in_a_pipeline(classifier, tmp_path):
    pipeline = Pipeline([("clf", classifier)]).fit(FRAME)
    assert pipeline.predict(FRAME).tolist() == FRAME["target"].tolist()
    save_pipeline(pipeline, tmp_path / "p")
    again = load_pipeline(tmp_path / "p").predict_proba(FRAME)
    assert np.allclose(again, pipeline.predict_proba(FRAME))


def test_columns_are_found_by_name_when_serving(classifier):
    classifier.fit(FRAME)
    right = classifier.predict_proba(pd.DataFrame([{"b": 0.0, "c": 2.0}]))
    turned = classifier.predict_proba(pd.DataFrame([{"more": 9, "c": 2, "b": 0}]))
    assert np.allclose(right, turned)
    with pytest.raises(ValueError, match="missing features: c"):
        classifier.predict_proba(pd.DataFrame([{"b": 1}]))
    with pytest.raises(ValueError, match="'b' is 'x', expected a number"):
        classifier.predict_proba(pd.DataFrame([{"b": "x", "c": 1}]))


def test_arrays(classifier):
    X = np.random.default_rng(0).normal(size=(20, 4))
    y = np.arange(20) % 2
    expected = classifier.fit(X, y).predict_proba(X)
    assert expected.shape == (20, 2)
    assert np.allclose(classifier.predict_proba(pd.DataFrame(X)), expected)


def test_names_belong_to_columns_of_the_answer(classifier):
    frame = FRAME.assign(target=FRAME["target"] * 1, name=FRAME["target"].map({0: "no", 1: "yes"}))
    classifier.set_params(target_readable="name").fit(frame)
    assert classifier.get_class_id_map() == {0: "no", 1: "yes"}
    assert classifier.get_target() == "target"


def test_names_of_a_target_that_does_not_begin_at_zero():
    frame = FRAME.assign(target=FRAME["target"] + 5, name=FRAME["target"].map({0: "no", 1: "yes"}))
    made = SKLearnClassifier(LogisticRegression(), "target", "name").fit(frame)
    assert made.get_class_id_map() == {0: "no", 1: "yes"}
    assert made.classes_.tolist() == [5, 6]
    made.set_class_id_map({0: "N", 1: "Y"})
    assert made.get_class_id_map() == {0: "N", 1: "Y"}


def test_categories_are_one_hot_and_dates_left_out():
    frame = FRAME.assign(
        kind=["red", "blue"] * 49,
        flag=[True, False] * 49,
        when=pd.Timestamp("2020-01-01"),
        empty=[None, "x"] * 49,
    )
    made = SKLearnClassifier(LogisticRegression(), "target", excluded=["c", "b"]).fit(frame)
    assert made.clf_.n_features_in_ == 4  # kind=blue, kind=red, flag, empty=x
    row = {"kind": "blue", "flag": False, "empty": None}
    assert made.predict(pd.DataFrame([row])).tolist() == [1]
    assert made.predict(pd.DataFrame([{**row, "kind": "unheard"}])).shape == (1,)


def test_included_columns_only():
    made = SKLearnClassifier(LogisticRegression(), "target", included=["c"]).fit(FRAME)
    assert made.numeric_ == ["c"]


def test_the_classifier_given_is_not_changed():
    given = RandomForestClassifier(n_estimators=3, random_state=0)
    made = clone(SKLearnClassifier(given, "target", n_estimators=4)).fit(FRAME)
    assert not hasattr(given, "estimators_")
    assert len(made.clf_.estimators_) == 4


def test_a_missing_target_is_said():
    with pytest.raises(ValueError, match="target column 'goal'"):
        SKLearnClassifier(LogisticRegression(), "goal").fit(FRAME)


def test_xgboost_parameters():
    made = XGBoostClassifier(
        target="target", learning_rate=0.1, silent=0, objective="binary:logistic"
    )
    made.set_params(learning_rate=0.9, gamma=0.1)
    assert made.get_params()["learning_rate"] == 0.9
    assert clone(made).get_params() == made.get_params()


def test_xgboost_on_svmlight_pairs():
    pytest.importorskip("xgboost")
    frame = pd.DataFrame(
        [{"svm": [(1, 2.0), (2, 3.0)], "target": 1}, {"svm": [(2, 1.0)], "target": 0}] * 20
    )
    made = XGBoostClassifier(target="target", svmlight_feature="svm", nthread=1).fit(frame)
    assert made.predict(frame).tolist() == frame["target"].tolist()
    assert made.predict(pd.DataFrame([{"svm": [(9, 1.0), (1, 2.0), (2, 3.0)]}])).tolist() == [1]
