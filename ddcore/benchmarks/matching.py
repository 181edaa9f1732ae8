"""The cost of an outer step of dm, beside that of the usual loop over classes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ddcore.benchmarks.rows import Benchmark, CaseResult, row
from ddcore.benchmarks.unroll import AGREE, from_layers
from ddcore.data import Examples, Task, image_task
from ddcore.draws import generator
from ddcore.errors import DDCoreError, require
from ddcore.methods import DM, DMRun
from ddcore.nets import ConvNet, build_net
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session, precise, seconds_of, timed_precisions

CLASSES = 10


@dataclass(frozen=True)
class MatchingCase:
    """A ConvNet on 28x28 images of ten classes.

    Attributes:
        net: its name.
        each: synthetic members per class.
        real: real members per class.
    """

    net: str
    each: int
    real: int

    def __str__(self) -> str:
        return f"{self.net} N={CLASSES}x{self.each} real={CLASSES}x{self.real}"


QUICK = (MatchingCase("convnet", 2, 8),)
CASES = (MatchingCase("convnet", 50, 128), MatchingCase("convnet-128", 50, 128))


@dataclass(frozen=True)
class MatchingBenchmark(Benchmark):
    """An outer step of dm, beside the usual loop over classes."""

    repeats: int = option(5, "steps of each variant, in turn", low=1)

    def results(self, program: Sequence[str], device: torch.device) -> Iterator[CaseResult]:
        """Yield the seconds of a step, if both variants compute the same gradient."""
        for case in QUICK if self.quick else CASES:
            run = dm_run(case, device)
            with precise("ieee"):
                ours, right = (variant(run) for variant in VARIANTS.values())
            error = float((ours - right).norm() / right.norm())
            require(
                error < AGREE,
                f"the variants compute different gradients on {case}: they differ by {error:.2%}",
                DDCoreError,
            )
            for mode in timed_precisions(device):
                with precise(mode):
                    times = measure(run, self.repeats)
                    rows = [row("matching", str(case), variant, "time", "s", times[variant]) for variant in VARIANTS]
                seconds, usual = (each.p50 for each in rows)
                text = f"{case}, {mode}: {seconds:.3g} s per step, {seconds / usual:.2f} x the loop over classes"
                yield CaseResult(rows, text)


def dm_run(case: MatchingCase, device: torch.device) -> DMRun:
    """Return a run of dm on images that are noise."""
    method = DM(net=case.net, real_batch=case.real, augment="none")
    task = noise(2 * CLASSES * max(case.each, case.real))
    return method.start(Problem(task, CLASSES * case.each, task.fit, device=device), Session())


def by_shards(run: DMRun) -> Tensor:
    """Return the gradient in the images as ddcore computes it: ``(N, C, H, W)``."""
    return torch.stack([part.gradients["x"] for part in run.gradients(run.shards(0))]).mean(0)


def by_classes(run: DMRun) -> Tensor:
    """Return the same gradient by a loop over classes: the distance of the means of real and synthetic members.

    The network consists of PyTorch's own layers and holds the same weights.
    """
    net = build_net(run.net_name, run.problem.task, run.problem.seed, "embed", 0, 0)
    assert isinstance(net, ConvNet)
    features = from_layers(net)[:-1].to(run.problem.device)
    for parameter in features.parameters():
        parameter.requires_grad_(False)
    x = run.x.detach().requires_grad_()
    loss = x.new_zeros(())
    for pair in (pair for shard in run.shards(0) for pair in run.pairs(x, shard)):
        real = features(pair.real).detach()
        loss = loss + (real.mean(0) - features(pair.x).mean(0)).square().sum()
    return torch.autograd.grad(loss, x)[0]


VARIANTS = {"ddcore": by_shards, "per-class-loop": by_classes}


def measure(run: DMRun, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of a step by variant; they take turns, after one call of each that does not count."""
    for variant in VARIANTS.values():
        variant(run)
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(repeats):
        for name, variant in VARIANTS.items():
            times[name].append(seconds_of(partial(variant, run), run.problem.device))
    return times


def noise(n: int) -> Task:
    """Return a task of n 28x28 images of ten classes that are noise."""
    x = torch.randint(256, (n, 1, 28, 28), generator=generator("benchmark", "matching", n)).to(torch.uint8)
    real = Examples(x, torch.arange(n) % CLASSES)
    return image_task("noise", tuple(map(str, range(CLASSES))), real, lambda: real, "noise")
