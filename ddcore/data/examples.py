"""Members of a training or test set: inputs with hard labels and, optionally, soft labels."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ddcore.data.source_texts import SourceTexts
from ddcore.data.tokens import Tokens
from ddcore.runtime import tensors_digest

Inputs = Tensor | Tokens


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
    """

    x: Inputs
    y: Tensor
    soft: Tensor | None = None
    temperature: float = 1.0
    summary: Summary | None = None
    source: SourceTexts | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: Tensor) -> "Examples":
        """Return the members at the indices ``(K,)`` int64."""
        soft = None if self.soft is None else self.soft[index]
        source = None if self.source is None else self.source[index]
        return Examples(self.x[index], self.y[index], soft, self.temperature, source=source)

    def to(self, device: torch.device | str) -> "Examples":
        soft = None if self.soft is None else self.soft.to(device)
        return Examples(self.x.to(device), self.y.to(device), soft, self.temperature, source=self.source)

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
        return replace(self, soft=None, temperature=1.0)
