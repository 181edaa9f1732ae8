"""The product: a small training set, with its labels, its origin and how to train on it.

On disk it is a folder of two files, and views for people. ``set.safetensors`` holds the tensors: ``x``, or
``x.values`` and ``x.offsets`` of tokens; ``y``; and, where the set has them, ``soft``, ``indices``, ``schedule.*``,
``embedding.*`` and ``texts.*`` (see `ddcore.sets.texts`). ``set.json``, format 2, holds the rest. Always there:
``format``, ``kind``, ``members``, ``temperature``, ``dataset``, ``classes``, ``method`` and ``sha256`` (of
set.safetensors). Optional: ``options``, ``provenance``, ``recipes``, ``mean``, ``std``, ``max_tokens``, ``ordered``,
``factor`` and ``tiles`` (see `Origin`), ``schedule``, ``embedding``, ``data``
(digests of the real set, see `ddcore.data.Fingerprint`) and ``record_sha256`` (of set.json without this field, as
`ddcore.runtime.canonical` writes it). A reader ignores names that it does not know, so a later version may add optional
ones; what an older reader would misread needs a new format.

Format 2 differs from format 1 in ``recipes``: a network's recipe holds the fields that this network reads, and no
others. `ddcore.sets.format_1` reads format 1.
"""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ddcore.data import Examples, Fingerprint, Inputs, Scale, Tokens, logits_of
from ddcore.draws import permutation
from ddcore.errors import DDCoreError, UsageError, known, require
from ddcore.nets import Embedding
from ddcore.runtime import (
    JSONObject,
    State,
    canonical,
    fault_of,
    load_tensors,
    packed,
    read_json,
    save_tensors,
    seed_folders,
    tensors_digest,
    under,
    write_json,
)
from ddcore.sets.checks import RECORD, check_set
from ddcore.sets.format_1 import from_format_1
from ddcore.sets.origin import Origin
from ddcore.sets.texts import packed_texts, unpacked_texts
from ddcore.unroll import Schedule

FORMAT = 2


@dataclass(frozen=True, eq=False)
class DistilledSet:
    """N members that stand for a real training set.

    Attributes:
        kind: ``images``, ``tokens``, or ``embeddings`` for synthetic texts.
        x: images ``(N, C, H, W)``, uint8 pixels (real ones) or float32 normalised (synthetic ones); or `Tokens`; or
            word vectors ``(N, L, D)`` float32.
        y: ``(N,)`` int64, the class that each member stands for.
        origin: data set, method, options and provenance.
        scale: how members become numbers.
        soft: ``(N, K)`` float32 logits of soft labels over K classes, or None. A student learns
            ``softmax(soft / temperature)``. At temperature 0: regression targets, any numbers, in place of logits.
        temperature: of the soft labels; 1 for hard ones; no unit.
        indices: ``(N,)`` int64, the members' places in the real training set; None for synthetic members.
        recipes: how to train on it: network name, or ``default``, to the fields of a recipe.
        schedule: the training that the set was optimised for; None for sets that any training can use.
        embedding: the word vectors that ``embeddings`` are written in; otherwise None.
        ordered: whether the members have a meaningful order: a prefix is a good set of its own (`prefix`).
    """

    kind: str
    x: Inputs
    y: Tensor
    origin: Origin
    scale: Scale = Scale()
    soft: Tensor | None = None
    temperature: float = 1.0
    indices: Tensor | None = None
    recipes: dict[str, JSONObject] = field(default_factory=dict)
    schedule: Schedule | None = None
    embedding: Embedding | None = None
    ordered: bool = False

    def __len__(self) -> int:
        return len(self.y)

    @property
    def dataset(self) -> str:
        """Name of the real set."""
        return self.origin.dataset

    @property
    def classes(self) -> tuple[str, ...]:
        """Readable names, one per class."""
        return self.origin.classes

    @property
    def method(self) -> str:
        """What produced the set."""
        return self.origin.method

    @property
    def options(self) -> JSONObject:
        """The method's options, budget and seed."""
        return self.origin.options

    @property
    def provenance(self) -> JSONObject:
        """Where its parts came from."""
        return self.origin.provenance

    @property
    def texts(self) -> tuple[str, ...]:
        """The source text of each member; empty for images and where it is not known."""
        return self.origin.texts

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
        """Longest text that a network is meant to read; 0 for images."""
        return self.scale.max_tokens

    @property
    def labels(self) -> str:
        """``hard`` or ``soft``."""
        return "hard" if self.soft is None else "soft"

    @property
    def fingerprint(self) -> Fingerprint:
        """Return what tells the real set from others; the shape of images is the set's own, that of texts empty."""
        shape = tuple(self.x.shape[1:]) if isinstance(self.x, Tensor) and self.kind == "images" else ()
        return Fingerprint(self.dataset, self.classes, shape, self.origin.content, self.origin.vocabulary)

    @property
    def digest(self) -> str:
        """A short digest of what a network trains on: the tensors but for source texts, temperature, and recipes."""
        rest = canonical([self.temperature, self.recipes, self.schedule and self.schedule.record()])
        tensors = [tensor for _, tensor in sorted(self._tensors().items())]
        return tensors_digest([*tensors, torch.frombuffer(bytearray(rest), dtype=torch.uint8)])

    def described(
        self,
        method: str | None = None,
        provenance: JSONObject | None = None,
        recipes: dict[str, JSONObject] | None = None,
    ) -> "DistilledSet":
        """Return the same members with another method or other recipes, or with more provenance."""
        origin = replace(
            self.origin,
            method=self.method if method is None else method,
            provenance={**self.provenance, **(provenance or {})},
        )
        return replace(self, origin=origin, recipes=self.recipes if recipes is None else recipes)

    def examples(self, labels: str = "own") -> Examples:
        """Return what a network trains on, with the set's ``own`` labels or with ``hard`` ones."""
        own = Examples(self.x, self.y, self.soft, self.temperature)
        if self.soft is not None and not self.temperature:
            own = Examples(self.x, self.y, logits_of(self.soft), regression=self.soft)
        return own.hard() if known("labels", labels, ["own", "hard"]) == "hard" else own

    def inputs(self) -> Tensor:
        """Return all members as a network reads them: float32 normalised images, or padded int64 ids ``(N, L)``."""
        return self.scale.inputs(self.x)

    def targets(self) -> Tensor:
        """Return label probabilities ``(N, K)`` float32; each row sums to 1."""
        return self.examples().targets(len(self.classes))

    def prefix(self, n: int) -> "DistilledSet":
        """Return the first `n` members as a set of their own.

        Raises:
            UsageError: the members have no order, or there are fewer.
        """
        require(self.ordered, f"the members of a set by {self.method} have no order: it has no meaningful prefix")
        require(1 <= n <= len(self), f"a prefix of {n} members needs a larger set than one of {len(self)}")
        return self._of(torch.arange(n), "prefix of")

    def subset(self, n: int, seed: int) -> "DistilledSet":
        """Return `n` members drawn at random, the same number per class, as a set of their own.

        Raises:
            UsageError: the classes cannot share them, or one of them has too few.
        """
        classes = len(self.classes)
        per_class, left = divmod(n, classes)
        counts = torch.bincount(self.y, minlength=classes)
        require(
            not left and 1 <= per_class <= int(counts.min()),
            f"{n} members, the same number per class, cannot be drawn from {len(self)} of {classes} classes",
        )
        order = permutation(len(self), seed, "subset")
        chosen = [order[self.y[order] == k][:per_class] for k in range(classes)]
        return self._of(torch.stack(chosen, 1).flatten(), "random members of")

    def class_by_class(self) -> "DistilledSet":
        """Return the same members, those of one class after those of another, in their order within a class."""
        return replace(self._at(torch.argsort(self.y, stable=True)), ordered=False)

    def _of(self, members: Tensor, what: str) -> "DistilledSet":
        return self._at(members).described(provenance={what: len(self)})

    def _at(self, members: Tensor) -> "DistilledSet":
        texts = tuple(self.texts[i] for i in members.tolist()) if self.texts else ()
        return replace(
            self,
            origin=replace(self.origin, texts=texts),
            x=self.x[members],
            y=self.y[members],
            soft=None if self.soft is None else self.soft[members],
            indices=None if self.indices is None else self.indices[members],
            schedule=None if self.schedule is None else self.schedule.for_members(members),
        )

    def pairs(self) -> TensorDataset:
        """Return a map-style PyTorch dataset of ``(input, label probabilities)``."""
        return TensorDataset(self.inputs(), self.targets())

    def save(self, folder: Path | str) -> None:
        """Write ``set.safetensors`` and then ``set.json`` into `folder`, each atomically.

        Raises:
            DDCoreError: the folder cannot be written.
        """
        folder = Path(folder)
        texts = packed({"texts": packed_texts(self.texts)} if self.texts else {})
        save_tensors(folder / "set.safetensors", {**self._tensors(), **texts}, {"ddcore": "distilled set"})
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
            **({"factor": self.origin.factor} if self.origin.factor > 1 else {}),
            **({"tiles": self.origin.tiles} if self.origin.tiles > 1 else {}),
            "schedule": None if self.schedule is None else self.schedule.record(),
            "embedding": None if self.embedding is None else self.embedding.record(),
            "data": {"content": self.origin.content, "vocabulary": self.origin.vocabulary},
            "sha256": _digest(folder),
        }
        write_json(folder / "set.json", {**record, "record_sha256": hashlib.sha256(canonical(record)).hexdigest()})

    def _tensors(self) -> State:
        x = self.x
        members = {"x.values": x.values, "x.offsets": x.offsets} if isinstance(x, Tokens) else {"x": x}
        own = {**members, "y": self.y, "soft": self.soft, "indices": self.indices}
        parts = {"schedule": self.schedule, "embedding": self.embedding}
        return {
            **{name: tensor for name, tensor in own.items() if tensor is not None},
            **packed({name: part.tensors() for name, part in parts.items() if part is not None}),
        }

    @staticmethod
    def load(folder: Path | str) -> "DistilledSet":
        """Read a set from its folder; nothing is unpickled.

        Raises:
            DDCoreError: a file is missing, truncated, from another program, or its parts contradict one another;
                the line says which.
        """
        folder = Path(folder)
        require((folder / "set.json").is_file(), f"{folder} is not a distilled set: it holds no set.json", DDCoreError)
        record = _record(folder)
        tensors, _ = load_tensors(folder / "set.safetensors")
        try:
            loaded = _of(from_format_1(record) if record["format"] == 1 else record, tensors)
        except (KeyError, TypeError, ValueError) as error:
            raise DDCoreError(f"{folder} is not a distilled set of this format ({error!r})") from error
        try:
            check_set(loaded, record["members"])
            require(
                record["sha256"] == _digest(folder),
                "the tensors are not those that set.json was written for (sha256)",
            )
            rest = {name: value for name, value in record.items() if name != "record_sha256"}
            require(
                record.get("record_sha256", own := hashlib.sha256(canonical(rest)).hexdigest()) == own,
                "set.json was changed after it was written (record_sha256; remove that line if the change is yours)",
            )
        except UsageError as fault:
            raise DDCoreError(f"{folder} is damaged or was tampered with: {fault}") from fault
        return loaded


def _record(folder: Path) -> JSONObject:
    """Return the content of a set.json, of any format that is read, once its values have the right types."""
    record: JSONObject = read_json(folder / "set.json")
    fault = fault_of(record, {"format": int})
    if not fault and record["format"] not in (1, FORMAT):
        number = record["format"]
        raise DDCoreError(f"{folder}/set.json has format {number}; this ddcore reads 1 and {FORMAT}")
    fault = fault or fault_of(record, RECORD)
    require(not fault, f"{folder} is not a distilled set of this format ({fault})", DDCoreError)
    return record


def _of(record: JSONObject, tensors: State) -> DistilledSet:
    """Return the set of a record of format 2 and its tensors."""
    tokens, schedule, embedding = record["kind"] == "tokens", record.get("schedule"), record.get("embedding")
    return DistilledSet(
        kind=record["kind"],
        x=Tokens(tensors["x.values"], tensors["x.offsets"]) if tokens else tensors["x"],
        y=tensors["y"],
        origin=Origin(
            record["dataset"],
            tuple(record["classes"]),
            record["method"],
            dict(record.get("options", {})),
            dict(record.get("provenance", {})),
            record.get("data", {}).get("content", ""),
            record.get("data", {}).get("vocabulary", ""),
            record.get("factor", 1),
            record.get("tiles", 1),
            texts=unpacked_texts(under("texts", tensors)),
        ),
        scale=Scale(tuple(record.get("mean", ())), tuple(record.get("std", ())), int(record.get("max_tokens", 0))),
        soft=tensors.get("soft"),
        temperature=float(record["temperature"]),
        indices=tensors.get("indices"),
        recipes={net: dict(fields) for net, fields in record.get("recipes", {}).items()},
        schedule=None if schedule is None else Schedule.of(schedule, under("schedule", tensors)),
        embedding=None if embedding is None else Embedding.of(embedding, under("embedding", tensors)),
        ordered=bool(record.get("ordered", False)),
    )


def set_folders(path: Path) -> list[Path]:
    """Return the folders of sets in a folder: itself, or its seed-0, seed-1 …; never one that was put aside."""
    return [path] if (path / "set.json").exists() else seed_folders(path)


def load_sets(path: Path) -> list[DistilledSet]:
    """Read the set in a folder, or all sets in its seed-* folders.

    Raises:
        DDCoreError: a set is missing or damaged.
        UsageError: the folder is missing.
    """
    require(path.is_dir(), f"--set {path} is not a folder")
    folders = set_folders(path)
    require(bool(folders), f"{path} is not a distilled set: it holds no set.json and no seed-* folders", DDCoreError)
    return [DistilledSet.load(folder) for folder in folders]


def set_digest(path: Path) -> str | None:
    """Return the SHA-256 of the tensors of the set in a folder, or of all those digests of its seed-* folders.

    None without a set there.
    """
    folders = [folder for folder in set_folders(path) if (folder / "set.safetensors").exists()]
    digests = [_digest(folder) for folder in folders]
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest() if digests else None
    )


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    with open(folder / "set.safetensors", "rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()
