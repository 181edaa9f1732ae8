"""gan: latent codes of a trained generator, moved until its images are worth training on."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from ddcore.data import Examples, strategies
from ddcore.draws import generator
from ddcore.errors import UsageError, require
from ddcore.methods.features import FeatureMatching, Side
from ddcore.methods.matching import CLASSES_HELP, GRAPH, KINDS, ClassShard, shared_out
from ddcore.methods.real_batches import Draw, RealBatches
from ddcore.nets import build_net, generated, load_generator, moved, net_name, net_of_file, pulled
from ddcore.options import group, later, option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Method, Part, Shard, Synthesis, TrainedValidation
from ddcore.training import Labels, load_networks, predict


@dataclass(frozen=True)
class GAN(Method):
    """A generator's images, each of a class of its own, whose codes are moved until they stand for real members.

    The set begins as random samples of the generator that train_generator.py made. In each step a random network
    embeds images and real members, and the codes follow the distance of the class means.

    Source: Zhao & Bilen 2022, IT-GAN, for the codes; Zhao & Bilen 2023, eq. 4, for the distance. Deviates: a small set
    of its own budget, not one code for every real member; codes begin as random ones, not as inverted real members;
    the distance is of means alone.
    """

    name: ClassVar[str] = "gan"

    factor: int = field(default=1, init=False, repr=False)
    generator: str = option("", "run folder of train_generator.py")
    steps: int = option(200, "outer steps", low=1)
    net: str = option("convnet", "kind of the random networks, and of those that validate the set")
    networks: int = option(1, "random networks per step", low=1)
    labels: Labels = group(Labels(), hide=("teacher_share",), choices={"kind": KINDS})
    real_batch: int = option(128, "real members of each class per step", low=1)
    latent_rate: float = option(0.02, "learning rate of the codes, whose numbers begin with a spread of 1", low=0)
    augment: str = option("colour,crop,cutout,flip,scale,rotate", "Siamese changes to draw from, with commas between")
    classes_per_step: int = later(option(100, CLASSES_HELP, low=1))
    shards: int = option(8, "parts that the classes of a step are shared out in, over however many processes", low=1)
    validation: TrainedValidation = group(TrainedValidation())

    def quick(self) -> "GAN":
        """Return these options at toy length."""
        return replace(
            self,
            steps=min(self.steps, 4),
            real_batch=min(self.real_batch, 8),
            validation=self.validation.quick(),
        )

    def start(self, problem: Problem, session: Session) -> "GANRun":
        """Return random samples of the generator.

        Raises:
            UsageError: there is no generator of this task's images, a name is unknown, or a teacher is missing.
            DDCoreError: a file is damaged.
        """
        return GANRun(self, problem, session)


class GANRun(Synthesis):
    """One run.

    Attributes:
        z: ``(N, latent)`` float32, the codes; moved by the outer loop.
        y: ``(N,)`` int64, class after class.
    """

    method: GAN

    def __init__(self, method: GAN, problem: Problem, session: Session) -> None:
        super().__init__(method, problem, session)
        task, device, teacher = problem.task, problem.device, problem.teacher
        require(bool(method.generator), f"gan needs --generator RUN_DIR of train_generator.py {task.flag}")
        self.net_name = self.validation_net = net_name(method.net, task)
        self.real = RealBatches(problem, method.real_batch, strategies(method.augment))
        self.real.tell_few(session)
        trained = load_generator(Path(method.generator), task)
        self.generator, self.notes = trained.net.to(device), trained.notes
        if "note" in self.notes:
            session.tell(f"note: {self.notes['note']}")
        self.teachers: list[nn.Module] = []
        self.teacher = teacher if method.labels.kind == "soft" else None
        if method.labels.kind == "soft":
            if teacher is None or teacher.folder is None:
                raise UsageError("--labels soft needs --teacher RUN_DIR, whose networks label the images")
            self.teachers = load_networks(
                teacher.folder, net_of_file(teacher.net, task, [method.net], teacher.path), task
            )
        self.temperature = method.labels.temperature if self.teachers else 1.0
        self.y = torch.arange(len(task.classes)).repeat_interleave(torch.tensor(problem.counts)).to(device)
        codes = torch.randn(len(self.y), trained.net.latent, generator=generator(problem.seed, "codes"))
        self.z = codes.to(device)
        self.matching = FeatureMatching(self.real, self.y, self._network)

    @property
    def groups(self) -> dict[str, Group]:
        """The codes."""
        return {"codes": Group({"z": self.z}, self.method.latent_rate)}

    def use_chunk(self, chunk: int) -> None:
        """Compute steps with at most so many members in a network at once; 0 for no limit."""
        self.chunk = self.matching.chunk = chunk

    def widest(self) -> tuple[int, float]:
        """Return about the synthetic members of a shard, whose graphs are held together, and the bytes for each."""
        return -(-len(self.y) // self.method.shards), GRAPH * self.kept(self.net_name)

    def shards(self, step: int) -> Sequence[ClassShard]:
        """Return the classes of each network of a step, in groups."""
        return shared_out(step, self.method.networks, self.step_classes(step), self.method.shards)

    def step_classes(self, step: int) -> list[int]:
        """Return the classes of a step, ascending."""
        return self.real.classes(step, self.method.classes_per_step)

    def gradient(self, shard: Shard) -> Part:
        """Return the gradient of some class means' distance in one random network."""
        return self.gradients([shard])[0]

    def gradients(self, shards: Sequence[Shard]) -> list[Part]:
        """Return the gradients of shards, computed together where the device gains by it."""
        mine = [shard for shard in shards if isinstance(shard, ClassShard)]
        return self.matching.parts(mine, Side("z", self.z, self._members, self._pulled))

    def _members(self, draw: Draw) -> Tensor:
        """Return the images of a draw, lot by lot."""
        return torch.cat([generated(self.generator, self.z[rows], self.y[rows]) for rows in draw.lots])

    def _pulled(self, draw: Draw, slope: Tensor) -> Tensor:
        """Return the gradient in the codes of a draw, lot by lot."""
        parts = zip(draw.lots, slope.split(draw.of_own.sizes), strict=True)
        return torch.cat([pulled(self.generator, self.z[rows], self.y[rows], part) for rows, part in parts])

    def _network(self, step: int, part: int) -> nn.Module:
        problem = self.problem
        return moved(build_net(self.net_name, problem.task, problem.seed, "embed", step, part), problem.device)

    def step_operations(self) -> float:
        """Return about how many operations an outer step takes; those of the generator are left out."""
        method = self.method
        members = self.real.count(self.step_classes(0))
        return method.networks * members * self.operations(self.net_name)

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network of that kind trained on the present set."""
        x = generated(self.generator, self.z, self.y)
        examples = Examples(x, self.y, self._labels(x), self.temperature)
        return self.trained_accuracy(examples, seed)

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the present set."""
        x = generated(self.generator, self.z, self.y)
        teacher = {} if self.teacher is None else {"teacher": self.teacher.net}
        provenance = {"generator": self.notes, "began at": "random samples", **teacher, **(notes or {})}
        return self.image_set(x, self.y, self._labels(x), self.temperature, provenance)

    def _labels(self, x: Tensor) -> Tensor | None:
        """Return the mean logits of the teacher's networks on images: ``(N, K)``; None for hard labels."""
        if not self.teachers:
            return None
        task, device = self.problem.task, self.problem.device
        return torch.stack([predict(net, task, x, device=device) for net in self.teachers]).mean(0).to(device)
