"""Pruning while training: masks that let less and less through, chosen by magnitude, changed until they reach the target.

The share of zeros follows a cubic (arXiv:1710.01878): fast at first, when there is much to choose from. Until then
nothing is lost for good: the model computes with masked weights, the gradient of those goes to all of them, and a
weight that grows again comes back at the next change of masks (arXiv:2006.07253). Then the masks are frozen.
"""
import dataclasses

import torch
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class Schedule:
    target: float  # share of zeros in the end; 0: nothing is pruned
    begin: int  # the step of the first masks
    end: int  # the step of the last ones
    every: int  # steps from one choice of masks to the next
    together: int = 1  # of STRUCTURES

    def __post_init__(self) -> None:
        if not 0 <= self.target < 1:
            raise ValueError(f"sparsity: expected at least 0 and less than 1, found {self.target}")
        if self.target > 0 and not 0 <= self.begin < self.end:
            raise ValueError(f"pruning: expected a beginning before its end ({self.end}), found {self.begin}")
        if self.every < 1:
            raise ValueError(f"pruning: expected new masks every 1 or more steps, found {self.every}")

    def sparsity(self, step: int) -> float:
        if self.target == 0 or step < self.begin:
            return 0.0
        left = max(0.0, 1 - (step - self.begin) / (self.end - self.begin))
        return self.target * (1 - left**3)

    def changes(self, step: int) -> bool:
        """Whether masks are chosen anew at this step."""
        return self.target > 0 and self.begin <= step <= self.end and (step == self.end or (step - self.begin) % self.every == 0)

    def is_frozen(self, step: int) -> bool:
        return self.target > 0 and step >= self.end


STRUCTURES = {"unstructured": 1, "1x4": 4}  # neighbouring columns of a row that are kept or zero together


def scores(weight: Tensor, together: int) -> Tensor:
    """Of each weight its size; of several columns, of which the last ones of a row may be fewer, the sum of squares."""
    if together == 1:
        return weight.abs()
    return nn.functional.pad(weight, (0, -weight.shape[-1] % together)).square().unflatten(-1, (-1, together)).sum(-1)


def largest(weight: Tensor, sparsity: float, together: int = 1) -> Tensor:
    """The mask of each matrix of (…, rows, columns) that keeps its largest values, or blocks of so many columns; of equal ones the first."""
    found = scores(weight.detach(), together)
    flat = found.flatten(-2)
    n_zero = int(round(flat.shape[-1] * sparsity))
    order = flat.argsort(dim=-1, stable=True, descending=True)
    kept = torch.ones_like(flat, dtype=torch.bool)
    kept.scatter_(-1, order[..., flat.shape[-1] - n_zero :], False)
    return kept.view(found.shape).repeat_interleave(together, -1)[..., : weight.shape[-1]]


class Pruner:
    """Around each step: hide(), loss and gradients, show(), then the optimizer's step, then after_step()."""

    def __init__(self, projections: dict[str, nn.Parameter], schedule: Schedule):
        self.projections, self.schedule = projections, schedule
        self.masks: dict[str, Tensor] = {}
        self.hidden: dict[str, Tensor] = {}

    @torch.no_grad()
    def hide(self, step: int) -> None:
        """Sets the weights that are masked to zero, and keeps them aside while the masks may still change."""
        if self.schedule.changes(step):
            share = self.schedule.sparsity(step)
            self.masks = {name: largest(weight, share, self.schedule.together) for name, weight in self.projections.items()}
        for name, mask in self.masks.items():
            if not self.schedule.is_frozen(step):
                self.hidden[name] = self.projections[name].clone()
            self.projections[name].masked_fill_(~mask, 0)

    @torch.no_grad()
    def show(self, step: int) -> None:
        for name, weight in self.hidden.items():
            self.projections[name].copy_(weight)
        self.hidden = {}
        if self.schedule.is_frozen(step):
            for name, mask in self.masks.items():
                gradient = self.projections[name].grad
                if gradient is not None:
                    gradient.masked_fill_(~mask, 0)

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        if self.schedule.is_frozen(step):
            for name, mask in self.masks.items():
                self.projections[name].masked_fill_(~mask, 0)


def density(projections: dict[str, nn.Parameter]) -> float:
    """The share of the projections' weights that are not zero."""
    n_kept = sum(int(weight.count_nonzero()) for weight in projections.values())
    return n_kept / sum(weight.numel() for weight in projections.values())
