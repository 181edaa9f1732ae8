"""GraNd: the members whose loss pulls hardest at briefly trained networks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from ddcore.problem import Problem
from ddcore.runtime import Session, collected, passing
from ddcore.selection.proxy import Hardest
from ddcore.training import fewer

CHUNK = 50


@dataclass(frozen=True)
class GraNd(Hardest):
    """The members with the largest gradients: expected norm of the loss's gradient in all parameters.

    Source: Paul et al. 2021, the GraNd score. Deviates: taken after a short training rather than at the start, where
    Kirsch 2023 found it to say little.
    """

    name: ClassVar[str] = "grand"

    def scores(self, net: nn.Module, problem: Problem, session: Session) -> Tensor:
        """Return the gradients' norms."""
        task, pool = problem.task, problem.pool

        def norms() -> Iterator[Tensor]:
            for members in pool.split(fewer(CHUNK, task)):
                few = task.train[members].to(problem.device)
                yield gradient_norms(net, task.inputs(few.x), few.y).cpu()

        return collected(passing(norms(), len(pool), session), len(pool))


def gradient_norms(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the norm of each member's own gradient of the cross-entropy in all parameters: ``(N,)``.

    Args:
        net: a network in evaluation mode or not; it is evaluated.
        x: ``(N, ...)`` float32, as the network reads them.
        y: ``(N,)`` int64.
    """
    net.eval()
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        logits: Any = functional_call(net, parameters, (x[None],))
        return F.cross_entropy(logits, y[None])

    each: Callable[..., Any] = vmap(grad(loss), in_dims=(None, 0, 0))
    gradients = each(parameters, x, y)
    return torch.stack([g.flatten(1).square().sum(1) for g in gradients.values()]).sum(0).sqrt()
