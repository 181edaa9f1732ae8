"""The product: a small training set, with its labels, where it came from and how to train on it.

On disk it is a folder: ``set.safetensors`` (tensors), ``set.json`` (everything else) and things to look at.
"""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ddcore.data import Examples, Inputs, Tokens, is_custom
from ddcore.draws import permutation
from ddcore.errors import DDCoreError, UsageError, known
from ddcore.nets import Embedding
from ddcore.runtime import load_tensors, read_json, save_tensors, write_json
from ddcore.unroll import Schedule

FORMAT = 1
KINDS = ("images", "tokens", "embeddings")


@dataclass
class DistilledSet:
    """N members that stand for a real training set.

    Attributes:
        kind: ``images``, ``tokens``, or ``embeddings`` for made texts.
        x: images ``(N, C, H, W)``, uint8 pixels (real ones) or float32 normalised (made ones); or `Tokens`; or word
            vectors ``(N, L, D)`` float32.
        y: ``(N,)`` int64, the class that each member stands for.
        soft: ``(N, K)`` float32 logits of soft labels over K classes, or None. The label that a student
            learns is ``softmax(soft / temperature)``.
        temperature: of the soft labels; 1 for hard ones; no unit.
        indices: ``(N,)`` int64, the members' places in the real training set; None for made members.
        dataset: name of the real set.
        classes: readable names, one a class.
        method: what made it, e.g. ``frepo`` or ``k-means``.
        options: the method's options, budget and seed.
        provenance: where its parts came from, in words (data source, teacher, start).
        recipes: how to train on it: network name, or ``default``, to the fields of a `Recipe`.
        mean, std: of the normalisation, per channel, on the 0–1 pixel scale; empty for tokens.
        max_tokens: longest member that a network is meant to read; 0 for images.
        schedule: the training that it was made for; None for sets that any training can use.
        embedding: the word vectors that ``embeddings`` are written in; else None.
        ordered: whether the order of members means something: a prefix is a good set of its own (`prefix`).
    """

    kind: str
    x: Inputs
    y: Tensor
    dataset: str
    classes: tuple[str, ...]
    method: str
    soft: Tensor | None = None
    temperature: float = 1.0
    indices: Tensor | None = None
    options: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    max_tokens: int = 0
    schedule: Schedule | None = None
    embedding: Embedding | None = None
    ordered: bool = False

    def __len__(self) -> int:
        return len(self.y)

    @property
    def labels(self) -> str:
        """``hard`` or ``soft``."""
        return "hard" if self.soft is None else "soft"

    def examples(self, labels: str = "own") -> Examples:
        """Return what a network trains on, with the set's ``own`` labels or with ``hard`` ones."""
        own = Examples(self.x, self.y, self.soft, self.temperature)
        return own.hard() if known("labels", labels, ["own", "hard"]) == "hard" else own

    def inputs(self) -> Tensor:
        """Return all members as a network reads them: float32 normalised images, or padded int64 ids ``(N, L)``."""
        if isinstance(self.x, Tokens):
            return self.x.padded(self.max_tokens or None)
        if self.x.dtype != torch.uint8:
            return self.x
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (self.x.float() / 255 - mean) / std

    def targets(self) -> Tensor:
        """Return label probabilities ``(N, K)`` float32; each row sums to 1."""
        if self.soft is None:
            return torch.nn.functional.one_hot(self.y, len(self.classes)).float()
        return torch.softmax(self.soft / self.temperature, dim=1)

    def prefix(self, n: int) -> "DistilledSet":
        """Return the first `n` members as a set of their own.

        Raises:
            UsageError: the order of the members means nothing, or there are fewer.
        """
        if not self.ordered:
            raise UsageError(f"the members of a set by {self.method} have no order: a prefix of it means nothing")
        if not 1 <= n <= len(self):
            raise UsageError(f"a prefix of {n} members is asked for, of a set of {len(self)}")
        return self._of(torch.arange(n), "prefix of")

    def subset(self, n: int, seed: int) -> "DistilledSet":
        """Return `n` members drawn at random, as many of each class, as a set of their own.

        Raises:
            UsageError: the classes cannot share them, or one of them has too few.
        """
        classes = len(self.classes)
        per_class, left = divmod(n, classes)
        counts = torch.bincount(self.y, minlength=classes)
        if left or per_class < 1 or bool((counts < per_class).any()):
            raise UsageError(f"{n} members, as many of each of {classes} classes, cannot be drawn from {len(self)}")
        order = permutation(len(self), seed, "subset")
        chosen = [order[self.y[order] == k][:per_class] for k in range(classes)]
        return self._of(torch.stack(chosen, 1).flatten(), "random members of")

    def _of(self, members: Tensor, what: str) -> "DistilledSet":
        return replace(
            self,
            x=self.x[members],
            y=self.y[members],
            soft=None if self.soft is None else self.soft[members],
            indices=None if self.indices is None else self.indices[members],
            provenance={**self.provenance, what: len(self)},
            schedule=None if self.schedule is None else self.schedule.for_members(members),
        )

    def pairs(self) -> "Pairs":
        """Return a map-style PyTorch dataset of ``(input, label probabilities)``."""
        return Pairs(self.inputs(), self.targets())

    def save(self, folder: Path | str) -> None:
        """Write ``set.safetensors`` and then ``set.json`` into `folder`, each atomically.

        Raises:
            DDCoreError: the folder cannot be written.
        """
        folder = Path(folder)
        tensors = {"y": self.y}
        if isinstance(self.x, Tokens):
            tensors |= {"x.values": self.x.values, "x.offsets": self.x.offsets}
        else:
            tensors["x"] = self.x
        if self.soft is not None:
            tensors["soft"] = self.soft
        if self.indices is not None:
            tensors["indices"] = self.indices
        if self.schedule is not None:
            tensors |= {f"schedule.{name}": tensor for name, tensor in self.schedule.tensors().items()}
        if self.embedding is not None:
            tensors |= {f"embedding.{name}": tensor for name, tensor in self.embedding.tensors().items()}
        record = {
            "format": FORMAT,
            "kind": self.kind,
            "members": len(self),
            "labels": self.labels,
            "temperature": self.temperature,
            "dataset": self.dataset,
            "classes": list(self.classes),
            "method": self.method,
            "options": self.options,
            "provenance": self.provenance,
            "recipes": self.recipes,
            "mean": list(self.mean),
            "std": list(self.std),
            "max_tokens": self.max_tokens,
            "ordered": self.ordered,
            "schedule": None if self.schedule is None else self.schedule.record(),
            "embedding": None if self.embedding is None else self.embedding.record(),
        }
        save_tensors(folder / "set.safetensors", tensors, {"ddcore": "distilled set"})
        record["sha256"] = _digest(folder)
        write_json(folder / "set.json", record)

    @staticmethod
    def load(folder: Path | str) -> "DistilledSet":
        """Read a set from its folder; nothing is unpickled.

        Raises:
            DDCoreError: a file is missing, truncated, from another program, or its parts contradict one another;
                the line says which.
        """
        folder = Path(folder)
        if not (folder / "set.json").is_file():
            raise DDCoreError(f"{folder} is not a distilled set: it holds no set.json")
        record = read_json(folder / "set.json")
        tensors, _ = load_tensors(folder / "set.safetensors")
        try:
            if record["format"] != FORMAT:
                raise DDCoreError(f"{folder}/set.json has format {record['format']}; this ddcore reads {FORMAT}")
            tokens = record["kind"] == "tokens"
            x = Tokens(tensors["x.values"], tensors["x.offsets"]) if tokens else tensors["x"]
            loaded = DistilledSet(
                kind=record["kind"],
                x=x,
                y=tensors["y"],
                dataset=record["dataset"],
                classes=tuple(record["classes"]),
                method=record["method"],
                soft=tensors.get("soft"),
                temperature=float(record["temperature"]),
                indices=tensors.get("indices"),
                options=record["options"],
                provenance=record["provenance"],
                recipes=record["recipes"],
                mean=tuple(record["mean"]),
                std=tuple(record["std"]),
                max_tokens=int(record["max_tokens"]),
                ordered=bool(record.get("ordered", False)),
                schedule=_schedule(record, tensors),
                embedding=_embedding(record, tensors),
            )
            members = int(record["members"])
        except (KeyError, TypeError, ValueError) as error:
            raise DDCoreError(f"{folder} is not a distilled set of this format ({error!r})") from error
        fault = _fault(loaded, members)
        if not fault and record.get("sha256") != _digest(folder):
            fault = "the tensors are not those that set.json was written for (sha256)"
        if fault:
            raise DDCoreError(f"{folder} is damaged or was tampered with: {fault}")
        return loaded


def load_sets(path: Path, dataset: str) -> list[DistilledSet]:
    """Read the set in a folder, or all sets in its seed-* folders.

    Raises:
        DDCoreError: a set is missing or damaged.
        UsageError: a set was made from another data set, or the folder is missing.
    """
    if not path.is_dir():
        raise UsageError(f"--set {path} is not a folder")
    folders = [path] if (path / "set.json").exists() else sorted(path.glob("seed-*"))
    if not folders:
        raise DDCoreError(f"{path} is not a distilled set: it holds no set.json and no seed-* folders")
    sets = [DistilledSet.load(folder) for folder in folders]
    for found, folder in zip(sets, folders, strict=True):
        if found.dataset != dataset:
            way = "the --dataset that made it" if is_custom(found.dataset) else f"--dataset {found.dataset}"
            raise UsageError(f"{folder} was made from {found.dataset}: evaluate it with {way}")
    return sets


def _schedule(record: dict[str, Any], tensors: dict[str, Tensor]) -> Schedule | None:
    if record.get("schedule") is None:
        return None
    return Schedule.of(record["schedule"], _under("schedule.", tensors))


def _embedding(record: dict[str, Any], tensors: dict[str, Tensor]) -> Embedding | None:
    if record.get("embedding") is None:
        return None
    return Embedding.of(record["embedding"], _under("embedding.", tensors))


def _under(head: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(head) :]: tensor for name, tensor in tensors.items() if name.startswith(head)}


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "set.safetensors").read_bytes()).hexdigest()


def _fault(found: DistilledSet, members: int) -> str:
    """Return what contradicts itself in a set that was read, or an empty string."""
    n, k = len(found.y), len(found.classes)
    if found.kind not in KINDS:
        return f"unknown kind '{found.kind}'"
    if found.y.dtype != torch.int64 or found.y.ndim != 1 or n == 0:
        return "labels are not a row of int64"
    if n != members or len(found.x) != n:
        return f"set.json speaks of {members} members, the tensors hold {len(found.x)} inputs and {n} labels"
    if int(found.y.min()) < 0 or int(found.y.max()) >= k:
        return f"a label lies outside the {k} classes"
    if found.soft is not None and (found.soft.shape != (n, k) or not bool(found.soft.isfinite().all())):
        return f"soft labels are not {n} x {k} finite numbers"
    if found.schedule is not None and (fault := found.schedule.fault(n, k)):
        return fault
    if not found.temperature > 0:
        return "the temperature is not positive"
    if isinstance(found.x, Tokens):
        ends = found.x.offsets
        sound = ends.dtype == torch.int64 and int(ends[0]) == 0 and int(ends[-1]) == len(found.x.values)
        sound = sound and bool((ends.diff() >= 0).all()) and bool((found.x.values >= 0).all())
        return "" if sound else "token offsets do not fit the tokens"
    if (found.kind == "embeddings") != (found.embedding is not None):
        return "members and word vectors do not go together"
    if found.embedding is not None:
        sound = found.x.ndim == 3 and found.x.shape[2] == found.embedding.table.shape[1]
        sound = sound and found.x.dtype == torch.float32 and bool(found.x.isfinite().all())
        return "" if sound else f"members are not (N, L, {found.embedding.table.shape[1]}) finite float32"
    if found.x.ndim != 4 or found.x.dtype not in (torch.uint8, torch.float32):
        return "images are not (N, C, H, W) uint8 or float32"
    if len(found.mean) != found.x.shape[1] or len(found.std) != found.x.shape[1]:
        return "normalisation constants do not fit the channels"
    if found.x.dtype == torch.float32 and not bool(found.x.isfinite().all()):
        return "an image holds a value that is not finite"
    return ""


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """A map-style dataset over two tensors with the same first dimension."""

    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.inputs[i], self.targets[i]
