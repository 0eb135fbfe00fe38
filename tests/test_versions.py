"""Versions side by side, a pointer that two promotes cannot both move, and the way back."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from seldon.base import load_recommender, save_recommender
from seldon.errors import Conflict, InvalidModel, ModelNotFound
from seldon.versions import (
    Pointer,
    add,
    current,
    promote,
    prune,
    refusal,
    resolve,
    rollback,
    versions,
)
from tests.recommenders import Constant


@pytest.fixture
def home(tmp_path):
    """A home with three versions that score 1, 2 and 3; nothing is promoted."""
    for score in (1.0, 2.0, 3.0):
        save_recommender(Constant(score), tmp_path / "trained")
        add(tmp_path / "home", tmp_path / "trained")
    return tmp_path / "home"


def test_versions_stand_side_by_side(home):
    assert versions(home) == [1, 2, 3]
    assert [load_recommender(home / "versions" / n).score for n in "123"] == [1, 2, 3]


def test_a_plain_folder_is_its_own_version(tmp_path):
    save_recommender(Constant(5.0), tmp_path / "plain")
    assert resolve(tmp_path / "plain") == tmp_path / "plain"
    assert add(tmp_path / "home", tmp_path / "plain") == 1


def test_promote_and_roll_back(home):
    with pytest.raises(ModelNotFound, match="no current version"):
        load_recommender(home)
    promote(home, 1, expected=None)
    promote(home, 3, expected=1)
    assert load_recommender(home).score == 3
    assert current(home) == Pointer(3, (1,))
    assert rollback(home) == Pointer(1)
    assert load_recommender(home).score == 1
    with pytest.raises(ModelNotFound, match="no earlier version"):
        rollback(home)


def test_promoting_the_current_version_again_changes_nothing(home):
    promote(home, 2, expected=None)
    assert promote(home, 2, expected=2) == Pointer(2)


def test_promoting_what_is_not_there(home):
    with pytest.raises(ModelNotFound, match=r"no version 9; it has \[1, 2, 3\]"):
        promote(home, 9, expected=None)


def test_row_32_a_damaged_version_is_not_promoted(home):
    promote(home, 1, expected=None)
    data = home / "versions/2/scores.npy"
    damaged = bytearray(data.read_bytes())
    damaged[-1] ^= 1
    data.write_bytes(damaged)
    with pytest.raises(InvalidModel, match="SHA-256"):
        promote(home, 2, expected=1)
    assert current(home) == Pointer(1)


def test_row_32_a_damaged_folder_does_not_arrive(home, tmp_path):
    (tmp_path / "trained/scores.npy").write_bytes(b"short")
    with pytest.raises(InvalidModel, match=r"scores\.npy"):
        add(home, tmp_path / "trained")
    assert versions(home) == [1, 2, 3]
    assert len(list((home / "versions").iterdir())) == 3


def test_a_pointer_that_is_none_is_refused(home):
    (home / "current").write_text("3\n")
    with pytest.raises(InvalidModel, match="not a pointer"):
        resolve(home)


def test_retraining_into_the_same_folder_leaves_the_version_alone(home, tmp_path):
    save_recommender(Constant(9.0), tmp_path / "trained")
    assert load_recommender(home / "versions/3").score == 3


def test_row_33_of_promotes_at_once_one_wins(home):
    promote(home, 1, expected=None)
    start = threading.Barrier(4)

    def race(version):
        start.wait()
        try:
            return promote(home, version, expected=1).version
        except Conflict:
            return None

    with ThreadPoolExecutor(4) as racers:
        won = [answer for answer in racers.map(race, (2, 3, 2, 3)) if answer]
    assert len(won) == 1
    assert current(home) == Pointer(won[0], (1,))


def test_prune_keeps_the_current_the_way_back_and_the_untried(home, tmp_path):
    promote(home, 1, expected=None)
    promote(home, 2, expected=1)
    promote(home, 3, expected=2)
    add(home, tmp_path / "trained")
    assert prune(home, keep=1) == [1]
    assert versions(home) == [2, 3, 4]
    assert current(home) == Pointer(3, (2,))
    assert rollback(home) == Pointer(2)
    assert sorted(os.listdir(home / "versions")) == ["2", "3", "4"]


def test_the_pointer_is_readable_by_people_and_other_users(home):
    promote(home, 1, expected=None)
    promote(home, 2, expected=1)
    assert json.loads((home / "current").read_text()) == {"version": 2, "previous": [1]}
    assert (home / "current").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("new", "old", "refused"),
    [
        ({"ndcg@10": 0.39}, {"ndcg@10": 0.40}, False),
        ({"ndcg@10": 0.37}, {"ndcg@10": 0.40}, True),
        ({"ndcg@10": 0.50}, {"ndcg@10": 0.40}, False),
        ({"ndcg@10": float("nan")}, {"ndcg@10": 0.40}, True),
        ({}, {"ndcg@10": 0.40}, True),
        (None, {"ndcg@10": 0.40}, True),
        ({"ndcg@10": 0.1}, None, False),
        ({"ndcg@10": 0.1}, {"auc": 0.9}, False),
        ({"auc": 0.9}, {"auc": 0.9}, True),
    ],
)
def test_gate(new, old, refused):
    assert (refusal(new, old, "ndcg@10", 0.05) is not None) is refused


def test_gate_knows_that_a_smaller_loss_is_better():
    assert refusal({"logloss": 0.2}, {"logloss": 0.4}, "logloss", 0.0) is None
    assert "worse by more" in refusal({"logloss": 0.5}, {"logloss": 0.4}, "logloss", 0.1)
