"""Training of a class-conditional generator: hinge loss, a running mean of its weights, the best by validation."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ddcore.data import Examples, Task, at_hand, batch_of
from ddcore.draws import generator
from ddcore.errors import DDCoreError, require
from ddcore.nets import (
    MOST_LATENT,
    MOST_WIDTH,
    Generator,
    build_discriminator,
    build_generator,
    build_net,
    generated,
    net_name,
    save_generator,
)
from ddcore.options import option
from ddcore.runtime import (
    Checkpoints,
    Progress,
    Session,
    State,
    answer,
    asked,
    deferred,
    packed,
    under,
    unpacked,
    write_atomic,
)
from ddcore.sets import SHOWN_PER_CLASS, DistilledSet, Origin, grid_png
from ddcore.training.loop import REPORT_STEPS, Setting, validated
from ddcore.training.optimisers import load_moments, moments
from ddcore.training.recipes import small_image_recipe

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class GANRecipe:
    """How to train a generator."""

    steps: int = option(3000, "steps, each of the discriminator and then of the generator", low=1)
    batch_size: int = option(64, "real members per step, and as many generated ones", low=2)
    latent: int = option(64, "length of a latent code", low=1, high=MOST_LATENT)
    width: int = option(
        32, "channels of the generator at full size, and of the discriminator at half", low=1, high=MOST_WIDTH
    )
    generator_rate: float = option(0.0005, "learning rate of the generator", low=0)
    discriminator_rate: float = option(0.0005, "learning rate of the discriminator", low=0)
    smoothing: float = option(
        0.99, "of the running mean of the generator's weights; the mean is the result", low=0, high=0.9999
    )
    validations: int = option(6, "validations during the training", low=1, flags="validations checks")
    validation_net: str = option(
        "lenet", "network that a validation trains on generated members", flags="validation-net check-net"
    )
    validation_members: int = option(
        100, "generated members per class in a validation", low=1, flags="validation-members check-members"
    )
    validation_steps: int = option(300, "training steps of a validation", low=1, flags="validation-steps check-steps")

    def check(self, task: Task) -> None:
        """Refuse a data set without images, or an unknown network.

        Raises:
            UsageError: the line says which.
        """
        require(task.kind == "images", f"{task.name} holds {task.kind}: a generator makes images")
        net_name(self.validation_net, task)

    def quick(self) -> "GANRecipe":
        """Return this recipe at toy length."""
        return replace(
            self,
            steps=min(self.steps, 20),
            batch_size=min(self.batch_size, 16),
            width=min(self.width, 8),
            validations=2,
            validation_members=min(self.validation_members, 10),
            validation_steps=min(self.validation_steps, 20),
        )


@dataclass(frozen=True)
class TrainedGAN:
    """The best generator of a training.

    Attributes:
        net: the generator, in evaluation mode.
        score: validation accuracy, a fraction, of a network trained on its samples.
        step: after which it scored so.
    """

    net: Generator
    score: float
    step: int


class GANTraining:
    """One training: two networks, their optimisers, the running mean, and its best state so far.

    Real members come from ``task.fit`` only; the validation split scores the generator.
    """

    def __init__(self, task: Task, recipe: GANRecipe, seed: int, device: torch.device) -> None:
        self.task, self.recipe, self.seed, self.device = task, recipe, seed, device
        self.validation_net = net_name(recipe.validation_net, task)
        self.generator = build_generator(task, recipe.latent, recipe.width, seed).to(device).train()
        self.smoothed = build_generator(task, recipe.latent, recipe.width, seed).to(device).eval()
        self.discriminator = build_discriminator(task, recipe.width, seed).to(device).train()
        self.optimisers = {
            "generator": torch.optim.Adam(self.generator.parameters(), recipe.generator_rate, (0.5, 0.99)),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), recipe.discriminator_rate, (0.5, 0.99)),
        }
        self.networks: dict[str, torch.nn.Module] = {
            "generator": self.generator,
            "smoothed": self.smoothed,
            "discriminator": self.discriminator,
        }
        self.real, self.fit = at_hand(task.train, device), task.fit
        self.step, self.best_step, self.best_score = 0, 0, -1.0
        self.best: dict[str, Tensor] = {}
        self.label = json.dumps([asdict(recipe), seed, task.name, len(task.fit)])

    def run(self, checkpoint: Path, progress: Progress | None = None) -> TrainedGAN:
        """Take every step that is left and return the best generator.

        Args:
            checkpoint: a file to keep the state in, during the training and after its last step. If it is there, the
                training resumes from it and ends, on a CPU, with the same bits as one that was never interrupted.
            progress: called every few steps with steps done, steps in all, and the losses and the best score so far.

        Raises:
            DDCoreError: a loss is not finite, or the checkpoint is damaged, of another training or cannot be written.
            Stopped: the training was asked to stop and has kept its state.
        """
        checkpoints = Checkpoints(checkpoint, self.label, inputs=self.task.fingerprint.content)
        checkpoints.restore(self.load_state_dict)
        with deferred():
            self._take_steps(checkpoints, progress)
            checkpoints.keep(self.step, self.state_dict())
        self.smoothed.load_state_dict(self.best)
        return TrainedGAN(self.smoothed, self.best_score, self.best_step)

    def _take_steps(self, checkpoints: Checkpoints, progress: Progress | None) -> None:
        count = self.recipe.validations
        marks = {round(self.recipe.steps * (k + 1) / count) for k in range(count)}
        while self.step < self.recipe.steps:
            losses = self._advance()
            self.step += 1
            if self.step in marks:
                self._validate()
            if self.step % REPORT_STEPS == 0 or self.step == self.recipe.steps:
                values = {name: float(loss) for name, loss in losses.items()}
                require(
                    all(torch.isfinite(loss) for loss in losses.values()),
                    f"the losses are {values} after step {self.step}: lower --generator-rate and --discriminator-rate",
                    DDCoreError,
                )
                if progress is not None:
                    progress(self.step, self.recipe.steps, {**values, "validation": self.best_score})
            if asked() or checkpoints.due(self.step):
                checkpoints.keep(self.step, self.state_dict())
                answer()

    def _advance(self) -> dict[str, Tensor]:
        """Take a step of the discriminator and one of the generator, on the same generated images.

        Source: Lim & Ye 2017, the hinge loss. Deviates: a step generates images once, for both networks.
        """
        size = self.recipe.batch_size
        members = self.fit[torch.randint(len(self.fit), (size,), generator=generator(self.seed, "gan real", self.step))]
        batch = batch_of(self.real, members)
        real, real_y = self.task.inputs(batch.x), batch.y
        y = real_y.roll(1)
        z = torch.randn(size, self.recipe.latent, generator=generator(self.seed, "gan code", self.step)).to(self.device)
        fake = self.generator(z, y)
        scores = self.discriminator(torch.cat([real, fake.detach()]), torch.cat([real_y, y]))
        discriminator_loss = torch.relu(1 - scores[:size]).mean() + torch.relu(1 + scores[size:]).mean()
        _descend(self.optimisers["discriminator"], discriminator_loss)
        self.discriminator.requires_grad_(False)
        generator_loss = -self.discriminator(fake, y).mean()
        _descend(self.optimisers["generator"], generator_loss)
        self.discriminator.requires_grad_(True)
        self._smooth()
        return {"discriminator_loss": discriminator_loss.detach(), "generator_loss": generator_loss.detach()}

    @torch.no_grad()
    def _smooth(self) -> None:
        """Move the running mean of weights and batch statistics; it forgets faster in the first steps."""
        share = 1 - min(self.recipe.smoothing, (1 + self.step) / (10 + self.step))
        states = self.smoothed.state_dict().values(), self.generator.state_dict().values()
        for mean, now in zip(*states, strict=True):
            mean.lerp_(now, share) if mean.is_floating_point() else mean.copy_(now)

    def _validate(self) -> None:
        """Score a network trained on generated members on the validation split; remember the best generator."""
        classes, recipe = len(self.task.classes), self.recipe
        y = torch.arange(classes * recipe.validation_members, device=self.device) % classes
        z = torch.randn(len(y), recipe.latent, generator=generator(self.seed, "gan check")).to(self.device)
        plan = replace(small_image_recipe(self.task, self.validation_net, "cpu"), steps=recipe.validation_steps)
        plan = replace(plan, changes=replace(plan.changes, mixup=False))
        net = build_net(self.validation_net, self.task, self.seed, "gan check")
        members = Examples(generated(self.smoothed, z, y), y)
        score = validated(net, self.task, members, plan, Setting(seed=self.seed, device=self.device))
        if score > self.best_score:
            self.best_score, self.best_step = score, self.step
            self.best = {name: tensor.detach().clone() for name, tensor in self.smoothed.state_dict().items()}

    def state_dict(self) -> State:
        """Return all state that changes."""
        nets = {name: net.state_dict() for name, net in self.networks.items()}
        means = packed({name: moments(optimiser) for name, optimiser in self.optimisers.items()})
        return {
            **packed({"best": self.best, **nets, "moments": means}),
            "progress": torch.tensor([self.step, self.best_step, self.best_score], dtype=torch.float64),
        }

    def load_state_dict(self, state: State) -> None:
        """Put such a state in place."""
        parts = unpacked(state)
        for name, net in self.networks.items():
            net.load_state_dict(parts[name])
        self.best = {name: tensor.to(self.device) for name, tensor in parts.get("best", {}).items()}
        for name, optimiser in self.optimisers.items():
            load_moments(optimiser, under(name, parts["moments"]))
        step, best_step, self.best_score = state["progress"].tolist()
        self.step, self.best_step = int(step), int(best_step)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def train_generator(recipe: GANRecipe, task: Task, seed: int, session: Session) -> TrainedGAN | None:
    """Train a generator, write it and a grid of its samples into the run folder, and finish the run.

    One process trains because the networks are small and each step depends on the one before it.

    Returns:
        The best generator by validation; None except on the main process.

    Raises:
        UsageError: the data set has no images, or the network of the validations is unknown.
        DDCoreError, Stopped: as `GANTraining.run`.
    """
    recipe.check(task)
    best: TrainedGAN | None = None
    if session.main:
        recipe = recipe.quick() if session.quick else recipe
        checkpoint = session.folder / CHECKPOINT
        best = GANTraining(task, recipe, seed, session.device).run(checkpoint, session.progress)
        save_generator(best.net, task, session.folder, score=best.score, step=best.step)
        write_atomic(session.folder / "grid.png", _samples_png(best.net, task, seed, session.device))
        session.finish({"score": best.score, "step": best.step})
        Checkpoints(checkpoint, "").forget()
    session.wait()
    return best


def _samples_png(net: Generator, task: Task, seed: int, device: torch.device) -> bytes:
    """Return a grid of random samples, one row per class."""
    y = torch.arange(len(task.classes)).repeat_interleave(SHOWN_PER_CLASS)
    z = torch.randn(len(y), net.latent, generator=generator(seed, "grid")).to(device)
    x = generated(net, z, y.to(device)).cpu()
    return grid_png(DistilledSet("images", x, y, Origin(task.name, task.classes, "generator"), task.scale))
