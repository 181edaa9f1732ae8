"""gan: latent codes of a trained generator, moved until its images are worth training on."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from ddcore.data import Examples, Task, strategies
from ddcore.draws import generator
from ddcore.errors import UsageError
from ddcore.methods.features import distance, features_of
from ddcore.methods.matching import RealBatches, Shard, shared_out
from ddcore.nets import build_net, generated, load_generator, net_name, pulled
from ddcore.options import option
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Part, made_images
from ddcore.training import Setting, Teacher, load_networks, predict, small_recipe, validated

LABELS = ("hard", "soft")


@dataclass(frozen=True)
class GAN:
    """A generator's images, each of a class of its own, whose codes are moved until they stand for real members.

    The set begins as random samples of the generator that train_generator.py made. In each step a random network
    embeds images and real members, and the codes follow the distance of the class means.

    Source: Zhao & Bilen 2022, IT-GAN, for the codes; Zhao & Bilen 2023, eq. 4, for the distance. Deviates: a small set
    of its own budget, not one code for every real member; codes begin as random ones, not as inverted real members;
    the distance is of means alone.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)
    needs_teacher: ClassVar[bool] = False

    generator: str = option("", "run folder of train_generator.py")
    steps: int = option(200, "outer steps", low=1)
    net: str = option("convnet", "kind of the random networks, and of those that validate the set")
    networks: int = option(1, "random networks a step", low=1)
    labels: str = option("hard", "soft: the answers of a teacher's networks on the images as they are", choices=LABELS)
    temperature: float = option(4.0, "of a teacher's labels", low=0.01)
    real_batch: int = option(128, "real members of each class a step", low=1)
    latent_rate: float = option(0.02, "learning rate of the codes, whose numbers begin with a spread of 1", low=0)
    augment: str = option("colour,crop,cutout,flip,scale,rotate", "Siamese changes to draw from, with commas between")
    shards: int = option(8, "parts that the classes of a step are shared out in, over however many processes", low=1)
    checks: int = option(4, "validations on the way, besides the first", low=1)
    check_networks: int = option(2, "fresh networks a validation", low=1)
    check_steps: int = option(400, "training steps of each of them", low=1)

    def quick(self) -> "GAN":
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 4),
            real_batch=min(self.real_batch, 8),
            checks=1,
            check_networks=1,
            check_steps=min(self.check_steps, 20),
        )

    def start(self, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device) -> "GANRun":
        """Return random samples of the generator.

        Raises:
            UsageError: there is no generator of this task's images, a name is unknown, or a teacher is missing.
            DDCoreError: a file is damaged.
        """
        return GANRun(self, task, budget, teacher, seed, device)


class GANRun:
    """One run.

    Attributes:
        z: ``(N, latent)`` float32, the codes; moved by the outer loop.
        y: ``(N,)`` int64, class after class.
    """

    def __init__(
        self, method: GAN, task: Task, budget: int, teacher: Teacher | None, seed: int, device: torch.device
    ) -> None:
        self.method, self.task, self.seed, self.device = method, task, seed, device
        if not method.generator:
            raise UsageError(f"gan needs --generator RUN_DIR of train_generator.py --dataset {task.name}")
        self.net_name = net_name(method.net, task)
        self.real = RealBatches(task, method.real_batch, strategies(method.augment), seed, device)
        made = load_generator(Path(method.generator), task)
        self.generator, self.notes = made.net.to(device), made.notes
        self.teachers: list[Any] = []
        self.teacher = teacher.net if teacher is not None and method.labels == "soft" else None
        if method.labels == "soft":
            if teacher is None or teacher.folder is None:
                raise UsageError("--labels soft needs --teacher RUN_DIR, whose networks label the images")
            self.teachers = load_networks(teacher.folder, teacher.net, task)
        classes = len(task.classes)
        self.y = torch.arange(classes, device=device).repeat_interleave(budget // classes)
        self.z = torch.randn(len(self.y), made.net.latent, generator=generator(seed, "codes")).to(device)

    @property
    def groups(self) -> dict[str, Group]:
        """The codes."""
        return {"codes": Group({"z": self.z}, self.method.latent_rate)}

    def shards(self, step: int) -> list[Shard]:
        """Return the classes of each network of a step, in groups."""
        return shared_out(step, self.method.networks, len(self.task.classes), self.method.shards)

    def gradient(self, shard: Shard) -> Part:
        """Return the gradient of some class means' distance in one random network."""
        net: Any = self._fresh("embed", shard.step, shard.network)
        mine = torch.isin(self.y, torch.tensor(shard.classes, device=self.device))
        z, y = self.z[mine], self.y[mine]
        x = generated(self.generator, z, y).requires_grad_()
        pairs = self.real.pairs(x, y, shard.classes, shard.step, shard.network)
        loss = shard.of * distance(*features_of(net, pairs), len(pairs), 1)
        (slope,) = torch.autograd.grad(loss, x)
        whole = torch.zeros_like(self.z)
        whole[mine] = pulled(self.generator, z, y, slope)
        return Part({"z": whole}, {"loss": float(loss.detach())})

    def absorb(self, shard: Shard, update: dict[str, Tensor]) -> None:
        """Do nothing: no network outlives its step."""

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network of that kind trained on the present set."""
        x = generated(self.generator, self.z, self.y)
        recipe = replace(small_recipe(self.task, self.net_name, "cpu"), steps=self.method.check_steps)
        examples = Examples(x, self.y, self._labels(x), self._temperature)
        net = self._fresh("validation", seed)
        return validated(net, self.task, examples, recipe, Setting(seed=seed, device=self.device))

    def decode(self) -> DistilledSet:
        """Return the present set."""
        x = generated(self.generator, self.z, self.y)
        soft = self._labels(x)
        teacher = {} if self.teacher is None else {"teacher": self.teacher}
        told = {"generator": self.notes, "began at": "random samples", **teacher}
        return made_images(self.task, self.method, self.seed, x, self.y, soft, self._temperature, told)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the codes."""
        return {"z": self.z}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put such a state in place."""
        self.z.copy_(state["z"])

    @property
    def _temperature(self) -> float:
        return self.method.temperature if self.teachers else 1.0

    def _labels(self, x: Tensor) -> Tensor | None:
        """Return the mean logits of the teacher's networks on images: ``(N, K)``; None for hard labels."""
        if not self.teachers:
            return None
        answers = [predict(net, self.task, x, device=self.device) for net in self.teachers]
        return torch.stack(answers).mean(0).to(self.device)

    def _fresh(self, *key: int | str) -> Any:
        """Return a freshly initialised network, the same for the same key."""
        return build_net(self.net_name, self.task, self.seed, *key).to(self.device)
