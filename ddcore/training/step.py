"""One step of a training: its batch, its loss, and what moves the weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ddcore.data import (
    Examples,
    Task,
    Tokens,
    batch_of,
    cut,
    cut_places,
    mixing,
    planes,
    random_spans,
    shift_places,
    shifted,
)
from ddcore.draws import generator, scoped
from ddcore.kernels import fused, soft_cross_entropy
from ddcore.runtime import autocast, sent
from ddcore.training.recipes import Changes, Recipe


@dataclass
class Course:
    """What the steps of one training share.

    Attributes:
        net: in training mode, on the device of the members.
        task: says how to read the members.
        examples: what to train on.
        recipe: how.
        optimiser: of the network, at its peak learning rates.
        seed: of the members' changes.
        peaks: the peak learning rate of each of the optimiser's groups.
    """

    net: nn.Module
    task: Task
    examples: Examples
    recipe: Recipe
    optimiser: torch.optim.Optimizer
    seed: int
    peaks: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.peaks = [group["lr"] for group in self.optimiser.param_groups]

    def rates(self, step: int) -> list[float]:
        """Return the learning rate of each of the optimiser's groups in a step, counted from 0."""
        share = learning_rate_share(step, self.recipe)
        return [peak * share for peak in self.peaks]

    def draws(self, step: int) -> torch.Generator:
        """Return the generator of a step's changes."""
        return generator(self.seed, "augment", step)

    def take(self, step: int, members: Tensor) -> Tensor:
        """Take a step, launch by launch, and return its loss ``()``, without a graph.

        Args:
            step: counted from 0.
            members: ``(n,)`` int64 on the CPU, the batch.
        """
        return self.learn(step, batch_of(self.examples, members))

    def learn(self, step: int, batch: Examples) -> Tensor:
        """Take a step on a batch and return its loss ``()``, without a graph.

        Args:
            step: counted from 0.
            batch: on the device.
        """
        for group, rate in zip(self.optimiser.param_groups, self.rates(step), strict=True):
            group["lr"] = rate
        # Dropout draws from torch's global generators.
        with scoped(self.seed, "dropout", step):
            loss = step_loss(self.net, self.task, batch, self.recipe, self.draws(step))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.detach()


def step_loss(net: nn.Module, task: Task, batch: Examples, recipe: Recipe, draws: torch.Generator) -> Tensor:
    """Return the loss of one augmented batch: a scalar, in nats, times T² for soft labels."""
    if isinstance(batch.x, Tokens):
        span = recipe.changes.span
        x = task.inputs(random_spans(batch.x, span, draws) if span else batch.x)
        return batch_loss(net, x, targets(task, batch, recipe), batch)
    if task.kind == "text":
        return batch_loss(net, batch.x, targets(task, batch, recipe), batch)
    places, weight = image_draws(batch, len(batch), recipe, draws)
    return image_loss(net, task, batch, recipe, (sent(places, batch.y.device), weight))


def image_draws(examples: Examples, n: int, recipe: Recipe, draws: torch.Generator) -> tuple[Tensor, float]:
    """Draw, on the host, the changes of a batch of n of these images.

    Returns:
        ``(n, K)`` int64, which say where pixels come from and, with mixup, who the partners are; and mixup's weight
        of the partners. K is the same for all batches of a training.
    """
    assert isinstance(examples.x, Tensor)
    places = _change_places(n, examples.x.shape[2:], recipe.changes, draws)
    if not _mixes(examples, recipe):
        return places, 0.0
    share, partner = mixing(n, draws)
    return torch.cat([places, partner[:, None]], 1), 1 - share


def image_loss(
    net: nn.Module, task: Task, batch: Examples, recipe: Recipe, drawn: tuple[Tensor, float | Tensor]
) -> Tensor:
    """Return the loss ``()`` of a batch of images, changed as `image_draws` drew it; it draws and waits for nothing.

    Args:
        net: gives ``(N, C)`` logits.
        task: says how to read the members.
        batch: members.
        recipe: how they are changed.
        drawn: of `image_draws`, the places on the members' device; the weight can be a tensor ``()`` there, too.
    """
    assert isinstance(batch.x, Tensor)
    (places, weight), target = drawn, targets(task, batch, recipe)
    mixes = _mixes(batch, recipe)
    x = _changed(batch.x, task, recipe.changes, places[:, :-1] if mixes else places)
    if mixes:
        partner = places[:, -1]
        x, target = x.lerp(x[partner], weight), target.lerp(target[partner], weight)
    return batch_loss(net, x.contiguous(memory_format=memory_format(net)), target, batch)


def batch_loss(net: nn.Module, x: Tensor, target: Tensor, batch: Examples) -> Tensor:
    """Return the loss ``()`` of a network on its inputs, at the temperature of the members' soft labels."""
    temperature = batch.temperature if batch.soft is not None else 1.0
    with autocast(target.device):
        logits = net(x)
        if fused(logits):
            loss = soft_cross_entropy(logits.float(), target, temperature).mean()
        else:
            loss = nn.functional.cross_entropy(logits / temperature, target)
    return loss * temperature**2


def targets(task: Task, batch: Examples, recipe: Recipe) -> Tensor:
    """Return the probabilities that a batch's members are to get: ``(N, C)`` float32; hard labels are smoothed."""
    target = batch.targets(len(task.classes))
    if batch.soft is not None:
        return target
    return target * (1 - recipe.label_smoothing) + recipe.label_smoothing / len(task.classes)


def augmented(x: Tensor, task: Task, changes: Changes, draws: torch.Generator) -> Tensor:
    """Return images normalised and randomly changed: ``(N, C, H, W)`` float32."""
    return _changed(x, task, changes, sent(_change_places(len(x), x.shape[2:], changes, draws), x.device))


def _mixes(batch: Examples, recipe: Recipe) -> bool:
    return recipe.changes.mixup and batch.soft is None


def _change_places(n: int, size: Sequence[int], changes: Changes, draws: torch.Generator) -> Tensor:
    """Draw where the pixels of n images come from, and which are cut out: ``(n, K)`` int64, on the host."""
    parts = [torch.empty(n, 0, dtype=torch.int64)]
    if changes.flip or changes.shift:
        parts.append(shift_places(n, size, changes.shift, changes.flip, draws))
    if changes.cutout:
        parts.append(cut_places(n, size, changes.cutout, draws))
    return torch.cat(parts, 1)


def _changed(x: Tensor, task: Task, changes: Changes, places: Tensor) -> Tensor:
    """Return images normalised, and changed as `_change_places` drew it: ``(N, C, H, W)`` float32."""
    sides = sum(x.shape[2:])
    dark = task.inputs(torch.zeros(x.shape[1], 1, 1, dtype=torch.uint8))
    black = planes(tuple(dark.flatten().tolist()), x.device, dark.dtype)
    x = task.inputs(x)
    if changes.flip or changes.shift:
        x = shifted(x, places[:, : 2 * sides], black)
    return cut(x, places[:, -sides:]) if changes.cutout else x


def learning_rate_share(step: int, recipe: Recipe) -> float:
    """Return the share of the peak learning rates in a step, counted from 0."""
    warm = recipe.warmup * recipe.steps
    return min((step + 1) / warm if warm else 1.0, (recipe.steps - step) / max(1.0, recipe.steps - warm), 1.0)


def memory_format(net: nn.Module) -> torch.memory_format:
    """Return the memory layout of images that suits a network best: its ``layout``, if it has one."""
    return getattr(net, "layout", torch.contiguous_format)
