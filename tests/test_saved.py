"""What is saved comes back, without a pickle; folders of the original package need trust."""

import hashlib
import json
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seldon
import seldon.util
from seldon import ExtensionWrapper, RecommenderWrapper, load_recommender, save_recommender
from seldon.errors import InvalidModel, MissingExtra, ModelNotFound
from seldon.folders import MANIFEST
from tests.saved_models import Doubling, Favourites, OwnFiles, SimpleRecommender


def test_the_documented_wrapper(tmp_path):
    wrapper = RecommenderWrapper(work_folder=str(tmp_path / "work"))
    wrapper.save_recommender(SimpleRecommender(), str(tmp_path / "simplerec"))
    loaded = wrapper.load_recommender(str(tmp_path / "simplerec"))
    assert loaded.recommend(1, None, None, "test", 2) == [(1, 0.8), (2, 0.7)]
    assert not list((tmp_path / "work").glob("*")), "work folders are removed"


def test_attributes_come_back_with_their_types(tmp_path):
    model = Favourites(boost=0.5).fit({7: 0.25, (1, 2): np.float32(3)}, {"a": {1, 2}, "b": None})
    model.factors = np.arange(6, dtype=np.float32).reshape(2, 3)
    model.nested = [{"x": (1, [True, "t"])}, frozenset({3})]
    save_recommender(model, tmp_path / "model")
    loaded = load_recommender(tmp_path / "model")
    assert loaded.boost == 0.5
    assert loaded.scores == {7: 0.25, (1, 2): 3.0}
    assert loaded.seen == {"a": {1, 2}, "b": None}
    assert loaded.nested == model.nested
    assert loaded.factors.dtype == np.float32
    assert np.array_equal(loaded.factors, model.factors)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@settings(max_examples=40)
@given(values)
def test_any_plain_value_comes_back(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("model")
    model = SimpleRecommender()
    model.value = value
    model.save(folder)
    assert SimpleRecommender().load(folder).value == value


def test_what_cannot_be_kept_is_named(tmp_path):
    model = Favourites().fit({}, None)
    model.lock = lambda: None
    with pytest.raises(InvalidModel, match=r"Favourites\.lock holds a function"):
        save_recommender(model, tmp_path / "model")
    with pytest.raises(InvalidModel, match=r"Favourites\(boost=…\) is not a JSON value"):
        save_recommender(Favourites(boost=np.arange(2)), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_row_35_arrays_that_announce_more_than_they_hold(tmp_path):
    model = Favourites().fit({}, np.arange(0))
    model.save(tmp_path)
    assert Favourites().load(tmp_path).seen.shape == (0,)
    header = np.lib.format.header_data_from_array_1_0(np.empty(0))
    with (tmp_path / "attribute-1.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header | {"shape": (10**12,)})
    with pytest.raises(InvalidModel, match="not what save wrote"):
        Favourites().load(tmp_path)
    (tmp_path / "attributes.json").write_text('{"x": {"array": "../../secret.npy"}}')
    with pytest.raises((InvalidModel, FileNotFoundError)):
        Favourites().load(tmp_path)


def test_a_class_with_files_of_its_own(tmp_path):
    model = OwnFiles()
    model.text = "kept"
    save_recommender(model, tmp_path / "model")
    assert load_recommender(tmp_path / "model").text == "kept"


def test_extensions(tmp_path):
    wrapper = ExtensionWrapper()
    wrapper.save_extension(Doubling(3), str(tmp_path / "ext"))
    assert wrapper.load_extension(str(tmp_path / "ext")).predict({"x": 2})["result"] == 6
    with pytest.raises(InvalidModel, match=r"is not a seldon\.Recommender"):
        load_recommender(tmp_path / "ext")


def test_a_class_of_a_script_is_refused(tmp_path):
    class Local(SimpleRecommender):
        pass

    with pytest.raises(InvalidModel, match="top level of a module"):
        save_recommender(Local(), tmp_path / "model")


def test_any_fsspec_location(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    wrapper = RecommenderWrapper(work_folder=str(tmp_path))
    location = "memory://bucket/models/rec"
    wrapper.save_recommender(Favourites(2.0).fit({1: 0.5}, ["long"]), location)
    fsspec.filesystem("memory").pipe("/bucket/models/rec/attribute-left-over.npy", b"old")
    wrapper.save_recommender(Favourites(3.0).fit({1: 0.5}, np.arange(3)), location)
    loaded = wrapper.load_recommender(location)
    assert loaded.recommend(1, {1}, [], "c", 1) == [(1, 1.5)]
    assert loaded.seen.tolist() == [0, 1, 2]
    names = {name.rpartition("/")[2] for name in fsspec.filesystem("memory").find("/bucket")}
    assert names == {MANIFEST, "attributes.json", "attribute-1.npy"}
    assert not list(tmp_path.iterdir())
    with pytest.raises(ModelNotFound, match="memory://bucket/none"):
        load_recommender("memory://bucket/none")


def test_row_65_a_missing_file_system_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r"seldon-recommender\[gcs\]"):
        load_recommender("gs://bucket/model")


class Poisoned:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


@pytest.mark.parametrize("name", ["rec", "ext"])
def test_row_34_a_poisoned_pickle_is_not_opened(tmp_path, name):
    canary = tmp_path / "canary"
    (tmp_path / "model").mkdir()
    file = tmp_path / "model" / name
    joblib.dump(Poisoned(canary), file)
    load = {"rec": seldon.load_recommender, "ext": seldon.load_extension}[name]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()

    with pytest.raises(InvalidModel, match="runs whatever code it holds") as refusal:
        load(tmp_path / "model")
    assert digest in str(refusal.value), "what to pin is said"
    with pytest.raises(InvalidModel, match="not among the digests"):
        load(tmp_path / "model", trusted={"0" * 64})
    assert not canary.exists()

    with pytest.raises(InvalidModel, match="holds a NoneType"):
        load(tmp_path / "model", trusted=True)
    assert canary.exists(), "the canary is real: a trusted file does run"


@pytest.mark.parametrize("by", ["flag", "digest"])
def test_original_folders_load_when_trusted(tmp_path, by):
    model = OwnFiles()
    model.text = "beside the pickle"
    joblib.dump(model, tmp_path / "rec")
    model.save(str(tmp_path))
    digest = hashlib.sha256((tmp_path / "rec").read_bytes()).hexdigest()
    loaded = load_recommender(tmp_path, trusted=True if by == "flag" else [digest])
    assert loaded.text == "beside the pickle"


def test_an_unreadable_original_says_so(tmp_path):
    (tmp_path / "rec").write_bytes(b"no pickle")
    with pytest.raises(InvalidModel, match="cannot be read by this Python"):
        load_recommender(tmp_path, trusted=True)


def test_a_pickle_beside_a_manifest_is_never_read(tmp_path):
    canary = tmp_path / "canary"
    save_recommender(SimpleRecommender(), tmp_path / "model")
    (tmp_path / "model" / "rec").write_bytes(pickle.dumps(Poisoned(canary)))
    load_recommender(tmp_path / "model", trusted=True)
    assert not canary.exists()


@pytest.mark.parametrize("module", [seldon, seldon.util])
def test_old_names_warn_and_work(module):
    with pytest.warns(DeprecationWarning, match=r"use seldon\.wrappers\.RecommenderWrapper"):
        assert module.Recommender_wrapper is RecommenderWrapper
    with pytest.warns(DeprecationWarning):
        assert module.Extension_wrapper is ExtensionWrapper
    with pytest.raises(AttributeError, match="Recomender"):
        module.Recomender  # noqa: B018


def test_credentials_go_to_s3_only_and_not_into_the_repr():
    wrapper = RecommenderWrapper(aws_key="K", aws_secret="S3CRET")
    assert wrapper.storage("s3://bucket/x") == {"key": "K", "secret": "S3CRET"}
    assert wrapper.storage("/tmp/x") == wrapper.storage("gs://b/x") == {}
    assert "S3CRET" not in repr(wrapper)


def test_the_manifest_holds_no_more_than_said(tmp_path):
    save_recommender(Favourites(2.5).fit({}, []), tmp_path / "model", {"note": "mine"})
    manifest = json.loads((tmp_path / "model" / MANIFEST).read_text())
    assert manifest["kind"] == "tests.saved_models:Favourites"
    assert manifest["metadata"] == {"parameters": {"boost": 2.5}, "note": "mine"}
