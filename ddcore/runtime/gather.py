"""What processes share: each computes some of the numbered parts of a work, and all get all of them, in order."""

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import starmap
from typing import Any, TypeVar, cast

import torch
from accelerate.utils import broadcast_object_list, gather
from torch import Tensor

from ddcore.runtime.processes import Processes

ALIGNED = 16
T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """One part of a work.

    Attributes:
        number: its place among the parts.
        tensors: by name, of any shape and dtype.
        rest: anything small that JSON can hold.
    """

    number: int
    tensors: dict[str, Tensor]
    rest: Any = None


@dataclass(frozen=True)
class Form:
    """How a tensor lies in a row of bytes.

    Attributes:
        name, shape, dtype: the tensor's; the dtype by its name.
        rows: those of its rows that are not all zero; None where all of them lie there.
        here: whether it was on the accelerator's device; else it was in the host's memory.
        bytes: that it takes.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
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

    def __init__(self, accelerator: Processes) -> None:
        self.accelerator = accelerator
        self.seconds = 0.0
        self.words: list[Any] = []
        self.room = 0

    def mine(self, count: int) -> range:
        """Return the numbers of those of `count` parts that are this process's to compute."""
        return range(self.accelerator.process_index, count, self.accelerator.num_processes)

    def gathered(self, mine: Sequence[Share], word: Any = None) -> list[Share]:
        """Return what all processes computed, in the order of the numbers; the bits are those that were sent.

        Args:
            mine: this process's parts.
            word: anything small that JSON can hold, for `words`.
        """
        if self.accelerator.num_processes == 1:
            self.words = [word]
            return sorted(mine, key=lambda share: share.number)
        message = self._message(mine, word)
        begun = time.perf_counter()
        messages = self._swapped(message)
        self.seconds += time.perf_counter() - begun
        found, self.words = list(mine), []
        for process, sent in enumerate(messages):
            length = int(sent[:ALIGNED].view(torch.int64)[0])
            place = ALIGNED + _aligned(length)
            said, heads = json.loads(sent[ALIGNED : ALIGNED + length].cpu().numpy().tobytes())
            self.words.append(said)
            if process == self.accelerator.process_index:
                continue
            for number, rest, forms in heads:
                tensors = {}
                for form in starmap(Form, forms):
                    tensors[form.name] = _unpacked(form, sent[place : place + form.bytes])
                    place += form.bytes
                found.append(Share(number, tensors, rest))
        return sorted(found, key=lambda share: share.number)

    def _message(self, mine: Sequence[Share], word: Any) -> Tensor:
        """Return all that this process has to say as bytes on its device: what there is, and then the tensors."""
        packed = [[self._packed(name, tensor) for name, tensor in share.tensors.items()] for share in mine]
        heads = [
            (share.number, share.rest, [astuple(form) for form, _ in forms])
            for share, forms in zip(mine, packed, strict=True)
        ]
        head = json.dumps((word, heads)).encode()
        told = len(head).to_bytes(8, sys.byteorder).ljust(ALIGNED, b"\0") + head.ljust(_aligned(len(head)), b"\0")
        begin = torch.frombuffer(bytearray(told), dtype=torch.uint8).to(self.accelerator.device)
        return torch.cat([begin, *(content for share in packed for _, content in share)])

    def _swapped(self, message: Tensor) -> list[Tensor]:
        """Return the messages of all processes.

        They travel in frames that are as long as the longest message so far, which is almost always the length that
        is needed: one collective call then does. Where it is not, all see so in the lengths, and send again.
        """
        while True:
            frames = cast(Tensor, gather(framed(message, self.room))).view(-1, ALIGNED + self.room)
            lengths = [int(each[:ALIGNED].view(torch.int64)[0]) for each in frames]
            if max(lengths) <= self.room:
                return [each[ALIGNED : ALIGNED + length] for each, length in zip(frames, lengths, strict=True)]
            self.room = _aligned(max(lengths))

    def _packed(self, name: str, tensor: Tensor) -> tuple[Form, Tensor]:
        """Return a tensor's form and its bytes on the accelerator's device, a multiple of `ALIGNED` of them."""
        tensor = tensor.detach()
        here = tensor.device.type == self.accelerator.device.type
        content = tensor.to(self.accelerator.device).contiguous()
        rows = None
        if content.dim() > 1 and content.numel():
            used = _in_words(content).any(1)
            if int(used.sum()) < len(used):
                rows = used.nonzero().flatten().tolist()
                content = content[used]
        flat = content.reshape(-1).view(torch.uint8)
        length = _aligned(len(flat))
        flat = torch.nn.functional.pad(flat, (0, length - len(flat)))
        return Form(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), rows, here, length), flat


def framed(message: Tensor, room: int) -> Tensor:
    """Return a frame of `room` bytes after the message's length: ``(ALIGNED + room,)`` uint8; a longer one is cut."""
    frame = torch.zeros(ALIGNED + room, dtype=torch.uint8, device=message.device)
    frame[:ALIGNED].view(torch.int64)[0] = len(message)
    part = message[:room]
    frame[ALIGNED : ALIGNED + len(part)] = part
    return frame


def _aligned(length: int) -> int:
    return math.ceil(length / ALIGNED) * ALIGNED


def _in_words(content: Tensor) -> Tensor:
    """Return the bits of each row of a tensor, in the largest numbers that a row divides into."""
    rows = content.flatten(1).view(torch.uint8)
    return rows.view(torch.int64) if rows.shape[1] % 8 == 0 and content.data_ptr() % 8 == 0 else rows


def _unpacked(form: Form, sent: Tensor) -> Tensor:
    """Return the tensor of a form, in memory of its own."""
    shape = form.shape if form.rows is None else (len(form.rows), *form.shape[1:])
    dtype = getattr(torch, form.dtype)
    content = sent[: math.prod(shape) * dtype.itemsize].view(dtype).view(shape)
    if form.rows is None:
        content = content.clone()
    else:
        whole = torch.zeros(form.shape, dtype=dtype, device=sent.device)
        whole[form.rows] = content
        content = whole
    return content if form.here else content.cpu()


def agreed(found: T, accelerator: Processes) -> T:
    """Return what the main process found, on every process."""
    shared: list[Any] = [found]
    if accelerator.num_processes > 1:
        broadcast_object_list(shared)
    return cast(T, shared[0])
