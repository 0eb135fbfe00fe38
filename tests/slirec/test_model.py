import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra slirec is not installed")

torch.set_num_threads(1)  # more only wait for each other at this size

from seldon import load_recommender, save_recommender  # noqa: E402
from seldon.candidates import Candidates  # noqa: E402
from seldon.errors import InvalidModel, InvalidParameter  # noqa: E402
from seldon.slirec.batches import padded, sequence_batch  # noqa: E402
from seldon.slirec.dataset import split  # noqa: E402
from seldon.slirec.hyperparameters import Hyperparameters  # noqa: E402
from seldon.slirec.model import SLiRecRecommender  # noqa: E402
from seldon.slirec.network import Histories, SLiRecNetwork  # noqa: E402
from seldon.slirec.training import train  # noqa: E402
from tests.slirec.sequences import chained_events  # noqa: E402
from tests.slirec.small import small  # noqa: E402

DAY = 86_400


@pytest.fixture(scope="module")
def dataset():
    return split(chained_events(0.9))


@pytest.fixture(scope="module")
def network(dataset, tmp_path_factory):
    return train(dataset, small(epochs=3), tmp_path_factory.mktemp("training")).network


@pytest.fixture
def recommender(network, dataset):
    ids = {f"i{n}": 100 + n for n in range(12)}
    return SLiRecRecommender.of(network, dataset, ids, popularity=0.0)


def shaken(h, n_items=37, n_categories=5, seed=0):
    """A network with random weights and normalisation statistics, none of them neutral."""
    torch.manual_seed(seed)
    network = SLiRecNetwork(n_items, n_categories, h).eval()
    for name, values in network.state_dict().items():
        if "running_var" in name:
            values.uniform_(0.5, 2)
        elif values.is_floating_point():
            values.normal_(0, 0.4)
    return network


@pytest.mark.parametrize("steps", [1, 7, 50, 80])
@pytest.mark.parametrize("enable_bn", [True, False])
@pytest.mark.parametrize("variant", ["mended", "published"])
def test_numpy_scores_as_torch_does(variant, enable_bn, steps):
    h = Hyperparameters.of({"variant": variant, "enable_BN": enable_bn})
    network = shaken(h)
    rng = np.random.default_rng(steps)
    time = rng.integers(0, 40 * DAY, steps)
    history = padded(
        rng.integers(0, 37, steps).astype(np.int32),
        rng.integers(0, 5, steps).astype(np.int32),
        time,
        np.array([0]),
        np.array([steps]),
        np.array([30 * DAY]),
        h.max_seq_length,
    )
    own = rng.integers(0, 5, 37)
    rows = rng.permutation(37)
    with torch.inference_mode():
        expected = network(
            Histories.of(history, h), torch.as_tensor(rows[None]), torch.as_tensor(own[rows][None])
        )[0].numpy()
    from seldon.slirec.scoring import Scorer

    weights = {name: values.numpy() for name, values in network.state_dict().items()}
    scorer = Scorer(weights, h, own)
    found = scorer.logits(history, rows)
    assert np.ptp(expected) > 0.1
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    other = rng.integers(0, 5, 37)
    with torch.inference_mode():
        expected = network(
            Histories.of(history, h), torch.as_tensor(rows[None]), torch.as_tensor(other[None])
        )[0].numpy()
    np.testing.assert_allclose(scorer.logits(history, rows, other), expected, rtol=1e-5, atol=1e-5)


def test_a_trained_model_scores_as_its_network(network, dataset):
    recommender = SLiRecRecommender.of(network, dataset, popularity=0.0)
    h = network.hyperparameters
    position = dataset.test.position[:5]
    batch = sequence_batch(dataset, position, h.max_seq_length)
    item = torch.arange(1, 13).expand(5, 12)
    category = torch.as_tensor(dataset.vocabulary.own_categories()[1:]).long().expand(5, 12)
    with torch.inference_mode():
        expected = torch.sigmoid(network(Histories.of(batch, h), item, category)).numpy()
    for row, p in enumerate(position):
        start = dataset.history_start(np.array([p]))[0]
        names = [dataset.vocabulary.items[n] for n in dataset.item[start:p]]
        ranked, scores = recommender.rank(names, dataset.time[start:p], int(dataset.time[p]))
        found = dict(zip(ranked, scores, strict=True))
        wanted = dict(zip(dataset.vocabulary.items[1:], expected[row], strict=True))
        assert found == pytest.approx(wanted, rel=1e-5, abs=1e-5)


def test_it_recommends_what_follows(recommender):
    ids, scores = recommender.recommend(-1, Candidates.of(range(100, 112)), [105, 104, 103], "c", 3)
    assert ids[0] == 106
    assert len(ids) == 3
    assert 0 <= scores[-1] <= scores[0] <= 1


def test_recent_interactions_come_newest_first_and_count_as_now(recommender):
    ids, scores = recommender.recommend(-1, range(100, 112), [105, 104, 103], "c", 12)
    names, expected = recommender.rank(["i3", "i4", "i5"], [7 * DAY] * 3, 7 * DAY)
    assert [f"i{n - 100}" for n in ids] == names
    assert scores == pytest.approx(expected, abs=1e-12)


def test_candidates_restrict_the_scoring(recommender):
    everything = dict(zip(*recommender.recommend(1, range(100, 112), [105], "c", 99), strict=True))
    candidates = Candidates.of([101, 103, 106, 777])
    ids, scores = recommender.recommend(1, candidates, [105], "c", 99)
    assert sorted(ids) == [101, 103, 106]
    assert scores == pytest.approx([everything[n] for n in ids], rel=1e-6)
    assert len(recommender.recommend(1, Candidates.of([777]), [105], "c", 9)[0]) == 0
    assert len(recommender.recommend(1, [], [105], "c", 9)[0]) == 0
    names, _ = recommender.rank(["i5"], count=2, candidates=["i1", "i6", "gone"])
    assert sorted(names) == ["i1", "i6"]


@pytest.mark.parametrize("recent", [[], [999], [999, -5, 0]])
def test_without_a_known_item_the_most_popular_are_recommended(recommender, recent):
    ids, scores = recommender.recommend(3, range(100, 112), recent, "c", 12)
    counts = dict(zip(recommender.item_ids, recommender.item_counts, strict=True))
    total = sum(counts.values())
    assert scores.tolist() == sorted((counts[n] / total for n in ids), reverse=True)
    assert [counts[n] / total for n in ids] == scores.tolist()


def test_unknown_items_of_a_history_are_left_out(recommender):
    with_unknown = recommender.recommend(3, range(100, 112), [999, 105, 998, 104], "c", 12)
    without = recommender.recommend(3, range(100, 112), [105, 104], "c", 12)
    assert with_unknown[0].tolist() == without[0].tolist()
    assert np.array_equal(with_unknown[1], without[1])
    one = recommender.rank(["i4", "gone", "i5"], [DAY, 2 * DAY, 3 * DAY], 4 * DAY)
    two = recommender.rank(["i4", "i5"], [DAY, 3 * DAY], 4 * DAY)
    assert one[0] == two[0] and np.array_equal(one[1], two[1])


def test_only_the_newest_of_a_long_history_count(recommender):
    long = [f"i{n % 12}" for n in range(300)]
    # Ten are kept, and of the eleventh only how long it was before the tenth.
    one, two = recommender.rank(long), recommender.rank(long[-11:])
    assert one[0] == two[0]
    assert one[1] == pytest.approx(two[1])


def test_times_may_go_backwards_or_lie_in_the_future(recommender):
    items, now = ["i3", "i4", "i5"], 100 * DAY
    for times in ([9 * DAY, DAY, 5 * DAY], [now + DAY, now + 9 * DAY, now], [-(10**12)] * 3):
        names, scores = recommender.rank(items, times, now)
        assert len(names) == 12
        assert np.all(np.isfinite(scores)) and np.all((scores >= 0) & (scores <= 1))
    # The future is now: spans are never shorter than half a day.
    future = recommender.rank(items, [now + DAY] * 3, now)
    assert np.array_equal(future[1], recommender.rank(items, [now] * 3, now)[1])


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ([1, 2], "2 timestamps do not go with 3 items"),
        ([1, 2, float("nan")], "timestamp nan"),
        ([1, 2, float("inf")], "timestamp inf"),
        ([1, 2, 1e300], "timestamp 1e[+]300"),
        ([1, 2, None], "timestamp None"),
        ([1, "2", 3], "timestamp '2'"),
    ],
)
def test_unusable_times_are_named(recommender, times, says):
    with pytest.raises(InvalidParameter, match=says):
        recommender.rank(["i1", "i2", "i3"], times)


def test_a_count_below_one_is_refused(recommender):
    with pytest.raises(InvalidParameter, match="count=0"):
        recommender.rank(["i1"], count=0)


def test_items_that_left_the_inventory_count_in_histories_alone(network, dataset):
    ids = {f"i{n}": n for n in range(6)}
    recommender = SLiRecRecommender.of(network, dataset, ids)
    assert recommender.catalogue().tolist() == [0, 1, 2, 3, 4, 5]
    names, _ = recommender.rank(["i10", "i11"])
    assert sorted(names) == sorted(ids)
    assert names[0] == "i0"
    assert recommender.recommend(1, range(99), [4], "c", 99)[0].max() == 5


def test_ids_may_be_left_to_the_names(network, dataset):
    assert SLiRecRecommender.of(network, dataset).catalogue().tolist() == list(range(1, 13))
    with pytest.raises(InvalidParameter, match="id 7 stands for more than one item"):
        SLiRecRecommender.of(network, dataset, {"i1": 7, "i2": 7})
    numbered = split(chained_events(0.9, prefix="10"))
    found = SLiRecRecommender.of(network, numbered).catalogue().tolist()
    assert found == sorted(int(f"10{n}") for n in range(12))


def test_popularity_can_be_weighed_in(network, dataset):
    found = [
        dict(
            zip(
                *SLiRecRecommender.of(network, dataset, popularity=weight).rank(["i3"]), strict=True
            )
        )
        for weight in (0.0, 1.0)
    ]
    logits = [{name: np.log(p / (1 - p)) for name, p in scores.items()} for scores in found]
    plain = SLiRecRecommender.of(network, dataset)
    counts = dict(zip(plain.vocabulary.items, plain.item_counts, strict=True))
    assert {name: logits[1][name] - logits[0][name] for name in logits[0]} == pytest.approx(
        {name: np.log(counts[name] / plain.item_counts.sum()) for name in logits[0]}, abs=1e-5
    )


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_popularity_that_is_no_weight_is_refused(weight):
    with pytest.raises(InvalidParameter, match=r"popularity=.* is not a number from 0"):
        SLiRecRecommender(weight)


def test_it_is_saved_and_loaded(recommender, tmp_path):
    save_recommender(recommender, tmp_path / "model")
    found = load_recommender(tmp_path / "model")
    assert isinstance(found, SLiRecRecommender)
    assert found.catalogue().tolist() == recommender.catalogue().tolist()
    for recent in ([105, 104], []):
        one = recommender.recommend(1, range(100, 112), recent, "c", 12)
        two = found.recommend(1, range(100, 112), recent, "c", 12)
        assert one[0].tolist() == two[0].tolist() and np.array_equal(one[1], two[1])
    assert found.vocabulary.users == ()
    assert not any(path.suffix in (".pkl", ".pt") for path in (tmp_path / "model").iterdir())


@pytest.mark.parametrize(
    "changed",
    [
        "not json",
        "[]",
        {"vocabulary": {"items": ["default_mid"]}},
        {
            "vocabulary": {"items": ["a"], "categories": ["b"], "users": [], "item_category": [0]},
        },
        {"hyperparameters": {"variant": "mended", "hidden": 3}},
        {"hyperparameters": None, "vocabulary": None},
    ],
)
def test_a_folder_that_is_not_whole_is_refused(recommender, tmp_path, changed):
    from seldon.folders import publishing

    kind = "seldon.slirec.model:SLiRecRecommender"
    with publishing(tmp_path / "model", kind, {"parameters": {}}) as folder:
        recommender.save(folder)
        document = json.loads((folder / "model.json").read_text())
        text = changed if isinstance(changed, str) else json.dumps({**document, **changed})
        (folder / "model.json").write_text(text)
    with pytest.raises(InvalidModel):
        load_recommender(tmp_path / "model")


def test_serving_imports_no_torch(recommender, tmp_path):
    save_recommender(recommender, tmp_path / "model")
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from seldon import load_recommender\n"
        "model = load_recommender(sys.argv[1])\n"
        "print(model.recommend(-1, range(100, 112), [105, 104], 'c', 1)[0][0])\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "model")]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "106\n", done.stderr
