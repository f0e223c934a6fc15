"""The optimizer: Muon (K. Jordan, 2024) for matrices inside the model, AdamW for the rest.

Muon replaces the momentum of a matrix by the nearest matrix whose singular values are about one, found with a few
steps of a quintic Newton-Schulz iteration. Small models learn in about half the steps that AdamW alone needs.
"""
from typing import Any, Iterable

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
# The quintic's coefficients: steep at zero, so that five steps bring small singular values up; near one is near enough.
QUINTIC = (3.4445, -4.7750, 2.0315)
N_STEPS = 5
BETAS = (0.9, 0.95)
ADAM_EPSILON = 1e-10


def orthogonal(matrices: Tensor) -> Tensor:
    """(n, rows, columns): each with its singular values brought near one."""
    a, b, c = QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.transpose(-1, -2) if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(N_STEPS):
        square = x @ x.transpose(-1, -2)
        x = a * x + (b * square + c * square @ square) @ x
    return x.transpose(-1, -2) if tall else x


class Optimizer:
    def __init__(self, model: nn.Module, matrices: Iterable[nn.Parameter], muon_rate: float, adam_rate: float, decay: float,
                 dtype: torch.dtype):
        inside = {id(parameter) for parameter in matrices}
        self.parameters: list[tuple[str, nn.Parameter, bool]] = [
            (name, parameter, id(parameter) in inside) for name, parameter in model.named_parameters()]
        self.muon_rate, self.adam_rate, self.decay, self.dtype = muon_rate, adam_rate, decay, dtype
        self.state: dict[str, dict[str, Tensor]] = {}
        self.n_steps = 0

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """factor: of both learning rates, from the schedule."""
        self.n_steps += 1
        by_shape: dict[Any, list[tuple[nn.Parameter, Tensor]]] = {}
        for name, parameter, is_matrix in self.parameters:
            if parameter.grad is None:
                continue
            if is_matrix:
                momentum = self.state_of(name, parameter, "momentum")
                momentum.lerp_(parameter.grad, 1 - MOMENTUM)
                ahead = parameter.grad.lerp(momentum, MOMENTUM)
                by_shape.setdefault(parameter.shape[-2:], []).append((parameter, ahead))
            else:
                self.adam(name, parameter, factor * self.adam_rate)
        for shape, entries in by_shape.items():  # matrices of one shape together: fewer, larger multiplications
            flat = [ahead.reshape(-1, *shape) for _, ahead in entries]
            updates = orthogonal(torch.cat(flat).to(self.dtype)).float().split([len(part) for part in flat])
            rate = factor * self.muon_rate
            for (parameter, _), update in zip(entries, updates):
                parameter.mul_(1 - rate * self.decay)
                # Entries of about the same size whatever the shape.
                parameter.add_(update.view_as(parameter), alpha=-rate * 0.2 * max(shape) ** 0.5)

    def adam(self, name: str, parameter: nn.Parameter, rate: float) -> None:
        mean, square = self.state_of(name, parameter, "mean"), self.state_of(name, parameter, "square")
        mean.lerp_(parameter.grad, 1 - BETAS[0])
        square.lerp_(parameter.grad.square(), 1 - BETAS[1])
        unbiased = (square / (1 - BETAS[1] ** self.n_steps)).sqrt() + ADAM_EPSILON
        parameter.addcdiv_(mean, unbiased, value=-rate / (1 - BETAS[0] ** self.n_steps))

    def state_of(self, name: str, parameter: nn.Parameter, kind: str) -> Tensor:
        kinds = self.state.setdefault(name, {})
        if kind not in kinds:
            kinds[kind] = torch.zeros_like(parameter)
        return kinds[kind]

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state, "n_steps": self.n_steps}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.state, self.n_steps = saved["state"], saved["n_steps"]
