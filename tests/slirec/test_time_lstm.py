import pytest

torch = pytest.importorskip("torch", reason="the extra slirec is not installed")

from seldon.slirec.time_lstm import TimeLSTM  # noqa: E402


def layer_and_inputs(examples=3, steps=4, wide=3, hidden=2):
    generator = torch.Generator().manual_seed(5)

    def drawn(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    layer = TimeLSTM(wide, hidden).double()
    for values in layer.parameters():
        values.data = drawn(*values.shape)
    past = drawn(examples, steps, wide).requires_grad_()
    real = torch.arange(steps) < torch.tensor([[steps], [1], [2]])
    return layer, (past, drawn(examples, steps).abs(), drawn(examples, steps).abs(), real)


def test_padding_is_0_and_changes_nothing_before_it():
    layer, (past, forget, to_now, real) = layer_and_inputs()
    states = layer(past, forget, to_now, real)
    assert torch.all(states[~real] == 0)
    other = torch.where(real[..., None], past, 7.0)
    assert torch.equal(layer(other, forget, to_now, real), states)


def test_one_step_alone():
    layer, (past, forget, to_now, real) = layer_and_inputs()
    whole = layer(past, forget, to_now, real)
    first = layer(past[:, :1], forget[:, :1], to_now[:, :1], real[:, :1])
    torch.testing.assert_close(first, whole[:, :1])
    first.sum().backward()
    assert torch.all(torch.isfinite(layer.kernel.grad))
