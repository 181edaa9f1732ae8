"""ncfm: images whose features have the same characteristic function as the real members', in trained networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ddcore.data import Task
from ddcore.draws import generator, permutation
from ddcore.errors import require
from ddcore.kernels import characteristic, class_moments
from ddcore.methods.features import FeatureMatching, FeatureRun, Features, asked
from ddcore.methods.matching import ClassShard, Matching, Texts, shared_out
from ddcore.methods.real_batches import Draw
from ddcore.nets import build_net, moved, need_features
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import JSONObject, Session, sent
from ddcore.sets import DistilledSet
from ddcore.synthesis import Preset
from ddcore.training import open_experts
from ddcore.unroll import Flat

STRENGTH = 300.0
"""Of the distance beside the cross-entropy, as in the paper's code."""
LEAST = 1e-12
"""Added to a squared difference, whose root would otherwise have no slope at 0."""


def paper(task: Task, ipc: int) -> Mapping[str, Any]:
    """Return the option values of NCFM's code, ``config/ipc10/cifar10.yaml`` and ``condenser/`` in gszfwsb/NCFM."""
    return {
        "steps": 20000,
        "net": "convnet-128",
        "factor": 2,
        "real_batch": 1024,
        "frequencies": 4096,
        "image_rate": 0.004,
        "augment": "colour,crop,cutout",
        "validation_networks": 0,
    }


def short(task: Task, ipc: int) -> Mapping[str, Any]:
    """Return the same for a tenth of the steps, with smaller real batches and fewer frequencies."""
    return {**paper(task, ipc), "steps": 2000, "real_batch": 256, "frequencies": 1024, "image_rate": 0.02}


@dataclass(frozen=True)
class NCFM(Matching):
    """Characteristic functions are matched: of features in networks between the start and the end of a training.

    In each step an expert's first and last weights are mixed at random, and the network with that mixture embeds real
    and synthetic members. The characteristic function of the normalised features, at random frequencies, is drawn
    together class by class, its amplitude and its phase. The cross-entropy of the expert's last network on the
    images is added.

    Source: Wang et al. 2025, NCFM, eq. 5 and 6, as their code runs it: without the sampling network, which learns the
    frequencies. Deviates: all classes move in one step, by Adam at a rate let down along a cosine, on the sum of both
    losses; the frequencies of a step are those of the run with their coordinates permuted and mirrored; each class has
    its own change; pixels are not cut off at black and white.
    """

    name: ClassVar[str] = "ncfm"
    presets: ClassVar[Mapping[str, Preset]] = {"paper": paper, "short": short}

    experts: str = option("", "run folder of train_experts.py; their first and last points are mixed")
    real_batch: int = option(256, "real members of each class per step", low=1)
    texts: Texts = field(default=Texts(), init=False, repr=False)
    augment: str = option("colour,crop,cutout,flip,scale,rotate", "Siamese changes to draw from, with commas between")
    frequencies: int = option(1024, "frequencies per step that characteristic functions are compared at", low=1)
    amplitude: float = option(
        0.5, "weight of the amplitudes' difference; that of the phases' is 1 less this", low=0, high=1
    )
    calibration: float = option(1.0, "weight of the trained networks' cross-entropy on the images; 0: none", low=0)
    networks: int = option(1, "networks per step", low=1)

    def start(self, problem: Problem, session: Session) -> "NCFMRun":
        """Return real members to begin with.

        Raises:
            UsageError: a name is unknown, a teacher is missing, experts are missing or of another kind, or the
                network has no features.
            DDCoreError: a file of the experts is damaged.
        """
        require(bool(self.experts), "ncfm needs --experts DIR: make them with scripts/train_experts.py")
        return NCFMRun(self, problem, session)


def difference(real: tuple[Tensor, Tensor], own: tuple[Tensor, Tensor], amplitude: float) -> Tensor:
    """Return how far characteristic functions are apart: ``(K,)``, the mean over frequencies.

    At a frequency, with p and q the two values, the amplitudes differ by ``A = (|p| - |q|)²`` and the phases by
    ``P = 2 (|p| |q| - Re p q*)``; the root of ``a A + (1 - a) P`` counts. ``A + P`` is ``|p - q|²``, so that this is
    computed as ``(1 - a) |p - q|² + (2 a - 1) A``, which loses no digits where p and q are close.

    Args:
        real, own: real and imaginary part, ``(K, F)`` each; `own` carries the graph.
        amplitude: a, from 0 to 1.

    Source: Wang et al. 2025, eq. 6; their code's ``CFLossFunc`` without its factor, which `STRENGTH` is.
    """
    square = (1 - amplitude) * ((real[0] - own[0]).square() + (real[1] - own[1]).square())
    if amplitude != 0.5:
        sizes = [(each[0].square() + each[1].square() + LEAST).sqrt() for each in (real, own)]
        square = square + (2 * amplitude - 1) * (sizes[0] - sizes[1]).square()
    return (square.clamp(min=0) + LEAST).sqrt().mean(1)


class CharacteristicMatching(FeatureMatching):
    """`FeatureMatching` whose loss has the cross-entropy of a trained network on the images beside the distance.

    Attributes:
        trained: the network, set for each step.
        weight: of the cross-entropy.
    """

    trained: nn.Module
    weight: float

    def losses(self, net: nn.Module, draw: Draw, x: Tensor) -> Tensor:
        """Return the losses of a draw's classes: ``(K,)``; x: the synthetic members, changed."""
        apart = super().losses(net, draw, x)
        return apart + self.weight * self._cross_entropy(draw, x) if self.weight else apart

    def _cross_entropy(self, draw: Draw, x: Tensor) -> Tensor:
        """Return the mean cross-entropy of each class, computed lot by lot: ``(K,)``."""
        found, of = [], draw.of_own
        y = self.y[draw.rows]
        for part, labels, within, lot in zip(*(t.split(of.sizes) for t in (x, y, of.within)), of.lots, strict=True):
            logits = asked(self.trained, self.trained, part, self.chunk)
            each = F.cross_entropy(logits, labels, reduction="none")
            found.append(class_moments(each[:, None], within, len(lot))[1][:, 0])
        return torch.cat(found)


class NCFMRun(FeatureRun):
    """One run.

    Attributes:
        ends: ``(E, 2, P)`` float32, the first and the last weights of each expert.
        waves: ``(F, D)`` float32, the frequencies of the run; those of a step are made of them.
    """

    method: NCFM
    matching: CharacteristicMatching

    def __init__(self, method: NCFM, problem: Problem, session: Session) -> None:
        super().__init__(method, problem, session)
        task, device = problem.task, problem.device
        self.experts = open_experts(Path(method.experts), self.net_name, task)
        if self.experts.note:
            session.tell(f"note: {self.experts.note}")
        record = self.experts.record
        places = [(self.experts.point(k, 0), self.experts.point(k, record.points)) for k in range(record.experts)]
        self.ends = torch.stack([torch.stack(pair) for pair in places]).to(device)
        self.mixed, self.trained = (Flat(moved(build_net(self.net_name, task, problem.seed), device)) for _ in "ab")
        net: Any = self.mixed.net
        need_features(net, self.net_name, "ncfm")
        with torch.no_grad():
            width = net.features(self.x[:1]).numel()
        waves = torch.randn(method.frequencies, width, generator=generator(problem.seed, "frequencies"))
        self.waves = self.frequencies = waves.to(device)
        self.matching = CharacteristicMatching(self.real, self.y, self._network, self._distance)
        self.matching.weight = method.calibration

    def shards(self, step: int) -> Sequence[ClassShard]:
        """Return the classes of each network of a step, in groups."""
        return shared_out(step, self.method.networks, self.step_classes(step), self.method.shards)

    def decode(self, notes: JSONObject | None = None) -> DistilledSet:
        """Return the present set."""
        return super().decode({"experts": self.experts.record.values, **(notes or {})})

    def _network(self, step: int, part: int) -> nn.Module:
        """Return the network of a step and a part, and make its frequencies and its trained network ready.

        Random rows of independent normal numbers stay such rows when their coordinates are permuted and mirrored, so
        that a step draws twice as many numbers as there are features, not as many as all its frequencies have.
        """
        key = (self.problem.seed, "expert", step, part)
        draws = generator(*key)
        begin, end = self.ends[int(torch.randint(len(self.ends), (), generator=draws))]
        net = self.mixed.load(begin.lerp(end, float(torch.rand((), generator=draws))))
        if self.method.calibration:
            self.matching.trained = self.awake(self.trained.load(end)).requires_grad_(False)
        places = permutation(self.waves.shape[1], *key, "places")
        signs = 2.0 * torch.randint(2, places.shape, generator=draws) - 1
        self.frequencies = self.waves[:, sent(places, self.waves.device)] * sent(signs, self.waves.device)
        return self.awake(net)

    def _distance(self, real: Features, own: Features) -> Tensor:
        """Return how far the classes' characteristic functions are apart, times `STRENGTH`: ``(K,)``."""
        parts = [characteristic(F.normalize(each.rows), self.frequencies, each.counts) for each in (real, own)]
        return STRENGTH * difference(parts[0], parts[1], self.method.amplitude)
