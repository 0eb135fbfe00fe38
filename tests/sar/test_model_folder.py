"""A SAR model's folder: what is written is read, and what is damaged is refused by name."""

import hashlib
import io
import json
import subprocess
import sys

import numpy as np
import pytest

from seldon import load_recommender, save_recommender
from seldon.candidates import Candidates
from seldon.errors import InvalidModel, InvalidParameter
from seldon.folders import open_folder, publishing
from seldon.sar.affinity import Event
from seldon.sar.parameters import TrainingParameters
from seldon.sar.training import train
from tests.sar.data import NOON, interactions, t7

PARAMETERS = TrainingParameters(
    support_threshold=1, enable_user_affinity=True, enable_user_to_item_recommendations=True
)


@pytest.fixture
def folder(tmp_path):
    save_recommender(train(t7(), parameters=PARAMETERS)[0], tmp_path / "model")
    return tmp_path / "model"


def test_round_trip(folder):
    model, _ = train(t7(), parameters=PARAMETERS)
    loaded = load_recommender(folder)
    for events, user in (([], "u1"), (["A"], None), ([Event("B", NOON, "Purchase")], "u7")):
        found = loaded.recommend_items(events, user, now=NOON)
        assert found == model.recommend_items(events, user, now=NOON)
        target = found[0][0]
        assert loaded.explain(target, events, user, NOON) == model.explain(
            target, events, user, NOON
        )
    assert loaded.parameters == PARAMETERS


def test_no_pickle_and_mapped(folder):
    for name in open_folder(folder).files:
        if name.endswith(".npy"):
            np.load(folder / name, allow_pickle=False)
    values = load_recommender(folder).similarity.values
    assert not values.flags.writeable
    assert isinstance(values.base, np.memmap)


def rewritten(folder, **arrays):
    """The same model with some arrays exchanged, checksums and all."""
    opened = open_folder(folder)
    kept = {name: opened.array(name) for name in (n[:-4] for n in opened.files if "npy" in n)}
    facts = (folder / "sar.json").read_text()
    with publishing(folder, opened.kind, opened.metadata) as path:
        for name, array in (kept | arrays).items():
            np.save(path / f"{name}.npy", array)
        (path / "sar.json").write_text(facts)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("similarity_offsets", lambda array: array[:-1]),
        ("similarity_offsets", lambda array: array * 2),
        ("similarity_columns", lambda array: array[:-1]),
        ("similarity_columns", lambda array: array + 100),
        ("similarity_values", lambda array: array.astype(np.float32)),
        ("occurrences", lambda array: array[:-1]),
        ("popular", lambda array: array + 100),
        ("history_offsets", lambda array: array[:-1]),
        ("history_items", lambda array: array - 100),
        ("history_times", lambda array: array[:-1]),
    ],
)
def test_row_32_arrays_that_do_not_fit_together(folder, name, change):
    rewritten(folder, **{name: change(open_folder(folder).array(name))})
    with pytest.raises(InvalidModel, match="do not fit together"):
        load_recommender(folder)


@pytest.mark.parametrize("text", ["[]", "{", "{}"])
def test_facts_that_are_not_what_was_saved(folder, text):
    path = folder / "sar.json"
    path.write_text(text.ljust(path.stat().st_size))  # the size is compared before
    with pytest.raises(InvalidModel, match=r"sar\.json: not what was saved"):
        load_recommender(folder, verify=False)


def test_row_32_a_flipped_bit(folder):
    data = bytearray((folder / "similarity_values.npy").read_bytes())
    data[-3] ^= 4
    (folder / "similarity_values.npy").write_bytes(data)
    with pytest.raises(InvalidModel, match=r"similarity_values\.npy: its SHA-256"):
        load_recommender(folder)


def test_row_32_parameters_of_another_version(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["metadata"]["parameters"]["parameters"]["new_idea"] = 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InvalidParameter, match="new_idea=1 is no training parameter"):
        load_recommender(folder)


@pytest.mark.parametrize("broken", [False, True])
def test_row_35_a_header_that_announces_too_much(folder, broken):
    path = folder / "popular.npy"
    if broken:
        bomb = path.read_bytes().replace(b"}", b"(", 1)
    else:
        header = io.BytesIO()
        shape = {"descr": "<i4", "fortran_order": False, "shape": (10**12,)}
        np.lib.format.write_array_header_1_0(header, shape)
        bomb = header.getvalue() + bytes(20)
    path.write_bytes(bomb)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["popular.npy"] = {
        "bytes": len(bomb), "sha256": hashlib.sha256(bomb).hexdigest(),
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InvalidModel, match=r"popular\.npy: not a usable array"):
        load_recommender(folder)


def test_row_36_bigger_than_memory(folder, monkeypatch):
    monkeypatch.setattr("seldon.sar.storage.available_memory", lambda: 1000)
    with pytest.raises(InvalidModel, match="keep fewer neighbours"):
        load_recommender(folder)


def test_row_42_a_full_disk_leaves_the_old_model(folder, monkeypatch):
    before = open_folder(folder).version

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save_recommender(train(t7(), parameters=PARAMETERS)[0], folder)
    assert open_folder(folder).version == before
    assert [entry.name for entry in folder.parent.iterdir()] == ["model"]


def test_serving_needs_numpy_only(folder):
    code = (
        "import sys, seldon; m = seldon.load_recommender(sys.argv[1]);"
        "m.recommend_items(['A']); m.explain('B', ['A']); m.recommend(1, {1, 2}, [1], 'c', 3);"
        "heavy = {'numba', 'scipy', 'pandas', 'pyarrow', 'torch'} & set(sys.modules);"
        "print(sorted(heavy))"
    )
    command = [sys.executable, "-c", code, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Integer ids: what a Seldon server asks


@pytest.fixture
def shop():
    rows = [(user[1:], str("ABCDE".index(item) + 1), NOON) for user, item in
            [("u1", "A"), ("u1", "B"), ("u2", "A"), ("u2", "B"), ("u2", "C"), ("u3", "C"),
             ("u3", "D"), ("u4", "D"), ("u4", "A"), ("u5", "E")]]  # fmt: skip
    return interactions([(user, {"5": "12"}.get(item, item), time) for user, item, time in rows])


def answered(found):
    ids, scores = found
    return list(zip(ids.tolist(), scores.tolist(), strict=True))


def test_integer_ids_are_numbers_in_order(shop):
    model, _ = train(shop, parameters=TrainingParameters(support_threshold=1))
    assert model.items.ids.tolist() == [1, 2, 3, 4, 12]
    assert model.items.ids.dtype == np.int64
    assert list(model.catalogue()) == [1, 2, 3, 4, 12]
    assert [item for item, _ in model.similar_items("1", 10)] == ["2", "3", "4", "12"]


@pytest.mark.parametrize("candidates", [{2, 4, 99}, Candidates.of([99, 4, 2])])
def test_candidates_limit_what_is_recommended(shop, candidates):
    model, _ = train(shop, parameters=TrainingParameters(support_threshold=1))
    everything = dict(model.similar_items("1", 10))
    found = answered(model.recommend(-1, candidates, [1], "shop", 10))
    assert found == [(2, everything["2"]), (4, everything["4"])]
    assert answered(model.recommend(-1, candidates, [1], "shop", 1)) == found[:1]
    assert answered(model.recommend(-1, candidates, [77], "shop", 10)) == [(2, 0), (4, 0)]
    assert answered(model.recommend(-1, Candidates.of([]), [1], "shop", 10)) == []


def test_stored_history_of_a_known_user(shop):
    parameters = TrainingParameters(
        support_threshold=1, enable_user_to_item_recommendations=True, enable_backfilling=False
    )
    model, _ = train(shop, parameters=parameters)
    assert answered(model.recommend(1, {3, 4, 12}, [], "shop", 10)) == [
        (int(item), score) for item, score in model.recommend_items(["1", "2"])
    ]
    assert answered(model.recommend(99, {3, 4}, [], "shop", 10)) == []


def test_text_ids_have_no_answer_for_a_seldon_server():
    model, _ = train(t7(), parameters=PARAMETERS)
    assert list(model.recommend(1, {1, 2}, [1], "shop", 10)) == []
    assert len(model.catalogue()) == 0


@pytest.mark.parametrize("ids", [["1", "02"], ["1", "+2"], ["1", str(2**63)], ["1", ""]])
def test_only_plain_decimals_are_numbers(ids):
    model, _ = train(
        interactions([("u", item, NOON) for item in ids]),
        parameters=TrainingParameters(support_threshold=1),
    )
    assert model.items.ids.dtype.kind == "U"
    assert {item for item, _ in model.similar_items("1", 5)} == set(ids) - {"1"}


def test_scores_of_random_requests_by_brute_force():
    rng = np.random.default_rng(11)
    rows = [(str(u), str(i), NOON) for u, i in rng.integers(0, 40, (400, 2))]
    model, _ = train(
        interactions(rows),
        parameters=TrainingParameters(support_threshold=2, enable_backfilling=False),
    )
    dense = model.similarity.dense()
    for _ in range(50):
        recent = rng.choice(40, 5).tolist()
        allowed = set(rng.choice(40, 20).tolist())
        scores = sum(dense[model.items.indices([item])[0]] for item in recent)
        expected = sorted(
            (-scores[row], item)
            for row, item in enumerate(model.items.ids.tolist())
            if item in allowed and item not in recent and scores[row] > 0
        )[:7]
        found = answered(model.recommend(-1, allowed, recent, "shop", 7))
        assert [item for item, _ in found] == [item for _, item in expected]
        np.testing.assert_allclose([score for _, score in found], [-s for s, _ in expected])


def test_history_keeps_the_latest_hundred():
    rows = [("u", f"i{n % 150:03}", NOON + n) for n in range(250)]
    parameters = TrainingParameters(support_threshold=1, enable_user_to_item_recommendations=True)
    model, _ = train(interactions(rows), parameters=parameters)
    kept = model.history.of("u")
    assert kept.time.tolist() == [NOON + n for n in range(150, 250)]
    assert model.history.of("nobody") is None
    assert kept.weight.tolist() == [1] * 100


def test_weights_of_the_source_count_only_when_asked():
    rows = [("u", "a", NOON, 3.0), ("v", "a", NOON, 1.0), ("v", "b", NOON, 1.0)]
    for asked, weight in ((False, 1), (True, 3)):
        parameters = TrainingParameters(
            support_threshold=1, enable_user_to_item_recommendations=True, event_weights=asked
        )
        model, _ = train(interactions(rows), parameters=parameters)
        assert model.history.of("u").weight.tolist() == [weight]
