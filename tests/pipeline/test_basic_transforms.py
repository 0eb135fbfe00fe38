"""The documented steps, on the cases of the original package's own tests and a few more."""

import csv

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, OneHotEncoder, StandardScaler

import seldon.pipeline.basic_transforms as bt
from seldon.pipeline.sklearn_transform import SklearnTransform
from seldon.pipeline.tfidf_transform import TfidfTransform

LIKES = [
    {"likeids": [102313626475894, 1405744859651437, 53]},
    {"likeids": [100318233349756, 876613622381314, 53]},
]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["something", None], [1, 0]),
        ([2, 0], [1, 0]),
        (["2", "0"], [1, 0]),
        (["", np.nan], [0, 0]),
        ([[1], {"a": 0}], [1, 1]),
    ],
)
def test_binary(values, expected):
    frame = pd.DataFrame({"a": values})
    step = bt.BinaryTransform(input_feature="a", output_feature="abin")
    made = Pipeline([("binary", step)]).fit_transform(frame)
    assert made["abin"].tolist() == expected
    assert "abin" not in frame, "the frame given is not changed"


def test_include_keeps_the_order_named_and_skips_what_is_not_there():
    frame = pd.DataFrame([{"a": 1, "b": 2, "c": 3}])
    assert list(bt.IncludeFeaturesTransform(["b", "x", "a"]).transform(frame)) == ["b", "a"]


def test_exclude():
    frame = pd.DataFrame([{"a": "something", "b": 1}, {"a": "something2"}])
    assert list(bt.ExcludeFeaturesTransform(excluded=["b", "x"]).fit_transform(frame)) == ["a"]


def test_exist():
    frame = pd.DataFrame([{"a": 1, "b": 2}, {"a": 3}])
    assert len(bt.ExistFeaturesTransform(included=["b"]).transform(frame)) == 1
    assert len(bt.ExistFeaturesTransform().transform(frame)) == 1
    with pytest.raises(ValueError, match="missing features: z"):
        bt.ExistFeaturesTransform(included=["z"]).transform(frame)


@pytest.mark.parametrize(
    ("rows", "ignore", "expected"),
    [
        ([{"a": "a b", "b": "c d", "c": 3}, {"a": "word1", "b": "word2"}], False, [4, 2]),
        ([{"a": "a b", "c": 3}, {"b": "word2"}], False, [2, 1]),
        ([{"a": "a b", "b": "c 1", "c": 3}], True, [3]),
    ],
)
def test_split(rows, ignore, expected):
    step = bt.SplitTransform(input_features=["a", "b"], ignore_numbers=ignore, output_feature="res")
    made = Pipeline([("split", step)]).transform(pd.DataFrame(rows))
    assert [len(tokens) for tokens in made["res"]] == expected


def test_split_lowers_and_splits_by_expression():
    step = bt.SplitTransform("[,;]", input_features=["a"], output_feature="res")
    assert step.transform(pd.DataFrame([{"a": "A ,b;C"}]))["res"][0] == ["a", "b", "c"]


def test_svmlight():
    frame = pd.DataFrame(
        [
            {"a": 1.2, "b": "word", "c": ["a", "b"], "d": {"a": 1}},
            {"a": 3, "c": ["b", "d"]},
            {"c": {"k": 1, "k2": "word"}},
        ]
    )
    step = bt.SvmlightTransform(output_feature="svm").fit(frame)
    names = ["a", "b_word", "c_a", "c_b", "c_d", "c_k", "c_k2_word", "d_a"]
    assert step.id_map_ == {name: i for i, name in enumerate(names, 1)}
    made = step.transform(frame)["svm"]
    assert made[0] == [(1, 1.2), (2, 1), (3, 1), (4, 1), (8, 1)]
    assert made[1] == [(1, 3), (4, 1), (5, 1)]
    assert made[2] == [(6, 1), (7, 1)]
    unseen = step.transform(pd.DataFrame([{"a": 2, "b": "other", "c": ["z"], "d": None}]))
    assert unseen["svm"][0] == [(1, 2)]


def test_svmlight_options(tmp_path):
    frame = pd.DataFrame(
        [{"a": {"abc": 1, "£def": 2}, "b": 1}, {"a": {"gh1": 1, "£def": 2}, "b": 2}]
    )
    file = tmp_path / "ids.csv"
    step = bt.SvmlightTransform(
        excluded=["b"], zero_based=True, output_feature="svm", id_map_file=str(file)
    ).fit(frame)
    assert step.transform(frame)["svm"][0] == [(0, 1), (2, 2)]
    with file.open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [["0", "a_abc"], ["1", "a_gh1"], ["2", "a_£def"]]
    given = bt.SvmlightTransform(included=["b"], id_map={"b": 9}, output_feature="svm")
    assert given.transform(frame)["svm"].tolist() == [[(9, 1)], [(9, 2)]]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"max_classes": 1}, [1, 1]),
        ({"max_classes": 1, "zero_based": True}, [0, 0]),
        ({"min_size": 2}, [1, 1]),
        ({"min_size": 1}, [1, 2, 1]),
        ({"exclude_missing": False, "min_size": 2}, [1, -1, 1]),
    ],
)
def test_feature_ids(options, ids):
    frame = pd.DataFrame([{"a": "type1"}, {"a": "type2"}, {"a": "type1"}])
    options = {"exclude_missing": True, "input_feature": "a", "output_feature": "id", **options}
    step = bt.FeatureIdTransform(**options)
    assert step.fit(frame).transform(frame)["id"].tolist() == ids
    assert "id" not in step.transform(pd.DataFrame([{"b": 1}])), "absent when serving"


def test_sklearn_transform_on_a_scaler():
    frame = pd.DataFrame([{"a": 1, "b": 2}, {"a": 2, "b": 3}], index=[7, 3])
    step = SklearnTransform(
        input_features=["a"], output_features=["a_scaled"], transformer=StandardScaler()
    )
    made = step.fit(frame).transform(frame)
    assert made["a_scaled"].to_dict() == {7: -1, 3: 1}, "rows keep their index"


@pytest.mark.parametrize("transformer", [LabelBinarizer(), OneHotEncoder()])
def test_sklearn_transform_with_a_prefix(transformer):
    frame = pd.DataFrame([{"a": "a"}, {"a": "b"}, {"a": "c"}])
    step = SklearnTransform(
        input_features=["a"], output_features_prefix="a", transformer=transformer
    )
    made = step.fit(frame).transform(frame)
    assert list(made) == ["a", "a_0", "a_1", "a_2"]
    assert made["a_0"].tolist() == [1, 0, 0]


def test_tfidf_of_lists():
    frame = pd.DataFrame(LIKES)
    step = TfidfTransform(input_feature="likeids", output_feature="tfidf").fit(frame)
    made = step.transform(frame)["tfidf"]
    rare = np.log(3 / 2) + 1  # scikit-learn: ln((1 + rows) / (1 + rows with the word)) + 1
    assert made[0]["1405744859651437"] == pytest.approx(rare / np.hypot(np.hypot(rare, rare), 1))
    assert set(made[0]) == {"102313626475894", "1405744859651437", "53"}
    assert step.transform(pd.DataFrame([{"likeids": "unheard"}]))["tfidf"][0] == {}


def test_tfidf_chi_squared():
    frame = pd.DataFrame([{"t": "good common"}, {"t": "bad common"}, {"t": "good common"}]).assign(
        target=[1, 0, 1]
    )
    step = TfidfTransform("t", "w", min_df=0, select_features=True, topn_features=2)
    step.set_params(target_feature="target")
    made = step.fit(frame).transform(frame)["w"]
    assert [set(words) for words in made] == [{"good"}, {"bad"}, {"good"}]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Binary_transform", bt.BinaryTransform),
        ("Include_features_transform", bt.IncludeFeaturesTransform),
        ("Exclude_features_transform", bt.ExcludeFeaturesTransform),
        ("Split_transform", bt.SplitTransform),
        ("Exist_features_transform", bt.ExistFeaturesTransform),
        ("Svmlight_transform", bt.SvmlightTransform),
        ("Feature_id_transform", bt.FeatureIdTransform),
    ],
)
def test_old_names(old, new):
    with pytest.warns(DeprecationWarning, match=new.__name__):
        made = getattr(bt, old)()
    assert type(made) is new
    assert clone(made).get_params() == made.get_params(), "a scikit-learn estimator"


def test_steps_do_not_get_in_the_way_of_scikit_learn():
    frame = pd.DataFrame({"a": [0.0, 1, 0, 1], "b": [5, 5, 5, 5]})
    pipeline = Pipeline(
        [("out", bt.ExcludeFeaturesTransform(["b"])), ("clf", LogisticRegression())]
    ).fit(frame, [0, 1, 0, 1])
    assert pipeline.predict(frame).tolist() == [0, 1, 0, 1]
