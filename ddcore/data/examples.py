"""Members of a training or test set: inputs with hard labels and, optionally, soft labels."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddcore.data.source_texts import SourceTexts
from ddcore.data.tokens import Tokens
from ddcore.runtime import tensors_digest

Inputs = Tensor | Tokens
SMALLEST = 1e-7
"""Probability that stands for 0 in a logit."""


@dataclass(frozen=True)
class Summary:
    """What is known of many images without reading them all.

    Attributes:
        digest: of their pixels and hard labels.
        levels: ``(C, 256)`` int64, how often each level occurs in each channel.
    """

    digest: str
    levels: Tensor


@dataclass(frozen=True)
class Examples:
    """N members, on one device.

    Attributes:
        x: images ``(N, C, H, W)``, uint8 pixels or float32 normalised; or `Tokens` of N sequences.
        y: ``(N,)`` int64 class numbers.
        soft: ``(N, C)`` float32 logits of the soft labels, or None. A student learns
            ``softmax(soft / temperature)``.
        temperature: divides the logits of labels and student before the softmax while training; no unit.
        summary: what is known of images in a mapped file, which cannot be written and stay on the CPU; otherwise None.
        source: the texts that tokens come from, read when they are asked for; None if they are not known.
        regression: ``(N, C)`` float32, any numbers, what the logits of a student with a squared error are drawn to;
            None where these are the label probabilities less 1 / C.
    """

    x: Inputs
    y: Tensor
    soft: Tensor | None = None
    temperature: float = 1.0
    summary: Summary | None = None
    source: SourceTexts | None = None
    regression: Tensor | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: Tensor) -> "Examples":
        """Return the members at the indices ``(K,)`` int64."""
        source = None if self.source is None else self.source[index]
        return self.taken(self.x[index], self.y[index], lambda labels: labels[index], source)

    def to(self, device: torch.device | str) -> "Examples":
        return self.taken(self.x.to(device), self.y.to(device), lambda labels: labels.to(device), self.source)

    def taken(
        self, x: Inputs, y: Tensor, take: Callable[[Tensor], Tensor], source: SourceTexts | None = None
    ) -> "Examples":
        """Return some of these members, or all of them elsewhere.

        Args:
            x, y: their inputs and hard labels.
            take: returns of all members' soft labels or regression targets ``(N, C)`` those of `x`.
            source: their texts.
        """
        soft, regression = (None if labels is None else take(labels) for labels in (self.soft, self.regression))
        return Examples(x, y, soft, self.temperature, source=source, regression=regression)

    def targets(self, classes: int) -> Tensor:
        """Return label probabilities ``(N, C)`` float32; each row sums to 1."""
        if self.soft is None:
            return torch.nn.functional.one_hot(self.y, classes).float()
        return torch.softmax(self.soft / self.temperature, 1)

    @property
    def digest(self) -> str:
        """A short digest of the members and their hard labels; it takes a second per gigabyte without a summary."""
        if self.summary is not None:
            return self.summary.digest
        x = (self.x.values, self.x.offsets) if isinstance(self.x, Tokens) else (self.x,)
        return tensors_digest((*x, self.y))

    def hard(self) -> "Examples":
        """Return the same members with only their hard labels."""
        return replace(self, soft=None, temperature=1.0, regression=None)


def logits_of(regression: Tensor) -> Tensor:
    """Return regression targets ``(N, C)`` as logits of probabilities.

    1 / C is added to the targets, what is then below 0 counts as `SMALLEST`, and each row is divided by its sum.
    """
    shares = (regression + 1 / regression.shape[1]).clamp_min(SMALLEST)
    return (shares / shares.sum(1, keepdim=True)).log()
