"""The training of a class-conditional generator: hinge loss, a running mean of its weights, the best one kept."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.data import Examples, Task
from ddcore.draws import generator
from ddcore.errors import DDCoreError
from ddcore.nets import Generator, build_discriminator, build_generator, build_net, generated, net_name
from ddcore.options import option
from ddcore.runtime import Checkpoints, Progress, answer, asked, deferred
from ddcore.training.loop import Setting, validated
from ddcore.training.recipes import small_image_recipe

REPORT_STEPS = 20


@dataclass(frozen=True)
class GANRecipe:
    """How to train a generator."""

    steps: int = option(3000, "steps, each of the discriminator and then of the generator", low=1)
    batch_size: int = option(64, "real members, and as many made ones, a step", low=2)
    latent: int = option(64, "length of a latent code", low=1, high=4096)
    width: int = option(32, "channels of the generator at full size, and of the discriminator at half", low=1, high=512)
    generator_rate: float = option(0.0005, "learning rate of the generator", low=0)
    discriminator_rate: float = option(0.0005, "learning rate of the discriminator", low=0)
    smoothing: float = option(
        0.99, "of the running mean of the generator's weights, which is what is kept", low=0, high=0.9999
    )
    checks: int = option(6, "how often the generator is judged on the way", low=1)
    check_net: str = option("lenet", "network that is trained on made members to judge the generator")
    check_members: int = option(100, "made members of each class that it is trained on", low=1)
    check_steps: int = option(300, "training steps of it", low=1)

    def quick(self) -> "GANRecipe":
        """Return this recipe at toy length."""
        return replace(
            self,
            steps=min(self.steps, 20),
            batch_size=min(self.batch_size, 16),
            width=min(self.width, 8),
            checks=2,
            check_members=min(self.check_members, 10),
            check_steps=min(self.check_steps, 20),
        )


@dataclass(frozen=True)
class Made:
    """What came out of a training.

    Attributes:
        net: the best generator, in evaluation mode.
        score: validation accuracy, a fraction, of a network trained on its samples.
        step: at which it was the best.
    """

    net: Generator
    score: float
    step: int


class GANTraining:
    """One training: two networks, their optimisers, the running mean, and the best that it has been.

    Real members come from ``task.fit`` only; the validation part judges.
    """

    def __init__(self, task: Task, recipe: GANRecipe, seed: int, device: torch.device) -> None:
        self.task, self.recipe, self.seed, self.device = task, recipe, seed, device
        self.check_net = net_name(recipe.check_net, task)
        self.generator = build_generator(task, recipe.latent, recipe.width, seed).to(device).train()
        self.smoothed = build_generator(task, recipe.latent, recipe.width, seed).to(device).eval()
        self.discriminator = build_discriminator(task, recipe.width, seed).to(device).train()
        self.optimisers = {
            "generator": torch.optim.Adam(self.generator.parameters(), recipe.generator_rate, (0.5, 0.99)),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), recipe.discriminator_rate, (0.5, 0.99)),
        }
        self.real, self.fit = task.train.to(device), task.fit
        self.step, self.best_step, self.best_score = 0, 0, -1.0
        self.best: dict[str, Tensor] = {}
        self.label = json.dumps([asdict(recipe), seed, task.name, len(task.fit)])

    def run(self, checkpoint: Path, progress: Progress | None = None) -> Made:
        """Take every step that is still to be taken and return the best generator.

        Args:
            checkpoint: a file to keep the state in, on the way and after the last step. If it is there, the
                training goes on from it and ends, on a CPU, with the same bits as one that was never interrupted.
            progress: called every few steps with steps done, steps in all, and the losses and the best score so far.

        Raises:
            DDCoreError: a loss is not finite, or the checkpoint is damaged, of another training or cannot be written.
            Stopped: the training was asked to stop and has kept its state.
        """
        checkpoints = Checkpoints(checkpoint, self.label)
        checkpoints.restore(self.load_state_dict)
        with deferred():
            self._go_on(checkpoints, progress)
            checkpoints.keep(self.step, self.state_dict())
        self.smoothed.load_state_dict(self.best)
        return Made(self.smoothed, self.best_score, self.best_step)

    def _go_on(self, checkpoints: Checkpoints, progress: Progress | None) -> None:
        marks = {round(self.recipe.steps * (k + 1) / self.recipe.checks) for k in range(self.recipe.checks)}
        while self.step < self.recipe.steps:
            losses = self._advance()
            self.step += 1
            if self.step in marks:
                self._check()
            if self.step % REPORT_STEPS == 0 or self.step == self.recipe.steps:
                values = {name: float(loss) for name, loss in losses.items()}
                if not all(torch.isfinite(loss) for loss in losses.values()):
                    raise DDCoreError(
                        f"the losses are {values} after step {self.step}: lower --generator-rate and "
                        "--discriminator-rate"
                    )
                if progress is not None:
                    progress(self.step, self.recipe.steps, {**values, "validation": self.best_score})
            if asked() or checkpoints.due(self.step):
                checkpoints.keep(self.step, self.state_dict())
                answer()

    def _advance(self) -> dict[str, Tensor]:
        """Take a step of the discriminator and one of the generator, on the same made images.

        Source: Lim & Ye 2017, the hinge loss. Deviates: a step makes images once, for both networks.
        """
        size = self.recipe.batch_size
        members = self.fit[torch.randint(len(self.fit), (size,), generator=generator(self.seed, "gan real", self.step))]
        real, real_y = self.task.inputs(self.real.x[members.to(self.device)]), self.real.y[members.to(self.device)]
        y = real_y.roll(1)
        z = torch.randn(size, self.recipe.latent, generator=generator(self.seed, "gan code", self.step)).to(self.device)
        made = self.generator(z, y)
        scores = self.discriminator(torch.cat([real, made.detach()]), torch.cat([real_y, y]))
        told = F.relu(1 - scores[:size]).mean() + F.relu(1 + scores[size:]).mean()
        _descend(self.optimisers["discriminator"], told)
        self.discriminator.requires_grad_(False)
        fooled = -self.discriminator(made, y).mean()
        _descend(self.optimisers["generator"], fooled)
        self.discriminator.requires_grad_(True)
        self._smooth()
        return {"discriminator_loss": told.detach(), "generator_loss": fooled.detach()}

    @torch.no_grad()
    def _smooth(self) -> None:
        """Move the running mean of weights and batch statistics; it is short at first, when there is little to mean."""
        share = 1 - min(self.recipe.smoothing, (1 + self.step) / (10 + self.step))
        for mean, now in _pairs(self.smoothed, self.generator):
            mean.lerp_(now, share) if mean.is_floating_point() else mean.copy_(now)

    def _check(self) -> None:
        """Score a network trained on made members on the validation part; keep the best generator."""
        classes, recipe = len(self.task.classes), self.recipe
        y = torch.arange(classes * recipe.check_members, device=self.device) % classes
        z = torch.randn(len(y), recipe.latent, generator=generator(self.seed, "gan check")).to(self.device)
        plan = replace(small_image_recipe(self.task, self.check_net, "cpu"), steps=recipe.check_steps)
        plan = replace(plan, changes=replace(plan.changes, mixup=False))
        judge = build_net(self.check_net, self.task, self.seed, "gan check")
        members = Examples(generated(self.smoothed, z, y), y)
        score = validated(judge, self.task, members, plan, Setting(seed=self.seed, device=self.device))
        if score > self.best_score:
            self.best_score, self.best_step = score, self.step
            self.best = {name: tensor.detach().clone() for name, tensor in self.smoothed.state_dict().items()}

    def _networks(self) -> dict[str, torch.nn.Module]:
        return {"generator": self.generator, "smoothed": self.smoothed, "discriminator": self.discriminator}

    def state_dict(self) -> dict[str, Tensor]:
        """Return all state that changes."""
        state = {f"best.{name}": tensor for name, tensor in self.best.items()}
        for title, net in self._networks().items():
            state |= {f"{title}.{name}": tensor for name, tensor in net.state_dict().items()}
        for title, optimiser in self.optimisers.items():
            for number, values in optimiser.state_dict()["state"].items():
                state |= {f"moments.{title}.{number}.{name}": value for name, value in values.items()}
        progress = [self.step, self.best_step, self.best_score]
        return state | {"progress": torch.tensor(progress, dtype=torch.float64)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        for title, net in self._networks().items():
            net.load_state_dict(_under(state, title))
        self.best = {name: tensor.to(self.device) for name, tensor in _under(state, "best").items()}
        for title, optimiser in self.optimisers.items():
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in _under(state, f"moments.{title}").items():
                number, part = name.split(".")
                moments.setdefault(int(number), {})[part] = value
            optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
        step, best_step, self.best_score = state["progress"].tolist()
        self.step, self.best_step = int(step), int(best_step)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _pairs(one: Generator, other: Generator) -> Iterator[tuple[Tensor, Tensor]]:
    yield from zip(one.state_dict().values(), other.state_dict().values(), strict=True)


def _under(state: dict[str, Tensor], title: str) -> dict[str, Tensor]:
    head = f"{title}."
    return {name.removeprefix(head): tensor for name, tensor in state.items() if name.startswith(head)}
