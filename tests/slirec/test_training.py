import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra slirec is not installed")

torch.set_num_threads(1)  # more only wait for each other at this size

from seldon import metrics  # noqa: E402
from seldon.errors import InvalidModel, InvalidParameter, ModelNotFound  # noqa: E402
from seldon.slirec.checkpoints import load_network  # noqa: E402
from seldon.slirec.dataset import save_dataset, split  # noqa: E402
from seldon.slirec.examples import batches_in_a_pass  # noqa: E402
from seldon.slirec.network import scores  # noqa: E402
from seldon.slirec.training import chosen_epoch, train  # noqa: E402
from seldon.slirec.training_run import TrainingDiverged  # noqa: E402
from tests.slirec.sequences import chained_events  # noqa: E402
from tests.slirec.small import small  # noqa: E402


def group_auc(network, dataset):
    found = scores(network, dataset, dataset.test)
    labels = np.zeros(found.shape, np.int64)
    labels[:, 0] = 1
    return metrics.group_auc(labels, found).mean()


@pytest.mark.parametrize("variant", ["mended", pytest.param("published", marks=pytest.mark.slow)])
def test_what_can_be_predicted_is_learned(variant, tmp_path):
    dataset = split(chained_events(0.9))
    training = train(dataset, small(variant=variant, learning_rate=0.01), tmp_path)
    # The best there can be is about 0.95: one event in ten follows no rule.
    assert group_auc(training.network, dataset) > {"mended": 0.88, "published": 0.7}[variant]
    assert training.history[-1]["loss"] < training.history[0]["loss"]
    within = {"mended": 1.0, "published": 0.0}[variant]
    assert training.best_epoch == chosen_epoch(training.history, within)


@pytest.mark.slow
def test_better_data_is_learned_better(tmp_path):
    found = []
    for predictability in (0.3, 0.6, 0.95):
        dataset = split(chained_events(predictability, users=80))
        training = train(dataset, small(), tmp_path / str(predictability))
        found.append(group_auc(training.network, dataset))
    assert found[0] < found[1] < found[2]


def test_noise_stays_near_chance(tmp_path):
    dataset = split(chained_events(0.0, users=80))
    training = train(dataset, small(), tmp_path)
    # Five standard errors of the mean over 80 groups: 5 · 0.29 / √80.
    assert abs(group_auc(training.network, dataset) - 0.5) < 0.17


def weights(folder, dataset):
    return load_network(folder, dataset.vocabulary).state_dict()


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def test_the_seed_decides_everything(tmp_path):
    dataset = split(chained_events(0.8))
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.rand(3)  # whatever the caller did with the global generator does not matter
        train(dataset, small(seed=seed, epochs=2), tmp_path / folder)
    a, b, c = (weights(tmp_path / folder, dataset) for folder in "abc")
    assert same(a, b)
    assert not same(a, c)


def test_the_global_generators_are_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    train(split(chained_events(0.8)), small(epochs=1), tmp_path)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.slow
def test_training_goes_on_where_it_stopped(tmp_path):
    dataset = split(chained_events(0.8))
    whole = train(dataset, small(epochs=4), tmp_path / "whole")
    train(dataset, small(epochs=2), tmp_path / "parts")
    parts = train(dataset, small(epochs=4), tmp_path / "parts")
    assert same(weights(tmp_path / "whole", dataset), weights(tmp_path / "parts", dataset))
    for name in ("epoch", "loss", "group_auc"):
        assert [e[name] for e in whole.history] == [e[name] for e in parts.history]
    again = train(dataset, small(epochs=4), tmp_path / "parts")
    assert again.history == parts.history


KILLED = """
import os, signal, sys, torch
torch.set_num_threads(1)
from seldon.slirec.training import train
from seldon.slirec.training_run import TrainingRun
from seldon.slirec.dataset import load_dataset
from tests.slirec.small import small
step, steps = TrainingRun.step, int(sys.argv[3])
def counted(run, groups):
    global steps
    steps -= 1
    if steps < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(run, groups)
TrainingRun.step = counted
train(load_dataset(sys.argv[1]), small(epochs=4), sys.argv[2])
"""


@pytest.mark.slow
def test_row_41_a_killed_training_comes_to_the_same_result(tmp_path):
    dataset = split(chained_events(0.8))
    save_dataset(dataset, tmp_path / "data")
    in_an_epoch = batches_in_a_pass(dataset, small())
    folders = [str(tmp_path / "data"), str(tmp_path / "killed")]
    for finished in (1, 2):  # each time killed in the middle of the epoch after the next
        steps = str(in_an_epoch + in_an_epoch // 2)
        command = [sys.executable, "-c", KILLED, *folders, steps]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], timeout=300)
        assert done.returncode == -signal.SIGKILL
        assert [p.name for p in (tmp_path / "killed").glob("epoch-*")] == [f"epoch-0000{finished}"]
    resumed = train(dataset, small(), tmp_path / "killed")
    whole = train(dataset, small(), tmp_path / "whole")
    assert len(resumed.history) == len(whole.history) == 4
    assert same(weights(tmp_path / "killed", dataset), weights(tmp_path / "whole", dataset))


def test_no_progress_stops_early(tmp_path):
    dataset = split(chained_events(0.0))
    training = train(dataset, small(epochs=30, EARLY_STOP=2), tmp_path)
    highest = 1 + np.argmax([epoch["group_auc"] for epoch in training.history])
    assert len(training.history) == highest + 2 < 30


@pytest.mark.slow
def test_the_best_epoch_is_served(tmp_path):
    """The weights that `load_network` gives are those of the epoch that `train` names."""
    dataset = split(chained_events(0.0))
    training = train(dataset, small(epochs=4, best_within=0.0), tmp_path / "whole")
    epochs = small(epochs=training.best_epoch, best_within=0.0)
    stopped = train(dataset, epochs, tmp_path / "stopped")
    assert same(training.network.state_dict(), stopped.network.state_dict())


@pytest.mark.parametrize(
    ("values", "within", "expected"),
    [
        ([0.7, 0.9, 0.8], 0.0, 2),
        ([0.9, 0.9, 0.9], 0.0, 1),
        ([0.9, 0.9, 0.9], 1.0, 3),
        ([0.7, 0.9, 0.895], 1.0, 3),
        ([0.7, 0.9, 0.885], 1.0, 2),
        ([0.895, 0.7, 0.9, 0.8], 1.0, 3),
    ],
)
def test_a_later_epoch_within_the_error_of_the_best_is_chosen(values, within, expected):
    history = [{"group_auc": value, "group_auc_error": 0.01} for value in values]
    assert chosen_epoch(history, within) == expected


def test_a_checkpoint_of_another_vocabulary_is_refused(tmp_path):
    train(split(chained_events(0.8)), small(epochs=1), tmp_path)
    other = split(chained_events(0.8, items=13))
    with pytest.raises(InvalidModel, match="another vocabulary"):
        train(other, small(epochs=2), tmp_path)
    with pytest.raises(InvalidModel, match="another vocabulary"):
        load_network(tmp_path, other.vocabulary)


def test_a_checkpoint_of_other_hyperparameters_is_refused(tmp_path):
    dataset = split(chained_events(0.8))
    train(dataset, small(epochs=1), tmp_path)
    with pytest.raises(InvalidModel, match=r"learning_rate=0\.01, now it is 0\.02"):
        train(dataset, small(epochs=2, learning_rate=0.02), tmp_path)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    dataset = split(chained_events(0.8))
    train(dataset, small(epochs=1), tmp_path)
    damaged = tmp_path / "epoch-00001" / "best.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with pytest.raises(InvalidModel, match="SHA-256"):
        load_network(tmp_path, dataset.vocabulary)


def test_a_folder_without_an_epoch_says_so(tmp_path):
    with pytest.raises(ModelNotFound, match="no trained epoch"):
        load_network(tmp_path, split(chained_events(0.8)).vocabulary)


def test_a_loss_that_is_no_number_stops_training_with_the_reason(tmp_path):
    dataset = split(chained_events(0.8))
    with pytest.raises(TrainingDiverged, match=r"loss is nan in epoch 1, step 1; lower learning"):
        train(dataset, small(layer_l2=1e38), tmp_path)
    assert not list(tmp_path.glob("epoch-*"))


def test_nothing_to_learn_from_is_said(tmp_path):
    few = split(chained_events(0.5, users=4, length=4), valid_negatives=1, test_negatives=1)
    with pytest.raises(InvalidParameter, match="4 training examples are too few"):
        train(few, small(), tmp_path)
    events = chained_events(0.5)
    with pytest.raises(InvalidParameter, match="nothing to validate with"):
        train(split(events, valid_negatives=0), small(), tmp_path)
    alone = split(
        replace(events, item=np.full(len(events), "i")), valid_negatives=0, test_negatives=0
    )
    unlike = replace(alone.valid, item=np.repeat(alone.valid.item, 2, 1))
    with pytest.raises(InvalidParameter, match="one item alone"):
        train(replace(alone, valid=unlike), small(), tmp_path)


def test_a_device_that_is_not_here_is_refused(tmp_path):
    with pytest.raises(InvalidParameter, match="device='no-such' cannot be used here"):
        train(split(chained_events(0.5)), small(), tmp_path, device="no-such")


@pytest.mark.parametrize(
    "values",
    [
        {"embed_l2": 0.1, "embed_l1": 0.01, "layer_l2": 0.1, "layer_l1": 0.01},
        {"max_grad_norm": 0.01, "enable_BN": False, "dropout": 0.0},
    ],
)
def test_penalties_and_clipping_change_what_is_learned(values, tmp_path):
    dataset = split(chained_events(0.8))
    plain = train(dataset, small(epochs=1), tmp_path / "plain")
    other = train(dataset, small(epochs=1, **values), tmp_path / "other")
    assert plain.history[0]["loss"] != other.history[0]["loss"]


def test_summaries_are_written_for_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    dataset = split(chained_events(0.8))
    train(dataset, small(epochs=2), tmp_path)
    training = train(dataset, small(epochs=3), tmp_path)
    found = EventAccumulator(str(tmp_path / "summaries"))
    found.Reload()
    for name in ("loss", "group_auc"):
        written = [(event.step, event.value) for event in found.Scalars(name)]
        assert [step for step, _ in written] == [1, 2, 3]
        assert [value for _, value in written] == pytest.approx(
            [epoch[name] for epoch in training.history]
        )


def test_progress_is_shown_when_asked(tmp_path, capsys):
    train(split(chained_events(0.8)), small(epochs=1), tmp_path, progress=True)
    assert "epoch 1/1: 100%" in capsys.readouterr().err
