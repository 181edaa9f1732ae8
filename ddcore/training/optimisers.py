"""Optimisers by name, and Muon."""

from collections.abc import Callable
from typing import overload

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

from ddcore.runtime import State, packed, unpacked
from ddcore.training.recipes import Recipe


def orthogonalised(matrix: Tensor, rounds: int = 4) -> Tensor:
    """Return a matrix with (nearly) the same singular vectors and all singular values near 1.

    Args:
        matrix: ``(R, S)`` float32.
        rounds: of the quintic Newton–Schulz iteration; the values end between about 0.7 and 1.2.

    Source: Jordan et al. 2024, "Muon", with its coefficients. Deviates: one round less, float32.
    """
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / (wide.norm() + 1e-7)
    for _ in range(rounds):
        gram = x @ x.T
        x = 3.4445 * x + (2.0315 * gram @ gram - 4.7750 * gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class Muon(torch.optim.Optimizer):
    """SGD with Nesterov momentum that orthogonalises the step of every convolution kernel.

    A group with ``orthogonal`` set takes ``lr * sqrt(max(1, out / in)) * orthogonalised(step)`` on each kernel, seen
    as an ``(out, in * height * width)`` matrix; the other groups are plain Nesterov SGD. Weight decay is decoupled:
    ``p -= lr * weight_decay * p``.

    Source: Jordan et al. 2024, "Muon".
    """

    def __init__(self, groups: ParamsT, momentum: float) -> None:
        super().__init__(groups, {"lr": 0.0, "momentum": momentum, "weight_decay": 0.0, "orthogonal": False})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step; gradients must be there."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                buffer.mul_(group["momentum"]).add_(p.grad)
                move = p.grad.add(buffer, alpha=group["momentum"])
                rate = group["lr"]
                p.mul_(1 - rate * group["weight_decay"])
                if group["orthogonal"]:
                    matrix = move.flatten(1)
                    move = orthogonalised(matrix).view_as(move)
                    rate *= max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                p.add_(move, alpha=-rate)
        return None


def build_optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser at its peak learning rates; norms and biases get no weight decay.

    Weight decay is added to the gradient by ``sgd`` and decoupled in ``muon`` and ``adam``. The network's parameters
    must not move to another device afterwards.
    """
    lr, momentum, weight_decay = recipe.lr, recipe.momentum, recipe.weight_decay
    kernels = [p for p in net.parameters() if p.ndim == 4]
    matrices = [p for p in net.parameters() if p.ndim in (2, 3)]
    vectors = [p for p in net.parameters() if p.ndim < 2]
    if recipe.optimiser == "muon":
        return Muon(
            [
                {"params": kernels, "lr": recipe.kernel_lr, "weight_decay": weight_decay, "orthogonal": True},
                {"params": matrices, "lr": lr, "weight_decay": weight_decay},
                {"params": vectors, "lr": lr},
            ],
            momentum,
        )
    groups = [{"params": kernels + matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)
    return torch.optim.AdamW(groups, lr=lr, betas=(momentum, 0.999))


def moments(optimiser: torch.optim.Optimizer) -> State:
    """Return an optimiser's running means and counts under ``number of the parameter.name``."""
    return packed(
        {
            str(number): {name: value for name, value in state.items() if isinstance(value, Tensor)}
            for number, state in optimiser.state_dict()["state"].items()
        }
    )


def load_moments(optimiser: torch.optim.Optimizer, tensors: State) -> None:
    """Put what `moments` returned in place."""
    states = {int(number): state for number, state in unpacked(tensors).items()}
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
