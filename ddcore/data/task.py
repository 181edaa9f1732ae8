"""A real data set, ready for training: the object that all of ddcore works on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddcore.data.examples import Examples, Inputs
from ddcore.data.fingerprint import Fingerprint
from ddcore.data.tokens import Tokens
from ddcore.draws import permutation
from ddcore.errors import UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VALIDATION_SEED = 0


@dataclass(frozen=True)
class Scale:
    """How members become the numbers that a network reads.

    Attributes:
        mean, std: of the normalisation, per channel, on the 0–1 pixel scale; empty for texts.
        max_tokens: longest text that a network is meant to read; 0 for images.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    max_tokens: int = 0

    def inputs(self, x: Inputs) -> Tensor:
        """Return the input of a network.

        Images become ``(N, C, H, W)`` float32, normalised (float32 images are normalised already);
        texts become ``(N, L)`` int64 ids, padded, at most `max_tokens` long.
        """
        if isinstance(x, Tokens):
            return x.padded(self.max_tokens or None)
        if x.dtype != torch.uint8:
            return x
        mean, std = self._planes(x)
        return (x.float() / 255 - mean) / std

    def pixels(self, x: Tensor) -> Tensor:
        """Return images on the 0–1 pixel scale, clamped: ``(N, C, H, W)`` float32; the inverse of `inputs`."""
        if x.dtype == torch.uint8:
            return x.float() / 255
        mean, std = self._planes(x)
        return (x * std + mean).clamp(0, 1)

    def _planes(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return mean and standard deviation, ``(C, 1, 1)`` each, beside the images."""
        return tuple(planes(values, x.device, torch.get_default_dtype()) for values in (self.mean, self.std))


@lru_cache(maxsize=32)
def planes(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return numbers per channel as a tensor ``(C, 1, 1)``, which is kept: a copy makes the host wait."""
    return torch.tensor(values, device=device, dtype=dtype).view(-1, 1, 1)


@dataclass(frozen=True)
class Task:
    """A training set, its validation split, and a test set that is read on demand.

    Attributes:
        name: the name on the command line, e.g. ``fashion_mnist``.
        classes: a readable name for each class.
        shape: ``(C, H, W)`` of an image; ``()`` for text.
        train: all training members with hard labels; images uint8 ``(N, C, H, W)``, texts `Tokens`.
        load_test: reads the test set, of the same kind as `train`.
        default_net: the network that the name ``default`` means.
        scale: normalisation by the pixels of the training set, longest text.
        source: where the data came from and what a reader should know about it, in one line.
        content: a short digest of a custom data set's content; empty for the data sets of `DATASETS`.
        address: what ``--dataset`` calls a custom data set; empty for the data sets of `DATASETS`.
        tokeniser: produced the token ids; None for images.
        validation: ``(V,)`` int64, indices of the training members in the validation split.
    """

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    train: Examples
    load_test: Callable[[], Examples]
    default_net: str
    scale: Scale = Scale()
    source: str = ""
    content: str = ""
    address: str = ""
    tokeniser: Tokenizer | None = None
    validation: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What tells these data from others."""
        return Fingerprint.of(self)

    @property
    def kind(self) -> str:
        """``images`` or ``text``."""
        return "text" if isinstance(self.train.x, Tokens) else "images"

    @property
    def flag(self) -> str:
        """The option that names it on a command line, quoted: ``--dataset mnist``."""
        return f"--dataset {shlex.quote(self.address or self.name)}"

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean per channel on the 0–1 pixel scale; empty for texts."""
        return self.scale.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation per channel on the 0–1 pixel scale; empty for texts."""
        return self.scale.std

    @property
    def max_tokens(self) -> int:
        """Longest text that a network reads; 0 for images."""
        return self.scale.max_tokens

    @cached_property
    def fit(self) -> Tensor:
        """Indices of the training members outside the validation split: ``(F,)`` int64, ascending."""
        return others(self.validation, len(self.train))

    def inputs(self, x: Inputs) -> Tensor:
        """Return the input of a network; see `Scale.inputs`."""
        return self.scale.inputs(x)

    def pixels(self, x: Tensor) -> Tensor:
        """Return images on the 0–1 pixel scale, clamped: ``(N, C, H, W)`` float32; the inverse of `inputs`."""
        return self.scale.pixels(x)

    def cut(self, train: int, test: int) -> Task:
        """Return a toy task with at most `train` and `test` members, for ``--quick``; classes stay balanced."""

        def part(whole: Examples, n: int, purpose: str) -> Examples:
            return whole[spread(whole.y, min(n, len(whole)), purpose)]

        few = part(self.train, train, "quick")
        return replace(
            self,
            train=few,
            load_test=lambda: part(self.load_test(), test, "quick test"),
            validation=validation_part(few.y),
        )


def others(indices: Tensor, n: int) -> Tensor:
    """Return the indices below `n` that are not among `indices`: int64, ascending."""
    return torch.isin(torch.arange(n), indices, invert=True).nonzero().flatten()


def by_class(y: Tensor) -> tuple[Tensor, ...]:
    """Return the places of each class number in ``(N,)`` int64 labels, from class 0 on: ``(K,)`` int64, ascending."""
    return torch.argsort(y, stable=True).split(torch.bincount(y).tolist())


def spread(y: Tensor, n: int, purpose: str, most: float = 1.0) -> Tensor:
    """Return `n` keyed indices, balanced over the classes of `y` as far as possible: ``(n,)`` int64, ascending.

    No class gives more than the fraction `most` of its members before every class has given that much.
    """
    shuffled = permutation(len(y), VALIDATION_SEED, purpose)
    rank = torch.empty(len(y), dtype=torch.int64)
    for places in by_class(y[shuffled]):
        members = shuffled[places]
        rank[members] = torch.arange(len(members))
        rank[members[int(most * len(members)) :]] += len(y)
    order = torch.argsort(rank[shuffled], stable=True)
    return shuffled[order][:n].sort().values


def validation_part(y: Tensor, share: float = 0.1, most: int = 5000) -> Tensor:
    """Return the fixed validation split of a training set: ``(V,)`` int64 indices, ascending, class-balanced.

    A class much smaller than the others gives at most a quarter of its members.

    Args:
        y: ``(N,)`` int64 labels of the training set.
        share: fraction of the training set.
        most: largest number of members.
    """
    return spread(y, min(most, int(len(y) * share)), "validation", most=0.25)


def cache_dir() -> Path:
    """Return the folder for derived data such as token ids: ``$DDCORE_CACHE``, otherwise in the user's cache folder.

    Raises:
        UsageError: there is neither a variable nor a home folder.
    """
    env = os.environ
    try:
        home = env.get("DDCORE_CACHE") or env.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError as error:
        raise UsageError("this user has no home folder for derived data: set DDCORE_CACHE to a folder") from error
    return Path(home) if env.get("DDCORE_CACHE") else Path(home) / "ddcore"
