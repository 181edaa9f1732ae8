"""Deterministic all-gather: each process computes some of the numbered shares, all receive all of them in order."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from itertools import starmap
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.nn.functional import pad

from ddcore.runtime.files import Json
from ddcore.runtime.processes import Processes

ALIGNED = 16
T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """One numbered share of the work.

    Attributes:
        number: its place among the shares.
        tensors: by name, of any shape and dtype.
        rest: a small JSON value.
    """

    number: int
    tensors: dict[str, Tensor]
    rest: Json = None


@dataclass(frozen=True)
class Form:
    """How a tensor is packed into bytes.

    Attributes:
        name, shape, dtype: of the tensor; the dtype by its name.
        rows: the rows that are sent, those that are not all zero; None if all rows are sent.
        here: whether the tensor was on the accelerator's device; otherwise it was in host memory.
        bytes: packed size.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    rows: list[int] | None
    here: bool
    bytes: int


class Exchange:
    """Gathers the shares of all processes.

    Tensors are sent as bytes, without rows that are zero: a shard of a few classes has no gradient in the members of
    other classes.

    Attributes:
        seconds: spent in communication so far, including waiting for other processes.
        words: the word of each process in the last call of `gathered`.
    """

    def __init__(self, accelerator: Processes) -> None:
        self.accelerator = accelerator
        self.seconds = 0.0
        self.words: list[bool | None] = []
        self.room = 0

    def mine(self, count: int) -> range:
        """Return the numbers of the shares, out of `count`, that this process computes."""
        return range(self.accelerator.process_index, count, self.accelerator.num_processes)

    def gathered(self, mine: Sequence[Share], word: bool | None = None) -> list[Share]:
        """Return the shares of all processes, ordered by number and bit-identical to what was sent.

        Args:
            mine: this process's shares.
            word: for `words`.
        """
        if self.accelerator.num_processes == 1:
            self.words = [word]
            return sorted(mine, key=lambda share: share.number)
        message = self._message(mine, word)
        start = time.perf_counter()
        messages = self._exchanged(message)
        self.seconds += time.perf_counter() - start
        shares, self.words = list(mine), []
        for process, sent in enumerate(messages):
            length = int(sent[:ALIGNED].view(torch.int64)[0])
            place = ALIGNED + _aligned(length)
            its_word, heads = json.loads(sent[ALIGNED : ALIGNED + length].cpu().numpy().tobytes())
            self.words.append(its_word)
            if process == self.accelerator.process_index:
                continue
            for number, rest, forms in heads:
                tensors = {}
                for form in starmap(Form, forms):
                    tensors[form.name] = _unpacked(form, sent[place : place + form.bytes])
                    place += form.bytes
                shares.append(Share(number, tensors, rest))
        return sorted(shares, key=lambda share: share.number)

    def _message(self, mine: Sequence[Share], word: bool | None) -> Tensor:
        """Return this process's message as bytes on its device: a header, then the tensors."""
        packed = [[self._packed(name, tensor) for name, tensor in share.tensors.items()] for share in mine]
        heads = [
            (share.number, share.rest, [astuple(form) for form, _ in forms])
            for share, forms in zip(mine, packed, strict=True)
        ]
        head = json.dumps((word, heads)).encode()
        header = len(head).to_bytes(8, sys.byteorder).ljust(ALIGNED, b"\0") + head.ljust(_aligned(len(head)), b"\0")
        begin = torch.frombuffer(bytearray(header), dtype=torch.uint8).to(self.accelerator.device)
        return torch.cat([begin, *(content for share in packed for _, content in share)])

    def _exchanged(self, message: Tensor) -> list[Tensor]:
        """Return the messages of all processes.

        Messages are sent in frames as long as the longest message so far, which is almost always long enough, so that
        one collective call suffices. Otherwise all processes see it in the lengths, and send again.
        """
        from accelerate.utils import gather

        while True:
            frames = cast(Tensor, gather(framed(message, self.room))).view(-1, ALIGNED + self.room)
            lengths = [int(each[:ALIGNED].view(torch.int64)[0]) for each in frames]
            if max(lengths) <= self.room:
                return [each[ALIGNED : ALIGNED + length] for each, length in zip(frames, lengths, strict=True)]
            self.room = _aligned(max(lengths))

    def _packed(self, name: str, tensor: Tensor) -> tuple[Form, Tensor]:
        """Return a tensor's form and its bytes on the accelerator's device, padded to a multiple of `ALIGNED`."""
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
        flat = pad(flat, (0, -len(flat) % ALIGNED))
        return Form(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), rows, here, len(flat)), flat


def framed(message: Tensor, room: int) -> Tensor:
    """Return the message's length and its first `room` bytes, zero-padded: ``(ALIGNED + room,)`` uint8."""
    head = torch.tensor([len(message), 0], device=message.device).view(torch.uint8)
    return pad(torch.cat([head, message[:room]]), (0, max(0, room - len(message))))


def _aligned(length: int) -> int:
    return math.ceil(length / ALIGNED) * ALIGNED


def _in_words(content: Tensor) -> Tensor:
    """Return the bits of each row of a tensor as int64 if its size and alignment allow, otherwise as uint8."""
    rows = content.flatten(1).view(torch.uint8)
    return rows.view(torch.int64) if rows.shape[1] % 8 == 0 and content.data_ptr() % 8 == 0 else rows


def _unpacked(form: Form, sent: Tensor) -> Tensor:
    """Return the tensor of a form in newly allocated memory."""
    shape = form.shape if form.rows is None else (len(form.rows), *form.shape[1:])
    dtype = getattr(torch, form.dtype)
    content = sent[: math.prod(shape) * dtype.itemsize].view(dtype).view(shape)
    whole = content.clone() if form.rows is None else torch.zeros(form.shape, dtype=dtype, device=sent.device)
    if form.rows is not None:
        whole[form.rows] = content
    return whole if form.here else whole.cpu()


def agreed(value: T, accelerator: Processes) -> T:
    """Return the main process's value on every process."""
    from accelerate.utils import broadcast_object_list

    shared = [value]
    if accelerator.num_processes > 1:
        broadcast_object_list(shared)
    return shared[0]
