"""AutoTransform on the cases of the original package's own tests, and when serving."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from seldon.pipeline.auto_transforms import AutoTransform


def fit_transform(rows, **options):
    frame = pd.DataFrame(rows)
    before = frame.copy()
    made = AutoTransform(**options).fit(frame).transform(frame)
    pd.testing.assert_frame_equal(frame, before)
    return made


def test_booleans():
    frame = pd.DataFrame([True, False])
    pipeline = Pipeline([("auto", AutoTransform(ignore_vals=["NA", ""]))])
    assert pipeline.fit_transform(frame)[0].tolist() == [1, 0]
    assert pipeline.transform(frame)[0].tolist() == [1, 0]


@pytest.mark.parametrize("missing", ["UKN", "?"])
def test_boolean_text_with_a_missing_one_is_a_category(missing):
    rows = [{"a": "true"}, {"a": "false"}, {"a": ""}]
    made = fit_transform(rows, ignore_vals=["NA"], cat_missing_val=missing)
    assert made["a"].tolist() == ["true", "false", missing]


def test_booleans_of_mixed_type():
    made = fit_transform([{"a": 1}, {"a": 0}, {"a": "false"}], ignore_vals=["NA"])
    assert made["a"].tolist() == [1, 0, 0]


def test_a_column_is_numeric_once_what_is_ignored_is_gone():
    made = fit_transform([{"a": "NA"}, {"a": 10}, {"a": 12}, {"a": 8}], ignore_vals=["NA"])
    assert made["a"].tolist() == pytest.approx([0, 0, 1.224745, -1.224745], abs=1e-4)


def test_ignored_numbers():
    made = fit_transform([{"a": 10}, {"a": 99}, {"a": 12}, {"a": 8}], ignore_vals=[99])
    assert made["a"].tolist() == pytest.approx([0, 0, 1.224745, -1.224745], abs=1e-4)


def test_categories():
    made = fit_transform([{"a": ""}, {"a": "V 1"}, {"a": "v2"}, {"a": "v3"}], ignore_vals=["NA"])
    assert made["a"].tolist() == ["UKN", "v_1", "v2", "v3"]


def test_few_numbers_are_categories():
    rows = [{"a": 10, "b": 1}, {"a": 5, "b": 2}, {"a": 10, "b": 3}]
    assert fit_transform(rows, max_values_numeric_categorical=2)["a"][0] == "a_10"
    forced = fit_transform(rows, force_categorical=["b"])
    assert forced["b"].tolist() == ["b_1", "b_2", "b_3"]


def test_a_category_is_found_whatever_the_number_type_when_serving():
    step = AutoTransform(max_values_numeric_categorical=2)
    step.fit(pd.DataFrame([{"a": 10, "b": 1}, {"a": 5, "b": 2}, {"a": 10, "b": 3}]))
    assert step.transform(pd.DataFrame([{"a": 10.0, "b": 2.5}]))["a"][0] == "a_10"
    assert step.transform(pd.DataFrame([{"a": 11, "b": 2.5}]))["a"].isna().all()


def test_rare_categories_are_dropped():
    rows = [{"a": "x"}] * 8 + [{"a": "y"}] * 2
    made = fit_transform(rows, min_cat_percent=0.3)
    assert made["a"].dropna().unique().tolist() == ["x"]


def test_dates_of_a_custom_format():
    rows = [
        {"a": "30JAN14:15:11:00", "b": "20 Jan 2015"},
        {"a": "31JAN14:10:11:00", "b": "20 Jan 2015"},
    ]
    made = fit_transform(rows, custom_date_formats=["%d%b%y:%H:%M:%S"], date_cols=["a"])
    assert made["a_h1"][0] == pytest.approx(-0.707, abs=1e-3)
    assert made["a_hour"].tolist() == ["h15", "h10"]
    assert "b" not in made, "constant"


def test_the_format_given_goes_before_guessing():
    made = fit_transform(
        [{"a": "03-09-15"}, {"a": "22-03-15"}],
        custom_date_formats=["%d-%m-%y"],
        date_cols=["a"],
        date_transforms=[False, True, True, True],
    )
    assert made["a_month"].tolist() == ["m9", "m3"]
    assert "a_hour" not in made


def test_a_date_that_is_none_is_refused_when_fitting():
    with pytest.raises(ValueError, match="'a' does not hold dates"):
        fit_transform([{"a": "soon"}, {"a": "later"}], date_cols=["a"])


def test_differences_between_dates():
    rows = [{"a": "2015-01-02", "b": "2015-01-01"}, {"a": "2015-01-06", "b": "2015-01-01"}]
    made = fit_transform(
        rows, date_cols=["a", "b"], create_date_differences=True, drop_constant_features=False
    )
    assert made["a_b"].tolist() == [-1, 1]


def test_constant_and_duplicate_columns():
    assert list(fit_transform([{"a": 10, "b": 11}, {"a": 10, "b": 12}])) == ["b"]
    assert list(fit_transform([{"a": 12, "b": 12}, {"a": 10, "b": 10}])) == ["b"]
    both = fit_transform([{"a": 12, "b": 12}, {"a": 10, "b": 10}], drop_duplicate_cols=False)
    assert list(both) == ["a", "b"]


def test_sparse_columns():
    rows = [{"a": 1, "b": 1.5}, {"a": 2}, {"a": 3}]
    assert list(fit_transform(rows, nan_threshold=0.5)) == ["a"]


def test_limits():
    step = AutoTransform(min_max_limit=True)
    step.fit(pd.DataFrame([{"a": 9, "b": 12}, {"a": 12, "b": 10}]))
    made = step.transform(pd.DataFrame([{"a": 1, "b": 12}, {"a": 15, "b": 10}]))
    assert made["a"].tolist() == [-1, 1]


def test_numbers_as_scikit_learn_scales_them():
    from sklearn.preprocessing import StandardScaler

    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=list("abc"))
    made = AutoTransform().fit(frame).transform(frame)
    assert np.allclose(made, StandardScaler().fit_transform(frame))


def test_requests_that_do_not_fit_are_named():
    step = AutoTransform(exclude=["target"])
    step.fit(pd.DataFrame({"a": [1, 2, 3], "b": [1.5, 2, 9], "target": [0, 1, 0]}))
    with pytest.raises(ValueError, match="missing features: b"):
        step.transform(pd.DataFrame([{"a": 1}]))
    with pytest.raises(ValueError, match="'a' is 'three', expected a number"):
        step.transform(pd.DataFrame([{"a": "three", "b": 1}]))
    assert step.transform(pd.DataFrame([{"a": None, "b": 1}]))["a"][0] == 0
