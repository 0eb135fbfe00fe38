import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra slirec is not installed")
torch.set_num_threads(1)

from seldon.slirec.batches import SequenceBatch, padded  # noqa: E402
from seldon.slirec.hyperparameters import Hyperparameters  # noqa: E402
from seldon.slirec.network import Histories, SLiRecNetwork, next_item_loss  # noqa: E402
from tests.services.processes import ROOT  # noqa: E402
from tests.slirec.small import small  # noqa: E402

DAY = 86_400


def random_batch(rows=6, length=8, n_items=20, n_categories=5, seed=0, shortest=1):
    rng = np.random.default_rng(seed)
    count = rng.integers(shortest, length + 4, rows)
    end = np.cumsum(count)
    time = rng.integers(0, 30 * DAY, end[-1])
    return padded(
        rng.integers(1, n_items, end[-1]).astype(np.int32),
        rng.integers(1, n_categories, end[-1]).astype(np.int32),
        time,
        end - count,
        end,
        np.full(rows, 30 * DAY),
        length,
    )


def test_the_published_network_has_the_published_number_of_parameters():
    network = SLiRecNetwork(235, 11, Hyperparameters.of({"variant": "published"}))
    # 78,751, of which 2,384 are a user embedding that nothing reads.
    assert sum(values.numel() for values in network.parameters()) == 78_751 - 2_384


def published_by_definition(network, batch, item, category):
    """The formulas of the paper's implementation, one example and one candidate at a time."""
    w = {name: values.double() for name, values in network.state_dict().items()}

    def mlp(prefix, x):
        for n in range(2):
            x = x @ w[f"{prefix}.linear.{n}.weight"].T + w[f"{prefix}.linear.{n}.bias"]
            norm = f"{prefix}.norm.{n}."
            spread = torch.sqrt(w[norm + "running_var"] + 1e-4)
            x = (x - w[norm + "running_mean"]) / spread * w[norm + "weight"] + w[norm + "bias"]
            x = torch.clamp(x, min=0)
        return (x @ w[f"{prefix}.output.weight"].T + w[f"{prefix}.output.bias"]).squeeze(-1)

    found = np.empty(item.shape)
    for row, column in np.ndindex(*item.shape):
        e = w["item.weight"][batch.item[row].astype(int)]
        x = torch.cat([e, w["category.weight"][batch.category[row].astype(int)]], 1)
        q = torch.cat(
            [w["item.weight"][item[row, column]], w["category.weight"][category[row, column]]]
        )
        a = torch.softmax((x @ w["long_term.matrix"]) @ w["long_term.query"], 0)
        long_term = a @ x
        wide = e.shape[1]
        p = "short_term."
        h = c = torch.zeros(network.short_term.hidden, dtype=torch.float64)
        states = []
        for step in range(int(batch.steps[row])):
            v, u = float(batch.to_now[row, step]), float(batch.from_first[row, step])
            ts = torch.tanh(v * w[p + "time_weight"][0] + w[p + "time_shift"][0])
            td = torch.tanh(u * w[p + "time_weight"][1] + w[p + "time_shift"][1])
            gs, gd = (
                torch.sigmoid(
                    e[step] @ w[p + "gate_input"][n]
                    + t @ w[p + "gate_time"][n]
                    + w[p + "gate_shift"][n]
                )
                for n, t in enumerate((ts, td))
            )
            z = torch.cat([e[step], h]) @ w[p + "kernel"] + w[p + "bias"]
            i, j, f, o = z.chunk(4)
            o = o + ts @ w[p + "output_time"][0] + td @ w[p + "output_time"][1]
            c = torch.sigmoid(f + 1) * gd * c + torch.sigmoid(i) * gs * torch.tanh(j)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        assert w[p + "kernel"].shape[0] == wide + len(h)
        states = torch.stack(states)
        asked = states @ w["attention.matrix"]
        q_each = q.expand_as(asked)
        seen = torch.cat([asked, q_each, asked - q_each, asked * q_each], 1)
        short_term = torch.softmax(mlp("attention.network", seen), 0) @ states
        last = torch.tensor([float(batch.to_now[row, -1])], dtype=torch.float64)
        alpha = torch.sigmoid(mlp("fusion", torch.cat([q, long_term, short_term, last])))
        interest = alpha * long_term + (1 - alpha) * short_term
        found[row, column] = mlp("scorer", torch.cat([interest, q]))
    return found


def test_the_rewrites_compute_what_the_formulas_say():
    h = small(variant="published", max_seq_length=8)
    torch.manual_seed(3)
    network = SLiRecNetwork(20, 5, h).eval()
    for name, values in network.state_dict().items():
        if "running_var" in name:
            values.uniform_(0.5, 2)
        elif values.is_floating_point():
            values.normal_(0, 0.8)
    batch = random_batch()
    rng = np.random.default_rng(1)
    item, category = rng.integers(0, 20, (6, 3)), rng.integers(0, 5, (6, 3))
    with torch.inference_mode():
        found = network(
            Histories.of(batch, h), torch.as_tensor(item), torch.as_tensor(category)
        ).numpy()
    expected = published_by_definition(network, batch, item, category)
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_an_untrained_published_network_is_indifferent():
    """Its loss starts at ln 5: the initialisation leaves every candidate the same."""
    h = Hyperparameters.of({"variant": "published"})
    torch.manual_seed(0)
    network = SLiRecNetwork(20, 5, h)
    batch = random_batch(rows=50, length=50)
    item = torch.randint(1, 20, (50, 5))
    logits = network(Histories.of(batch, h), item, item % 5)
    loss = -torch.log_softmax(logits, 1)[:, 0].mean().item()
    assert loss == pytest.approx(np.log(5), abs=0.02)


def test_padding_changes_nothing_in_the_mended_network():
    network = SLiRecNetwork(20, 5, small()).eval()
    batch = random_batch(length=8)
    wider = SequenceBatch(
        *(
            values if values.ndim == 1 else np.pad(values, ((0, 0), (0, 5)))
            for values in vars(batch).values()
        )
    )
    item = torch.arange(1, 19).view(6, 3)
    with torch.inference_mode():
        one, two = (
            network(Histories.of(b, network.hyperparameters), item, item % 5)
            for b in (batch, wider)
        )
    torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)


def test_padding_does_change_the_published_network():
    """Its long-term attention takes padding for history."""
    h = small(variant="published", init_value=0.5)
    network = SLiRecNetwork(20, 5, h).eval()
    batch = random_batch(length=8)
    wider = SequenceBatch(
        *(
            values if values.ndim == 1 else np.pad(values, ((0, 0), (0, 5)))
            for values in vars(batch).values()
        )
    )
    item = torch.arange(1, 19).view(6, 3)
    with torch.inference_mode():
        one, two = (network(Histories.of(b, h), item, item % 5) for b in (batch, wider))
    assert not torch.allclose(one, two, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("variant", ["mended", "published"])
def test_a_candidate_is_scored_alike_in_any_company(variant):
    h = small(variant=variant)
    network = SLiRecNetwork(20, 5, h).eval()
    histories = Histories.of(random_batch(), h)
    item = torch.arange(1, 19).view(6, 3)
    with torch.inference_mode():
        together = network(histories, item, item % 5)
        alone = torch.cat([network(histories, item[:, [n]], item[:, [n]] % 5) for n in range(3)], 1)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_next_item_loss_is_the_cross_entropy_of_every_step():
    h = small(max_seq_length=8)
    torch.manual_seed(1)
    network = SLiRecNetwork(20, 5, h)
    batch = random_batch(shortest=2)
    encoded = network.encode(Histories.of(batch, h))
    target, own = torch.arange(1, 7), torch.arange(20) % 5
    prior = torch.log_softmax(torch.randn(20), 0)
    found = next_item_loss(network, encoded, target, own, prior)
    table = network.embedded(torch.arange(20), own)
    losses = []
    for row in range(6):
        steps = int(batch.steps[row])
        following = [*batch.item[row, 1:steps].tolist(), int(target[row])]
        for step, wanted in enumerate(following):
            logits = encoded.states[row, step] @ network.next_item @ table.T + prior
            losses.append(-torch.log_softmax(logits, 0)[wanted].item())
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-5)
    part = next_item_loss(network, encoded, target, own, prior, most=20 * len(losses) // 2)
    assert part.item() == pytest.approx(np.mean(losses), rel=0.3)


def test_dropout_drops_its_share_and_keeps_the_mean():
    from seldon.slirec.layers import _kept

    for share in (0.1, 0.3, 0.9):
        kept = _kept(torch.ones(999, 101, dtype=torch.bool), share)
        assert (kept == 0).double().mean().item() == pytest.approx(share, abs=0.01)
        assert kept.mean().item() == pytest.approx(1, abs=0.05)
    assert not _kept(torch.zeros(9, 9, dtype=torch.bool), 0.3).any()


@pytest.mark.parametrize("module", ["training", "network", "layers", "time_lstm", "checkpoints"])
def test_row_65_without_torch(module):
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from seldon.errors import MissingExtra\n"
        f"try: import seldon.slirec.{module}\n"
        "except MissingExtra as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "pip install 'seldon-recommender[slirec]'" in done.stdout, done.stderr
