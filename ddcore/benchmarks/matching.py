"""The cost of an outer step of dm: ours, and that of the loop over classes as it is usually written."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.benchmarks.unroll import plainly
from ddcore.data import Examples, Task, image_task
from ddcore.draws import generator
from ddcore.methods import DM, DMRun
from ddcore.nets import build_net
from ddcore.runtime import seconds_of

CLASSES = 10
VARIANTS = ("ddcore", "per-class-loop")


@dataclass(frozen=True)
class Case:
    """A ConvNet on 28x28 images of ten classes.

    Attributes:
        net: its name.
        each: synthetic members of a class.
        real: real members of a class.
    """

    net: str
    each: int
    real: int

    def __str__(self) -> str:
        return f"{self.net} N={CLASSES}x{self.each} real={CLASSES}x{self.real}"


def problem(case: Case, device: torch.device) -> DMRun:
    """Return a run on images that are noise."""
    method = DM(net=case.net, real_batch=case.real, augment="none")
    return method.start(noise(2 * CLASSES * max(case.each, case.real)), CLASSES * case.each, None, 0, device)


def variants(run: DMRun) -> dict[str, Tensor]:
    """Return the gradient in the images by each variant: ``(N, C, H, W)``."""
    return {"ddcore": ours(run), "per-class-loop": by_classes(run)}


def ours(run: DMRun) -> Tensor:
    """Return the gradient as ddcore computes it."""
    return torch.stack([run.gradient(shard).gradients["x"] for shard in run.shards(0)]).mean(0)


def by_classes(run: DMRun) -> Tensor:
    """Return the gradient by a loop: a class's real members, its synthetic ones, the distance of their means.

    The network is made of PyTorch's own layers; it holds the same weights.
    """
    net = plainly(build_net(run.net_name, run.task, run.seed, "embed", 0, 0))[:-1].to(run.device)  # type: ignore[index,arg-type]
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    x = run.x.detach().requires_grad_()
    loss = x.new_zeros(())
    for pair in (pair for shard in run.shards(0) for pair in run.pairs(x, shard)):
        real = net(pair.real).detach()
        loss = loss + (real.mean(0) - net(pair.x).mean(0)).square().sum()
    return torch.autograd.grad(loss, x)[0]


def measure(case: Case, repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Return the seconds of a step by variant, which take turns, after one call of each that does not count."""
    run = problem(case, device)
    ways = {"ddcore": ours, "per-class-loop": by_classes}
    for way in ways.values():
        way(run)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            found[name].append(seconds_of(lambda way=way: way(run), device))  # type: ignore[misc]
    return found


def noise(n: int) -> Task:
    """Return a task of so many 28x28 images of ten classes that are noise."""
    x = torch.randint(256, (n, 1, 28, 28), generator=generator("benchmark", "matching", n)).to(torch.uint8)
    real = Examples(x, torch.arange(n) % CLASSES)
    return image_task("noise", tuple(map(str, range(CLASSES))), real, lambda: real, "noise")
