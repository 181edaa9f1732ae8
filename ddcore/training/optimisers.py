"""Optimisers by name, and Muon."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import overload

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

from ddcore.runtime import State, packed, unpacked
from ddcore.training.recipes import Recipe

# Elements of the largest kernel that a GPU pads to the shape of others: below, launches cost more than arithmetic.
PADDED = 2**18
# Inputs of a matrix up to which Muon's other rate is taken as it is: more than images of 32x32 in colour have.
WIDE = 4096


def orthogonalised(matrices: Tensor, rounds: int = 4) -> Tensor:
    """Return matrices with (nearly) the same singular vectors and all singular values near 1.

    Rows and columns of zeros stay zero.

    Args:
        matrices: ``(..., R, S)`` float32.
        rounds: of the quintic Newton–Schulz iteration; the values end between about 0.7 and 1.2.

    Source: Jordan et al. 2024, "Muon", with its coefficients. Deviates: one round less, float32.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    wide = (matrices.mT if tall else matrices).reshape(-1, *sorted(matrices.shape[-2:]))
    x = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        gram = torch.bmm(x, x.mT)
        bend = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        x = torch.baddbmm(x, bend, x, beta=3.4445)
    return (x.mT if tall else x).reshape(matrices.shape)


def orthogonalised_all(kernels: Sequence[Tensor]) -> list[Tensor]:
    """Return kernels, each orthogonalised as an ``(out, in * height * width)`` matrix, in their shapes and layouts.

    A CPU takes one after the other. A GPU takes those of one shape together, and all small ones in one batch, padded
    with zeros.

    Args:
        kernels: ``(out, in, height, width)`` float32 each, of any shapes.
    """
    # The order of a matrix's columns does not matter; in the order of memory none is copied.
    last = [kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels]
    laid = [kernel.movedim(1, 3) if each else kernel for kernel, each in zip(kernels, last, strict=True)]
    matrices = [kernel.flatten(1) for kernel in laid]
    found: dict[int, Tensor] = {}
    for group in _batches(matrices):
        found |= zip(group, _together([matrices[k] for k in group]), strict=True)
    shaped = [found[k].view(kernel.shape) for k, kernel in enumerate(laid)]
    return [kernel.movedim(3, 1) if each else kernel for kernel, each in zip(shaped, last, strict=True)]


def _together(matrices: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return matrices of one batch, orthogonalised."""
    shapes = tuple((matrix.shape[0], matrix.shape[1]) for matrix in matrices)
    if len(set(shapes)) == 1:
        return orthogonalised(torch.stack(list(matrices))).unbind()
    rows, columns = max(map(min, shapes)), max(map(max, shapes))
    places = _places(shapes, rows, columns, matrices[0].device)
    whole = matrices[0].new_zeros(len(matrices) * rows * columns)
    whole[places] = torch.cat([matrix.flatten() for matrix in matrices])
    parts = orthogonalised(whole.view(-1, rows, columns)).flatten()[places].split([math.prod(s) for s in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _batches(matrices: Sequence[Tensor]) -> list[list[int]]:
    """Return the places of matrices that are computed together: on a GPU all small ones, and large ones by shape."""
    if matrices[0].device.type == "cpu":
        return [[k] for k in range(len(matrices))]
    groups: dict[tuple[int, ...], list[int]] = {}
    for k, matrix in enumerate(matrices):
        groups.setdefault(() if matrix.numel() <= PADDED else tuple(matrix.shape), []).append(k)
    return list(groups.values())


@lru_cache(maxsize=8)
def _places(shapes: tuple[tuple[int, int], ...], rows: int, columns: int, device: torch.device) -> Tensor:
    """Return where the elements of matrices lie in a batch ``(K, rows, columns)``, tall ones transposed; it is kept."""
    parts = []
    for k, (high, wide) in enumerate(shapes):
        i, j = torch.arange(high)[:, None], torch.arange(wide)
        at = i * columns + j if high <= wide else j * columns + i
        parts.append((k * rows * columns + at).flatten())
    return torch.cat(parts).to(device)


def nesterov_moves(
    optimiser: torch.optim.Optimizer, gradients: list[Tensor], parameters: list[Tensor], momentum: float
) -> list[Tensor]:
    """Return the moves of Nesterov momentum for gradients, in new tensors; the buffers are the optimiser's state."""
    for p in parameters:
        if "momentum_buffer" not in optimiser.state[p]:
            optimiser.state[p]["momentum_buffer"] = torch.zeros_like(p)
    buffers = [optimiser.state[p]["momentum_buffer"] for p in parameters]
    torch._foreach_mul_(buffers, momentum)
    torch._foreach_add_(buffers, gradients)
    return list(torch._foreach_add(gradients, buffers, alpha=momentum))


def take(parameters: list[Tensor], moves: list[Tensor], lr: float | Tensor) -> None:
    """Subtract ``lr * moves`` from parameters; a rate on a GPU is not waited for, and spoils the moves."""
    if isinstance(lr, Tensor):
        torch._foreach_mul_(moves, -lr)
        torch._foreach_add_(parameters, moves)
    else:
        torch._foreach_add_(parameters, moves, alpha=-lr)


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
            moved = [p for p in group["params"] if p.grad is not None]
            if not moved:
                continue
            moves = nesterov_moves(self, [p.grad for p in moved], moved, group["momentum"])
            if group["weight_decay"]:
                torch._foreach_mul_(moved, 1 - group["lr"] * group["weight_decay"])
            if group["orthogonal"]:
                moves = orthogonalised_all(moves)
                torch._foreach_mul_(moves, [max(1.0, len(move) / move[0].numel()) ** 0.5 for move in moves])
            take(moved, moves, group["lr"])
        return None


def build_optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimiser at its peak learning rates; norms and biases get no weight decay.

    In ``muon``, a matrix with more than `WIDE` inputs has a rate that falls with their number, as the largest stable
    rate of plain gradient descent does; an MLP on images of 224x224 diverges otherwise.
    Weight decay is added to the gradient by ``sgd`` and decoupled in ``muon`` and ``adam``. The network's parameters
    must not move to another device afterwards.
    """
    lr, momentum, weight_decay = recipe.lr, recipe.momentum, recipe.weight_decay
    kernels = [p for p in net.parameters() if p.ndim == 4]
    matrices = [p for p in net.parameters() if p.ndim in (2, 3)]
    vectors = [p for p in net.parameters() if p.ndim < 2]
    if recipe.optimiser == "muon":
        wide = [p for p in matrices if p[0].numel() > WIDE]
        usual = [p for p in matrices if p[0].numel() <= WIDE]
        return Muon(
            [
                {"params": kernels, "lr": recipe.kernel_lr, "weight_decay": weight_decay, "orthogonal": True},
                {"params": usual, "lr": lr, "weight_decay": weight_decay},
                *({"params": [p], "lr": lr * WIDE / p[0].numel(), "weight_decay": weight_decay} for p in wide),
                {"params": vectors, "lr": lr},
            ],
            momentum,
        )
    groups = [
        {"params": kernels + matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)
    return torch.optim.AdamW(groups, lr=lr, betas=(momentum, 0.999))


def keep_on_device(optimiser: torch.optim.Optimizer, kept: bool) -> None:
    """Let Adam count its steps on the device, as a CUDA graph must, or on the host again; others count none."""
    for group in optimiser.param_groups:
        if "capturable" not in group:
            continue
        group["capturable"] = kept
        for p in group["params"]:
            state = optimiser.state.get(p, {})
            if "step" in state:
                state["step"] = state["step"].to(p.device if kept else "cpu")


@torch.no_grad()
def rated_step(optimiser: torch.optim.Optimizer, rates: Sequence[Tensor]) -> None:
    """Take one step at learning rates that the host does not know, and wait for nothing, as in a CUDA graph.

    Args:
        optimiser: of `build_optimiser`, after `keep_on_device`; gradients must be there.
        rates: ``()`` float32 for each group, on the parameters' device.
    """
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        group["lr"] = rate
    if not isinstance(optimiser, torch.optim.SGD):
        optimiser.step()
        return
    # PyTorch's would read the rates.
    for group in optimiser.param_groups:
        moved = [p for p in group["params"] if p.grad is not None]
        if not moved:
            continue
        moves = list(torch._foreach_add([p.grad for p in moved], moved, alpha=group["weight_decay"]))
        if group["momentum"]:
            moves = nesterov_moves(optimiser, moves, moved, group["momentum"])
        take(moved, moves, group["lr"])


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
