"""What a pipeline sees of a JSON document, and what is made of its answer."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from seldon.errors import InvalidModel, InvalidParameter
from seldon.pipeline.predictor import PredictionFailed, Predictor

FRAME = pd.DataFrame({"a": [0.0, 1, 2, 3], "b": [1.0, 0, 5, 2]})
LABELS = ["no", "no", "yes", "yes"]


class Echo:
    """Answers what it is told, and remembers what it saw."""

    def __init__(self, answer=((0.25, 0.75),)):
        self.answer = answer

    def predict_proba(self, X):
        self.seen = X
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


cells = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
cells |= st.none() | st.booleans() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


@settings(max_examples=40)
@given(
    st.dictionaries(st.text(min_size=1), cells, min_size=1)
    | st.dictionaries(
        st.text(min_size=1), st.floats(allow_nan=False, allow_infinity=False), min_size=1
    )
)
def test_an_object_is_what_pandas_makes_of_it(document):
    made = Predictor(Echo(), "m").features(document)
    pd.testing.assert_frame_equal(made, pd.DataFrame([document]))


def test_a_list_is_a_row_of_an_array():
    predictor = Predictor(Echo(), "m")
    assert np.array_equal(predictor.features([1, 2.5]), [[1, 2.5]])
    assert np.array_equal(predictor.features([[1, 2.5]]), [[1, 2.5]])


def test_columns_come_in_the_order_of_the_fit():
    predictor = Predictor(
        make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, LABELS), "m"
    )
    right = predictor.predict(predictor.features({"a": 3.0, "b": 2.0}))
    assert predictor.predict(predictor.features({"b": 2.0, "a": 3.0})) == right
    assert predictor.predict(predictor.features({"b": 2, "a": 3})) == right
    assert predictor.predict(predictor.features([3.0, 2.0])) == right, "without a warning"
    assert [name for name, _ in right] == ["no", "yes"]
    with pytest.raises(InvalidParameter, match="missing features: b"):
        predictor.features({"a": 1})
    with pytest.raises(InvalidParameter, match=r"refuses these features.*unseen at fit time.*more"):
        predictor.predict(predictor.features({"a": 1, "b": 2, "more": 3}))
    with pytest.raises(InvalidParameter, match="could not convert string to float"):
        predictor.predict(predictor.features({"a": "x", "b": 2}))


def test_null_is_for_the_pipeline_to_judge():
    fitted = make_pipeline(SimpleImputer(), LogisticRegression()).fit(FRAME, LABELS)
    predictor = Predictor(fitted, "m")
    assert len(predictor.predict(predictor.features({"a": None, "b": 1.0}))) == 2
    strict = Predictor(LogisticRegression().fit(FRAME, LABELS), "m")
    with pytest.raises(InvalidParameter, match="NaN"):
        strict.predict(strict.features({"a": None, "b": 1.0}))


@pytest.mark.parametrize("document", [None, True, 3, 2.5, "text", {}, [], [[1], [2]], [{"a": 1}]])
def test_no_row_of_features(document):
    with pytest.raises(InvalidParameter, match="the features are"):
        Predictor(Echo(), "m").features(document)


class Named(Echo):
    classes_ = np.array([10, 20])


class Mapped(Named):
    def get_class_id_map(self):
        return {1: "Iris-setosa"}


@pytest.mark.parametrize(
    ("estimator", "names"),
    [(Echo(), ["0", "1"]), (Named(), ["10", "20"]), (Mapped(), ["10", "Iris-setosa"])],
)
def test_where_the_names_of_the_classes_come_from(estimator, names):
    predictor = Predictor(estimator, "m")
    assert [p.name for p in predictor.predict(predictor.features([1]))] == names


@pytest.mark.parametrize("answer", [[], None, 3, [0.5], [[np.nan, 1]], [["x"]], [[[0.5]]]])
def test_an_answer_that_is_none(answer):
    predictor = Predictor(Echo(answer), "m")
    with pytest.raises(PredictionFailed, match="the pipeline answered"):
        predictor.predict(predictor.features([1]))


def test_reasons_are_short_and_on_one_line():
    with pytest.raises(InvalidParameter) as raised:
        Predictor(Echo(ValueError("a\nb " + "x" * 10_000)), "m").predict(FRAME)
    assert str(raised.value).startswith("the pipeline refuses these features: a b xxx")
    assert len(str(raised.value)) < 600
    with pytest.raises(InvalidParameter, match="there is no 'f4'"):
        Predictor(Echo(KeyError("f4")), "m").predict(FRAME)
    with pytest.raises(ZeroDivisionError):
        Predictor(Echo(ZeroDivisionError()), "m").predict(FRAME)


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        (make_pipeline(StandardScaler(), Ridge()), "Ridge has no predict_proba"),
        (Ridge(), "it is a regressor"),
        (make_pipeline(StandardScaler()), "StandardScaler has no predict_proba"),
        (make_pipeline(LinearSVC()), "CalibratedClassifierCV"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "is not fitted"),
    ],
)
def test_what_cannot_be_served_is_said_at_the_start(pipeline, message):
    with pytest.raises(InvalidModel, match=message):
        Predictor(pipeline, "m")


def test_memory_does_not_follow_the_names_that_callers_choose():
    predictor = Predictor(DummyClassifier().fit(FRAME, LABELS), "m")
    predictor._expected = None
    for number in range(1000):
        predictor.features({f"name{number}": 1.0})
    assert len(predictor._columns) <= 100
