"""How a published evaluation trains a network: its optimiser, schedule, loss and changes of the images."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import Examples, Task, batch_of, published_changes
from ddcore.draws import generator, permutation, scoped, whole_epochs

TENTH, LAST = 0.1, 0.01
"""Shares of the learning rate: after the drop, and at the end of the cosine."""


@dataclass(frozen=True)
class PublishedRecipe:
    """How to train one network as a published evaluation does.

    Attributes:
        steps: of the optimiser.
        batch_size: members per step.
        optimiser: ``sgd`` with plain momentum, or ``adam``: weight decay is added to the gradient of every parameter;
            ``adamw``: it is decoupled, and norms and biases get none.
        lr: learning rate.
        momentum: of SGD; Adam's first beta.
        weight_decay: factor of the weights in the gradient.
        schedule: ``step``: from step `turn` on a tenth of the rate; ``restart``: also a momentum that starts again;
            ``cosine``: the rate rises from 0 to `turn` linearly, then falls to a hundredth as half a cosine;
            ``quarter cosine``: the rate falls to a half as a quarter of a period, every `turn` steps; ``constant``.
        turn: a step.
        loss: ``cross-entropy``, at the labels' temperature T times T²; ``divergence``: from the labels at T, without
            T²; or ``squared error``: half the mean square of logits less the labels' regression targets, or less
            centred probabilities where they have none.
        batches: ``epochs``: an epoch uses every member once; ``drawn``: each batch is a new random draw.
        augment: whose random changes, a name of `ddcore.data.published_kinds`.
        kinds: of changes; none for images as they are.
    """

    steps: int
    batch_size: int
    optimiser: str
    lr: float
    momentum: float
    weight_decay: float
    schedule: str
    turn: int
    loss: str
    batches: str
    augment: str
    kinds: tuple[str, ...]

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "quarter cosine":
            each = max(1, self.turn)
            return self.lr * (1 + math.cos(math.pi / 2 * (step // each) * each / self.steps)) / 2
        if self.schedule in ("step", "restart"):
            return self.lr * (TENTH if step >= self.turn else 1.0)
        if step < self.turn:
            return self.lr * step / self.turn
        share = min(1.0, (step - self.turn) / max(1, self.steps - self.turn))
        return self.lr * ((1 - LAST) * (1 + math.cos(math.pi * share)) / 2 + LAST)

    def shortened(self, steps: int) -> "PublishedRecipe":
        """Return the same with at most so many steps, the turn at the same share of them."""
        steps = min(steps, self.steps)
        return replace(self, steps=steps, turn=self.turn * steps // self.steps)

    def orders(self, members: int, steps: range, seed: int) -> Iterator[Tensor]:
        """Give the members of each step: ``(n,)`` int64."""
        size = min(self.batch_size, members)
        if self.batches == "epochs":
            return whole_epochs(members, size, steps, seed, "order")
        return (permutation(members, seed, "order", step)[:size] for step in steps)

    def build_optimiser(self, net: nn.Module) -> torch.optim.Optimizer:
        """Return the optimiser of a network's parameters at the rate of the first step."""
        rate, parameters = self.rate(0), list(net.parameters())
        if self.optimiser == "sgd":
            return torch.optim.SGD(parameters, lr=rate, momentum=self.momentum, weight_decay=self.weight_decay)
        if self.optimiser == "adamw":
            shapes = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim < 2]
            groups = [{"params": each, "weight_decay": self.weight_decay * (k == 0)} for k, each in enumerate(shapes)]
            return torch.optim.AdamW(groups, lr=rate, betas=(self.momentum, 0.999))
        return torch.optim.Adam(parameters, lr=rate, betas=(self.momentum, 0.999), weight_decay=self.weight_decay)

    def loss_of(self, logits: Tensor, batch: Examples) -> Tensor:
        """Return the loss ``()`` of a batch; soft labels are learned at their temperature.

        Args:
            logits: ``(N, C)`` float32.
            batch: its labels.
        """
        classes = logits.shape[1]
        if self.loss == "squared error" and batch.regression is not None:
            return F.mse_loss(logits, batch.regression.to(logits)) / 2
        target = batch.targets(classes).to(logits)
        if self.loss == "squared error":
            return F.mse_loss(logits, target - 1 / classes) / 2
        temperature = batch.temperature if batch.soft is not None else 1.0
        if self.loss == "divergence":
            return F.kl_div(F.log_softmax(logits / temperature, 1), target, reduction="batchmean")
        return F.cross_entropy(logits / temperature, target) * temperature**2


@dataclass
class PublishedCourse:
    """What the steps of one training by a published recipe share.

    Attributes:
        net: in training mode, on the device of the members.
        task: says how to read the members.
        examples: what to train on.
        recipe: how.
        optimiser: of the network.
        seed: of the members' changes.
    """

    net: nn.Module
    task: Task
    examples: Examples
    recipe: PublishedRecipe
    optimiser: torch.optim.Optimizer
    seed: int

    def draws(self, step: int) -> torch.Generator:
        """Return the generator of a step's changes."""
        return generator(self.seed, "augment", step)

    def take(self, step: int, members: Tensor) -> Tensor:
        """Take a step and return its loss ``()`` float32, without a graph.

        Args:
            step: counted from 0.
            members: ``(n,)`` int64 on the CPU, the batch.
        """
        return self.learn(step, batch_of(self.examples, members))

    def learn(self, step: int, batch: Examples) -> Tensor:
        """Take a step on a batch and return its loss ``()`` float32, without a graph.

        Args:
            step: counted from 0.
            batch: on the device.
        """
        recipe = self.recipe
        if recipe.schedule == "restart" and step == recipe.turn:
            self.optimiser.state.clear()
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate(step)
        x = published_changes(self.task.inputs(batch.x), recipe.augment, recipe.kinds, self.draws(step))
        # Dropout draws from torch's global generators.
        with scoped(self.seed, "dropout", step):
            loss = recipe.loss_of(self.net(x), batch)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.detach().float()
