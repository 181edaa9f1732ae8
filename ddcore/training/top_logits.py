"""Logits over many classes, of which only the largest are kept."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

DENSE = 100
"""Classes up to which all logits are kept."""
TOP = 50
"""Logits of a member that are kept where there are more classes."""


@dataclass(frozen=True)
class TopLogits:
    """Logits of N members over C classes; indices give rows of them as an ordinary tensor.

    The K most likely classes of a member keep the logarithms of their probabilities. All its other classes share
    the rest of the probability evenly, so that the softmax of a row is exact, but for half precision, in the largest
    classes and in the sum of the others. At a temperature other than 1 the rest stays even.

    Attributes:
        top: ``(N, K)`` float16, the logarithms of the K largest probabilities, largest first.
        classes: ``(N, K)`` int32, theirs.
        rest: ``(N,)`` float16, the logarithm of the probability of each other class.
        count: C, more than K.
    """

    top: Tensor
    classes: Tensor
    rest: Tensor
    count: int

    @staticmethod
    def of(logits: Tensor, most: int = TOP) -> "TopLogits":
        """Return what is kept of logits ``(N, C)`` float32 over more than `most` classes."""
        log_p = logits.double().log_softmax(1)
        top, classes = log_p.topk(most, dim=1)
        others = log_p.scatter(1, classes, -torch.inf).logsumexp(1)
        rest = others - math.log(logits.shape[1] - most)
        smallest = torch.finfo(torch.float16).min
        halves = [each.clamp(min=smallest).half() for each in (top, rest)]
        return TopLogits(halves[0], classes.int(), halves[1], logits.shape[1])

    @staticmethod
    def joined(parts: "Sequence[TopLogits]") -> "TopLogits":
        """Return the members of several in one."""
        top, classes, rest = (torch.cat([getattr(each, name) for each in parts]) for name in ("top", "classes", "rest"))
        return TopLogits(top, classes, rest, parts[0].count)

    @property
    def shape(self) -> tuple[int, int]:
        """``(N, C)``."""
        return len(self.top), self.count

    def __len__(self) -> int:
        return len(self.top)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Return the logits of some members: ``(K, C)`` float32."""
        rows = self.rest[index].float()[:, None].repeat(1, self.count)
        return rows.scatter_(1, self.classes[index].long(), self.top[index].float())

    def to(self, device: torch.device | str) -> "TopLogits":
        return TopLogits(self.top.to(device), self.classes.to(device), self.rest.to(device), self.count)
