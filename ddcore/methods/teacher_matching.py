"""What the methods share that move images under a teacher's frozen networks: variables, batches, shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from ddcore.data import Examples
from ddcore.nets import net_name
from ddcore.options import group, option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session
from ddcore.selection import RDED, SELECTORS, starting_members
from ddcore.sets import DistilledSet
from ddcore.synthesis import Group, Method, Part, Shard, Synthesis, TrainedValidation
from ddcore.training import memory_format, teacher_networks

GRAPH = 2.5
"""Memory of a way back through a network's answers, in what autograd keeps of them."""
CANDIDATES = 300
"""Images per class that give crops to start as, if no more crops are needed."""
MEMBERS = ", ".join(name for name in SELECTORS if name != RDED.name)
INIT_HELP = f"what the images start as: rded for crops of real images, or a selector of members ({MEMBERS})"
KEEP = ("easiest", "median", "hardest", "random")
T = TypeVar("T", bound="TeacherMatching")


@dataclass(frozen=True)
class TeacherMatching(Method):
    """Options of every method that moves images under a teacher's frozen networks.

    No state is validated unless it is asked for, because the sets are made for a teacher's labels, and a validation
    trains with the set's own.
    """

    steps: int = option(1000, "outer steps", low=1)
    init: str = option("rded", INIT_HELP)
    keep: str = option("easiest", "--init rded: which crops, by the teacher's loss or at random", choices=KEEP)
    image_rate: float = option(0.05, "learning rate of the images, in standard deviations of a pixel", low=0)
    validation_net: str = option("default", "network that validations train; default: the teacher's")
    shards: int = option(2, "parts that the batches of a step are shared out in, over however many processes", low=1)
    validation: TrainedValidation = group(TrainedValidation.usual(4, 0))

    def needs_teacher(self, kind: str) -> bool:
        """Return True: its networks look at the images."""
        return True

    def quick(self: T) -> T:
        """Return these options at toy length."""
        return replace(self, steps=min(self.steps, 4), validation=self.validation.quick())


class TeacherMatchingRun(Synthesis):
    """The images of a run, the frozen networks, and the fixed batches that the images are looked at in.

    A step's loss is the mean over the batches. Which images make up a batch never depends on the processes, and a
    batch passes through a network whole. Of a teacher of several networks each step asks one, in turn.

    A subclass gives `losses`, and other `batches` if those of a class are not its own.

    Attributes:
        x: ``(N, C, H, W)`` float32, normalised; moved by the outer loop.
        y: ``(N,)`` int64, class after class.
        batches: ``(n,)`` int64 each, places in x.
        sizes: of the batches.
        newest: of the images' Adam, see `ddcore.synthesis.Group`.
    """

    method: TeacherMatching
    newest: ClassVar[tuple[float, float]] = (0.1, 0.01)

    def __init__(self, method: TeacherMatching, problem: Problem, session: Session) -> None:
        super().__init__(method, problem, session)
        task, device, teacher = problem.task, problem.device, problem.teacher
        self.nets = teacher_networks(teacher, task, method.name, [method.validation_net]).to(device).networks
        assert teacher is not None
        self.teacher = teacher
        asked = method.validation_net
        self.validation_net = teacher.net if asked == "default" else net_name(asked, task)
        self.began: JSONObject = {}
        x, y = self._first(session)
        self.x, self.y = x.to(device).clone(), y.to(device)
        ends = torch.tensor([[0], [255]], dtype=torch.uint8).expand(2, task.shape[0])[..., None, None]
        black, white = task.inputs(ends).to(device)
        self.bounds = black, white
        batches = self.batches_of(y)
        self.sizes, self.batches = [len(each) for each in batches], [each.to(device) for each in batches]

    @property
    def groups(self) -> dict[str, Group]:
        """The images, cut to what a pixel can show."""
        rate = self.method.image_rate
        return {"images": Group({"x": self.x}, rate, newest=self.newest, bounds=self.bounds)}

    def batches_of(self, y: Tensor) -> list[Tensor]:
        """Return the batches of images of these classes ``(N,)``: by default one for each class."""
        counts = torch.bincount(y)
        return list(y.argsort(stable=True).split(counts[counts > 0].tolist()))

    def losses(self, net: nn.Module, step: int, numbers: Sequence[int], x: Tensor) -> Tensor:
        """Return the losses of some batches: one for each, without a graph to anything but their images.

        Args:
            net: frozen, in evaluation mode.
            step: of the outer loop, which keys all draws.
            numbers: of the batches.
            x: their images ``(n, C, H, W)``, batch after batch; with a graph.
        """
        raise TypeError(f"{type(self).__name__} has no losses")

    def rows(self, numbers: Sequence[int]) -> Tensor:
        """Return the places of some batches' images in x: ``(n,)`` int64."""
        return torch.cat([self.batches[k] for k in numbers])

    def shards(self, step: int) -> Sequence[Shard]:
        """Return the parts of a step: some batches each."""
        return [Shard(step, part) for part in range(min(self.method.shards, len(self.batches)))]

    def gradient(self, shard: Shard) -> Part:
        """Return the gradient of some batches' losses."""
        return self.gradients([shard])[0]

    def gradients(self, shards: Sequence[Shard]) -> list[Part]:
        """Return the gradients of shards, with one wait for the device."""
        if not shards:
            return []
        found = [self._slope(shard) for shard in shards]
        losses = torch.stack([loss for _, loss in found]).tolist()
        return [Part({"x": slope}, {"loss": loss}) for (slope, _), loss in zip(found, losses, strict=True)]

    def _slope(self, shard: Shard) -> tuple[Tensor, Tensor]:
        """Return a shard's gradient in all images, and its loss ``()``.

        The outer loop takes means over shards: both are multiplied so that this mean is that of the batches.
        """
        net = self.nets[shard.step % len(self.nets)]
        parts = len(self.shards(shard.step))
        slope, losses = torch.zeros_like(self.x), []
        for numbers in self._together(shard.part, parts):
            rows = self.rows(numbers)
            leaf = self.x[rows].contiguous(memory_format=memory_format(net)).requires_grad_()
            each = self.losses(net, shard.step, numbers, leaf)
            (slope[rows],) = torch.autograd.grad(parts / len(self.batches) * each.sum(), leaf)
            losses.append(each.detach())
        return slope, parts / len(self.batches) * torch.cat(losses).sum()

    def _together(self, part: int, parts: int) -> Iterator[list[int]]:
        """Give the batches of a shard that pass through a network together: one on a CPU, a chunk's on a GPU."""
        numbers = torch.arange(len(self.batches)).tensor_split(parts)[part]
        at_once = len(self.batches) if self.x.device.type != "cpu" else 1
        if self.chunk:
            at_once = min(at_once, max(1, self.chunk // max(self.sizes)))
        return (each.tolist() for each in numbers.split(at_once))

    def widest(self) -> tuple[int, float]:
        """Return the images of the largest shard, whose graphs are held together, and the bytes for each."""
        most = -(-len(self.batches) // len(self.shards(0))) * max(self.sizes)
        return min(most, len(self.x)), GRAPH * self.kept(self.teacher.net)

    def step_operations(self) -> float:
        """Return about how many operations an outer step takes: those of a way there and back for every image."""
        return 3 * len(self.x) * self.operations(self.teacher.net)

    def score(self, seed: int) -> float:
        """Return the validation accuracy, a fraction, of a fresh network trained on the present set."""
        return self.trained_accuracy(Examples(self.x.detach(), self.y), seed)

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the present set, with hard labels."""
        return self.image_set(self.x, self.y, None, 1.0, {**self.began, "teacher": self.teacher.net, **(notes or {})})

    def _first(self, session: Session) -> tuple[Tensor, Tensor]:
        """Return what the images start as, normalised, and their classes, on the CPU; `began` says where from."""
        method, problem = self.method, self.problem
        task = problem.task
        if method.init != RDED.name:
            members = starting_members(method.init, problem, session)
            self.began = {"began at": members.tolist()}
            return task.inputs(task.train.x[members]), task.train.y[members]
        needed = max(problem.counts)
        selector = RDED(keep=method.keep, factor=1, candidates=None if needed <= CANDIDATES else needed)
        crops = selector.mosaics(problem, replace(session, progress=None))
        self.began = {"crops": crops.table.tolist()}
        assert isinstance(task.train.x, Tensor)
        return task.inputs(crops.pixels(task.train.x)), task.train.y[crops.table[:, 0, 0]]


def shares(counts: Sequence[int]) -> Tensor:
    """Return the weight of each image in the mean of its batch: ``(K, N)`` float32, 0 for images of other batches.

    Args:
        counts: images of each of K batches; their sum is N.
    """
    return torch.block_diag(*(torch.full((1, count), 1 / count) for count in counts))
