"""`TimeLSTM`: an LSTM whose writing and forgetting two time signals govern."""

from __future__ import annotations

from seldon.errors import MissingExtra

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    raise MissingExtra("torch", "slirec") from None


class TimeLSTM(nn.Module):
    """States of the time-aware controller.

    With x a step's item, v its time to now and u its forgetting signal::

        T_s = tanh(v w_1 + b_1)            T_δ = tanh(u w_2 + b_2)
        G_s = σ(x W_1 + T_s U_1 + c_1)     G_δ = σ(x W_2 + T_δ U_2 + c_2)
        i, j, f, o = split([x; h] W + b)   o ← o + T_s O_1 + T_δ O_2
        c' = σ(f + 1) G_δ c + σ(i) G_s tanh(j)        h' = σ(o) tanh(c')

    Parameters
    ----------
    wide, hidden : int
        Widths of x and of h.
    """

    def __init__(self, wide: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.kernel = nn.Parameter(torch.empty(wide + hidden, 4 * hidden))
        self.bias = nn.Parameter(torch.zeros(4 * hidden))
        self.time_weight = nn.Parameter(torch.empty(2, hidden))
        self.time_shift = nn.Parameter(torch.empty(2, hidden))
        self.gate_input = nn.Parameter(torch.empty(2, wide, hidden))
        self.gate_time = nn.Parameter(torch.empty(2, hidden, hidden))
        self.gate_shift = nn.Parameter(torch.empty(2, hidden))
        self.output_time = nn.Parameter(torch.empty(2, hidden, hidden))

    def forward(self, past: Tensor, forget: Tensor, to_now: Tensor, real: Tensor) -> Tensor:
        """States, 0 in padding.

        Parameters
        ----------
        past : Tensor, shape (B, L, wide)
        forget, to_now : Tensor, shape (B, L)
        real : Tensor of bool, shape (B, L)

        Returns
        -------
        Tensor, shape (B, L, hidden)
        """
        # Everything that does not depend on h is computed for all steps at once.
        wide = past.shape[-1]
        inputs = past @ self.kernel[:wide] + self.bias
        gates = []
        extra = torch.zeros(())
        for n, signal in enumerate((to_now, forget)):
            felt = torch.tanh(signal[..., None] * self.time_weight[n] + self.time_shift[n])
            gates.append(
                torch.sigmoid(
                    past @ self.gate_input[n] + felt @ self.gate_time[n] + self.gate_shift[n]
                )
            )
            extra = extra + felt @ self.output_time[n]
        i, j, f, o = inputs.chunk(4, -1)
        inputs = torch.cat([i, j, f + 1, o + extra], -1)
        h = past.new_zeros(len(past), self.hidden)
        c = h
        states = []
        for x, write, keep in zip(
            inputs.unbind(1), gates[0].unbind(1), gates[1].unbind(1), strict=True
        ):
            i, j, f, o = (x + h @ self.kernel[wide:]).chunk(4, -1)
            c = torch.sigmoid(f) * keep * c + torch.sigmoid(i) * write * torch.tanh(j)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        return torch.stack(states, 1) * real[..., None]
