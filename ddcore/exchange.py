"""What processes share: each computes some of the numbered parts of a work, and all get all of them, in order."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather, gather_object
from torch import Tensor

ALIGNED = 16
T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """One part of a work.

    Attributes:
        number: its place among the parts.
        tensors: by name, of any shape and dtype.
        rest: anything small.
    """

    number: int
    tensors: dict[str, Tensor]
    rest: Any = None


@dataclass(frozen=True)
class Form:
    """How a tensor lies in a row of bytes.

    Attributes:
        name, shape, dtype: the tensor's.
        rows: those of its rows that are not all zero; None where all of them lie there.
        here: whether it was on the accelerator's device; else it was in the host's memory.
        bytes: that it takes.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    rows: list[int] | None
    here: bool
    bytes: int


class Exchange:
    """Gathers the parts of all processes.

    The tensors travel as bytes on the device that they are on, without those rows that are zero: a shard of a few
    classes has no gradient in the members of the others.

    Attributes:
        seconds: spent in communication so far, waiting for the others included.
        words: what each process said when parts were gathered last.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.seconds = 0.0
        self.words: list[Any] = []

    def mine(self, count: int) -> range:
        """Return the numbers of those of `count` parts that are this process's to compute."""
        return range(self.accelerator.process_index, count, self.accelerator.num_processes)

    def gathered(self, mine: Sequence[Share], word: Any = None) -> list[Share]:
        """Return what all processes computed, in the order of the numbers; the bits are those that were sent.

        Args:
            mine: this process's parts.
            word: anything small, for `words`.
        """
        if self.accelerator.num_processes == 1:
            self.words = [word]
            return sorted(mine, key=lambda share: share.number)
        packed = [[self._packed(name, tensor) for name, tensor in share.tensors.items()] for share in mine]
        bytes_ = [content for share in packed for _, content in share]
        heads = [(share.number, share.rest, [form for form, _ in forms])
                 for share, forms in zip(mine, packed, strict=True)]  # fmt: skip
        begun = time.perf_counter()
        told: list[tuple[Any, list[Any]]] = gather_object([(word, heads)])
        self.words, everyone = [word for word, _ in told], [heads for _, heads in told]
        sizes = [sum(form.bytes for _, _, forms in heads for form in forms) for heads in everyone]
        longest = max(sizes)
        if longest:
            room = torch.zeros(longest - sum(map(len, bytes_)), dtype=torch.uint8, device=self.accelerator.device)
            sent = cast(Tensor, gather(torch.cat([*bytes_, room])))
        self.seconds += time.perf_counter() - begun
        found = []
        for process, heads in enumerate(everyone):
            place = process * longest
            for number, rest, forms in heads:
                tensors = {}
                for form in forms:
                    tensors[form.name] = _unpacked(form, sent[place : place + form.bytes])
                    place += form.bytes
                found.append(Share(number, tensors, rest))
        return sorted(found, key=lambda share: share.number)

    def _packed(self, name: str, tensor: Tensor) -> tuple[Form, Tensor]:
        """Return a tensor's form and its bytes on the accelerator's device, a multiple of `ALIGNED` of them."""
        tensor = tensor.detach()
        here = tensor.device.type == self.accelerator.device.type
        content = tensor.to(self.accelerator.device).contiguous()
        rows = None
        if content.dim() > 1 and content.numel():
            used = (content.view(torch.uint8).flatten(1) != 0).any(1)
            if int(used.sum()) < len(used):
                rows = used.nonzero().flatten().tolist()
                content = content[used]
        flat = content.reshape(-1).view(torch.uint8)
        length = math.ceil(len(flat) / ALIGNED) * ALIGNED
        flat = torch.nn.functional.pad(flat, (0, length - len(flat)))
        return Form(name, tuple(tensor.shape), tensor.dtype, rows, here, length), flat


def _unpacked(form: Form, sent: Tensor) -> Tensor:
    """Return the tensor of a form, in memory of its own."""
    shape = form.shape if form.rows is None else (len(form.rows), *form.shape[1:])
    content = sent[: math.prod(shape) * form.dtype.itemsize].view(form.dtype).view(shape)
    if form.rows is None:
        content = content.clone()
    else:
        whole = torch.zeros(form.shape, dtype=form.dtype, device=sent.device)
        whole[form.rows] = content
        content = whole
    return content if form.here else content.cpu()


def agreed(found: T, accelerator: Accelerator) -> T:
    """Return what the main process found, on every process."""
    shared: list[Any] = [found]
    if accelerator.num_processes > 1:
        broadcast_object_list(shared)
    return cast(T, shared[0])
