"""A teacher: the logits and features of trained networks for every training member, and the labels that come of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ddcore.data import FINGERPRINT, Examples, Fingerprint, Scale, Task
from ddcore.errors import DDCoreError, UsageError, require
from ddcore.nets import build_net, net_of_file
from ddcore.options import option
from ddcore.runtime import Form, JSONObject, fault_of, filling, load_tensors, map_tensors, parse_json, tensors_digest
from ddcore.sets import DistilledSet
from ddcore.training.loop import predict
from ddcore.training.top_logits import DENSE, TOP, TopLogits

CHUNK = 8192
Logits = Tensor | TopLogits


@dataclass(frozen=True)
class Teacher:
    """A teacher's outputs on the whole training set, which may lie in a file: they are not to be written to.

    Attributes:
        logits: ``(N, C)`` float32 for all N training members, in their order; of more than `DENSE` classes the largest.
        features: ``(N, D)`` of the last hidden layer, float16 from a file; None if the network has none.
        net: the network's name.
        path: name of its run folder.
        folder: its run folder, which holds the networks; None for a teacher that was not read from one.
        data: what it was trained on; None if that is not known.
        note: what a person has to know of these data, see `Fingerprint.check`; empty without any.
        scale: how the images that it was trained on were normalised; None if that is not known, and for texts.
    """

    logits: Logits
    features: Tensor | None
    net: str
    path: str
    folder: Path | None = None
    data: Fingerprint | None = None
    note: str = ""
    scale: Scale | None = None

    @property
    def digest(self) -> str:
        """A short digest of the logits."""
        logits = self.logits
        return tensors_digest([logits] if isinstance(logits, Tensor) else [logits.top, logits.classes, logits.rest])

    def save(self, folder: Path, others: Sequence[Logits] = ()) -> None:
        """Write ``teacher.safetensors`` into a run folder, some members at a time.

        Args:
            folder: of the run.
            others: logits of further networks, which are averaged with the teacher's.

        Raises:
            DDCoreError: the folder cannot be written, or the disk has no room for the file.
        """
        members, classes = self.logits.shape
        forms: dict[str, Form] = {"logits": (torch.float32, (members, classes))}
        if classes > DENSE:
            forms = {name: (torch.float16, (members, TOP)) for name in ("top", "classes")}
            forms |= {"classes": (torch.int32, (members, TOP)), "rest": (torch.float16, (members,))}
        if self.features is not None:
            forms["features"] = (torch.float16, tuple(self.features.shape))
        record: JSONObject = {"net": self.net, "data": None if self.data is None else self.data.record()}
        if self.scale is not None:
            record["scale"] = {"mean": list(self.scale.mean), "std": list(self.scale.std)}
        # One note, because safetensors writes several in any order and the same teacher shall have the same bytes.
        with filling(folder / "teacher.safetensors", forms, {"teacher": json.dumps(record)}) as file:
            for rows in slices(members):
                logits = torch.stack([each[rows].float() for each in (self.logits, *others)]).mean(0)
                few: Logits = logits if classes <= DENSE else TopLogits.of(logits)
                for name in forms.keys() - {"features"}:
                    file[name][rows] = few if isinstance(few, Tensor) else getattr(few, name)
                if self.features is not None:
                    file["features"][rows] = self.features[rows].half()


def slices(members: int) -> Iterator[slice]:
    """Give the places of all members, some thousand at a time."""
    return (slice(begin, min(begin + CHUNK, members)) for begin in range(0, members, CHUNK))


def load_teacher(folder: Path, task: Task) -> Teacher:
    """Read a teacher from the run folder of ``train_baseline.py``.

    Raises:
        UsageError: the folder holds no teacher, or one of another data set.
        DDCoreError: its file is damaged.
    """
    path, remedy = folder / "teacher.safetensors", f"train one with train_baseline.py {task.flag} --part fit"
    require(path.is_file(), f"{folder} holds no teacher: {remedy} --out {folder}")
    tensors, notes = map_tensors(path)
    logits, features = _logits(tensors, len(task.classes)), tensors.get("features")
    if logits is None:
        raise DDCoreError(f"{path} holds no logits: it was not written by train_baseline.py")
    if logits.shape != (wanted := (len(task.train), len(task.classes))):
        raise UsageError(
            f"{folder} is a teacher of other data: its logits are {tuple(logits.shape)}, {task.name} needs {wanted}: "
            f"{remedy}"
        )
    sound = features is None or (features.ndim == 2 and len(features) == len(logits))
    parts = [logits] if isinstance(logits, Tensor) else [logits.top, logits.rest]
    for each in parts if features is None else [*parts, features]:
        sound = sound and all(bool(each[rows].isfinite().all()) for rows in slices(len(logits)))
    require(sound, f"{path} holds logits or features that are no finite numbers per member: {remedy}", DDCoreError)
    record: JSONObject = (
        parse_json(notes["teacher"], path) if "teacher" in notes else {"net": notes.get("net", "unknown")}
    )
    fault = fault_of(record, {"net": str, "data?": (FINGERPRINT, None), "scale?": {"mean": [float], "std": [float]}})
    require(not fault, f"{path} is damaged: {fault}: {remedy}", DDCoreError)
    data = Fingerprint.read(record.get("data"), task)
    note = data.check(task, str(folder), remedy)
    constants = record.get("scale")
    scale = constants and Scale(tuple(constants["mean"]), tuple(constants["std"]))
    return Teacher(logits, features, record["net"], folder.name, folder, data, note, scale)


def _logits(tensors: Mapping[str, Tensor], classes: int) -> Logits | None:
    """Return the logits in a teacher's file; None if there are none that could be a network's."""
    logits, top, of, rest = (tensors.get(name) for name in ("logits", "top", "classes", "rest"))
    if logits is not None:
        return logits.float() if logits.is_floating_point() else None
    if top is None or of is None or rest is None:
        return None
    kinds = (top.dtype, of.dtype, rest.dtype) == (torch.float16, torch.int32, torch.float16)
    fits = top.ndim == 2 and top.shape == of.shape and rest.shape == top.shape[:1] and classes > TOP
    valid = kinds and fits and all(bool(((of[rows] >= 0) & (of[rows] < classes)).all()) for rows in slices(len(of)))
    return TopLogits(top, of, rest, classes) if valid else None


@dataclass(frozen=True)
class Labels:
    """What kind of labels a set has."""

    kind: str = option(
        "hard",
        "hard: the data's; soft: a teacher's, fixed; learned: like the images",
        choices=("hard", "soft", "learned"),
        flags="labels",
    )
    temperature: float = option(4.0, "of a teacher's labels", low=0.01)
    teacher_share: float = option(1.0, "how much of a soft label is the teacher's, not the data's", low=0, high=1)

    def need(self, teacher: Teacher | None) -> None:
        """Refuse soft labels without a teacher.

        Raises:
            UsageError: there is none.
        """
        require(self.kind != "soft" or teacher is not None, "--labels soft needs --teacher RUN_DIR")


def blended(logits: Tensor, y: Tensor, labels: Labels) -> Tensor:
    """Return logits whose softmax at the labels' temperature is the teacher's, mixed with the data's labels.

    Args:
        logits: ``(N, C)`` float32, the teacher's.
        y: ``(N,)`` int64.
        labels: their temperature, and the teacher's share; a share of 1 returns `logits` as they are.
    """
    if labels.teacher_share == 1:
        return logits
    share, hard = labels.teacher_share, torch.nn.functional.one_hot(y, logits.shape[1])
    mixed = share * (logits / labels.temperature).softmax(1) + (1 - share) * hard
    return labels.temperature * torch.clamp(mixed, min=1e-8).log()


def soft_examples(
    small: DistilledSet,
    task: Task,
    teacher: Teacher | None,
    temperature: float,
    device: torch.device,
    asked: Sequence[str] = (),
) -> Examples | None:
    """Return a set with soft labels: its own if it has them, otherwise a teacher's on its members.

    None if there are neither: there is no teacher, or its networks cannot read synthetic members (an n-gram model is
    fitted, not trained, and its folder holds no weights to load; word vectors mean nothing to a network with others).

    Args:
        small: the set.
        task: the data set.
        teacher: its logits for the real members; the networks in its folder, averaged, read synthetic ones.
        temperature: of the teacher's labels; a set's own labels keep theirs.
        device: where to compute.
        asked: networks that the user names: a custom network that the teacher's file names is run only if it is one
            of them.

    Raises:
        UsageError: the teacher's file names a custom network that nobody asked for.
        DDCoreError: a network of the teacher is damaged or of another kind.
    """
    if small.soft is not None or teacher is None:
        return None if small.soft is None else small.examples()
    if small.indices is not None:
        return Examples(small.x, small.y, teacher.logits[small.indices], temperature)
    paths = [] if teacher.folder is None else sorted(teacher.folder.glob("weights-*.safetensors"))
    if not paths:
        return None
    net = build_net(net_of_file(teacher.net, task, asked, teacher.path), task, 0)
    if hasattr(net, "solve"):
        return None
    logits = []
    for path in paths:
        try:
            net.load_state_dict(load_tensors(path)[0])
        except RuntimeError as error:
            raise DDCoreError(f"{path} is not a {teacher.net} for {task.name}: train the teacher again") from error
        if small.embedding is None or small.embedding.read_by(net):
            logits.append(predict(net, task, small.x, device=device))
    if not logits:
        return None
    return Examples(small.x, small.y, torch.stack(logits).mean(0), temperature)
