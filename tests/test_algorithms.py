"""Algorithms: found by name only, loaded once, refused with a line that says what to mend."""

import textwrap

import numpy as np
import pytest

from seldon.algorithms import as_function, from_recommender, load_algorithm
from seldon.base import Recommender
from seldon.candidates import Candidates
from seldon.errors import AlgorithmNotFound

FIVE = "user_id, client, recent, data_set, limit"


@pytest.fixture
def load(tmp_path):
    (tmp_path / "algs").mkdir()

    def load(code, name="mine", folder="algs", mc=None, config=None):
        if code is not None:
            (tmp_path / folder / f"{name}.py").write_text(textwrap.dedent(code))
        return load_algorithm(name, [tmp_path / "algs", tmp_path], mc, config or {})

    return load


def test_a_function_is_enough(load):
    algorithm = load(f"def get_recommendations({FIVE}):\n    return {{1: 0.5}}")
    assert algorithm.function(1, "c", [], set(), 5) == {1: 0.5}
    assert algorithm.name == "mine"
    assert algorithm.extras == ()
    assert algorithm.catalogue().ids.tolist() == []


def test_a_script_beside_recommender_works_and_algs_comes_first(load):
    code = f"def get_recommendations({FIVE}):\n    return WHERE"
    assert load("WHERE='beside'\n" + code, folder=".").function(1, "c", [], set(), 5) == "beside"
    assert load("WHERE='algs'\n" + code).function(1, "c", [], set(), 5) == "algs"


def test_init_gets_the_pool_and_the_settings(load):
    algorithm = load(
        f"""
        def init(mc, config):
            global given
            given = mc, config["A"]
        def get_recommendations({FIVE}):
            return given
        """,
        mc="pool",
        config={"A": 5},
    )
    assert algorithm.function(1, "c", [], set(), 5) == ("pool", 5)


@pytest.mark.parametrize(
    ("signature", "extras"),
    [
        (FIVE, ()),
        ("user_id, client, recent_interactions_list, data_set, limit", ()),
        (f"{FIVE}, item_id=None", ("item_id",)),
        (f"{FIVE}, *, dimensions, item_id", ("dimensions", "item_id")),
        (f"{FIVE}, dimensions=(), more=1", ("dimensions",)),
        ("*args", ()),
        (f"{FIVE}, **more", ()),
    ],
)
def test_extras_go_to_who_asks_for_them_by_name(load, signature, extras):
    assert load(f"def get_recommendations({signature}): return {{}}").extras == extras


def test_a_callable_object_and_a_catalogue_of_its_own(load):
    algorithm = load(
        f"""
        class Model:
            def __call__(self, {FIVE}):
                return {{}}
        get_recommendations = Model()
        def catalogue():
            return [3, 1, 3]
        def version():
            return "7"
        """
    )
    assert algorithm.catalogue().ids.tolist() == [1, 3]
    assert algorithm.version() == "7"


def test_the_version_follows_the_code(load):
    code = f"def get_recommendations({FIVE}): return {{}}"
    first, second = load(code).version(), load(code + "\n").version()
    assert first != second


@pytest.mark.parametrize("name", ["../evil", "a.b", "a/b", "Example", "a-b", "", ".", "é", "a\n"])
def test_row_29_a_name_that_is_no_file_of_algs(load, name):
    with pytest.raises(AlgorithmNotFound, match="a name has only a-z, 0-9 and _"):
        load(None, name)


def test_row_29_a_missing_file_names_the_nearest(load):
    load(f"def get_recommendations({FIVE}): return {{}}", "most_popular")
    with pytest.raises(AlgorithmNotFound, match=r"no most_populr\.py .* did you mean 'most_pop"):
        load(None, "most_populr")
    with pytest.raises(AlgorithmNotFound, match=r"no zzz\.py in .*; there are most_popular"):
        load(None, "zzz")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import not_installed_anywhere", "does not import: ModuleNotFoundError: .*not_inst"),
        ("def get_recommendations(:", "does not import: SyntaxError"),
        ("1 / 0", "does not import: ZeroDivisionError"),
        ("import sys; sys.exit(3)", "does not import: SystemExit: 3"),
        ("def recommend(): pass", "has no function get_recommendations"),
        ("get_recommendations = 5", "has no function get_recommendations"),
        ("def get_recommendations(user_id, limit): return {}", r"must take \(user_id, client"),
        (f"def get_recommendations({FIVE}, more): return {{}}", r"must take \(user_id, client"),
        (
            f"def get_recommendations({FIVE}): return {{}}\ndef init(mc, config): config['X']",
            r"init\(mc, config\) raised KeyError: 'X'",
        ),
        (
            f"def get_recommendations({FIVE}): return {{}}\ndef init(): pass",
            r"init\(mc, config\) raised TypeError",
        ),
        (
            f"import sys\ndef get_recommendations({FIVE}): return {{}}\n"
            "def init(mc, config): sys.exit('no model')",
            r"init\(mc, config\) raised SystemExit: no model",
        ),
    ],
)
def test_row_29_a_file_that_cannot_be_used_is_told_from_a_missing_one(load, code, told):
    with pytest.raises(AlgorithmNotFound, match=told) as refused:
        load(code)
    assert "mine.py" in str(refused.value)
    assert "\n" not in str(refused.value).strip()


def test_a_recommender_is_an_algorithm():
    class Newest(Recommender):
        def recommend(self, user, ids, recent_interactions, client, limit):
            return [(item, 1.0) for item in sorted(ids)[-limit:]]

        def catalogue(self):
            return np.array([4, 2], np.int64)

    algorithm = from_recommender(Newest(), "newest", "1")
    assert algorithm.function(1, "c", [9], Candidates.of([1, 2, 3]), 2) == [(2, 1.0), (3, 1.0)]
    assert as_function(Newest())(1, "c", [], {5}, 1) == [(5, 1.0)]
    assert algorithm.catalogue().ids.tolist() == [2, 4]
    assert algorithm.catalogue() is not None
