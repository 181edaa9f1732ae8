"""A teacher's answers about the crops of every epoch in one file, which is mapped.

It is in the safetensors format: ``logits``, ``(epochs * members, classes)`` float16, epoch after epoch; or, where only
the largest are kept, ``top`` float16 and ``of`` int32, ``(epochs * members, K)``, and ``rest`` float16,
``(epochs * members,)`` (see `TopLogits`). A note holds the fields of `AnswerKey`, by which the crops are drawn again.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from ddcore.data import Examples, Task
from ddcore.errors import DDCoreError, require
from ddcore.runtime import Count, Form, Schema, Session, fault_of, filling, map_tensors, parse_json
from ddcore.training.crops import Crops, Kept, answers
from ddcore.training.teacher_networks import TeacherNetworks
from ddcore.training.top_logits import TopLogits

NOTE = "answers"
RECORD: Schema = {
    "members": Count,
    "classes": Count,
    "top": Count,
    "set": str,
    "unordered": str,
    "teacher": str,
    "crops": {"seed": int, "area": float, "flip": bool, "tiles": Count, "epochs": Count},
}


@dataclass(frozen=True)
class AnswerKey:
    """What decides a teacher's answers.

    Attributes:
        crops: which crops there are.
        members, classes: of the set.
        top: logits that are kept of each crop.
        set: digest of the members and their hard labels.
        unordered: digest of the same in whatever order.
        teacher: digest of the teacher's folder.
    """

    crops: Crops
    members: int
    classes: int
    top: int
    set: str
    unordered: str
    teacher: str

    @property
    def forms(self) -> dict[str, Form]:
        """Dtype and shape of each tensor in the file."""
        rows = self.crops.epochs * self.members
        if self.top == self.classes:
            return {"logits": (torch.float16, (rows, self.classes))}
        largest = (rows, self.top)
        return {"top": (torch.float16, largest), "of": (torch.int32, largest), "rest": (torch.float16, (rows,))}

    @property
    def bytes(self) -> int:
        """Of all answers."""
        return sum(dtype.itemsize * math.prod(shape) for dtype, shape in self.forms.values())


@dataclass(frozen=True)
class StoredAnswers:
    """A teacher's answers in a file.

    Attributes:
        key: what decided them.
        all: of all crops, epoch after epoch; they are read when they are used.
        path: of the file.
    """

    key: AnswerKey
    all: Kept
    path: Path

    def epoch(self, number: int, device: torch.device) -> Kept:
        """Return the answers of an epoch about all members in their order, on a device."""
        begin = number % self.key.crops.epochs * self.key.members
        rows = slice(begin, begin + self.key.members)
        if isinstance(self.all, Tensor):
            return self.all[rows].to(device)
        few = TopLogits(self.all.top[rows], self.all.classes[rows], self.all.rest[rows], self.all.count)
        return few.to(device)

    def check(self, wanted: AnswerKey) -> None:
        """Refuse answers about other crops than wanted.

        Args:
            wanted: whose teacher is empty if any will do.

        Raises:
            UsageError: the set, its order, the classes, the teacher, the crops or the kept logits differ, or there are
                fewer epochs.
        """
        own, path = self.key, self.path
        remedy = "give another --label-file, and it is written"
        unordered = own.unordered == wanted.unordered and own.set != wanted.set
        require(not unordered, f"{path} holds labels of the same members in another order: {remedy}")
        same = (own.set, own.members, own.classes) == (wanted.set, wanted.members, wanted.classes)
        require(
            same,
            f"{path} holds labels of another set, of {own.members} members in {own.classes} classes; this one has "
            f"{wanted.members} in {wanted.classes}: {remedy}",
        )
        require(wanted.teacher in ("", own.teacher), f"{path} holds the labels of another teacher: {remedy}")
        for name, flag in (("area", "--crop-area"), ("flip", "a flip"), ("tiles", "tiles per side")):
            held, asked = getattr(own.crops, name), getattr(wanted.crops, name)
            require(held == asked, f"{path} holds labels of crops with {flag} {held}, not {asked}: {remedy}")
        require(own.top == wanted.top, f"{path} holds {own.top} logits of each crop, not {wanted.top}: {remedy}")
        require(
            own.crops.epochs >= wanted.crops.epochs,
            f"{path} holds labels for {own.crops.epochs} epochs, not {wanted.crops.epochs}: --label-epochs "
            f"{own.crops.epochs} uses them again and again",
        )


def unordered_digest(examples: Examples) -> str:
    """Return a short digest of images and their hard labels, the same in whatever order they are."""
    assert isinstance(examples.x, Tensor)
    pairs = zip(examples.x.cpu(), examples.y.tolist(), strict=True)
    each = (hashlib.blake2b(x.contiguous().numpy().tobytes() + bytes(str(y), "ascii")).digest() for x, y in pairs)
    return hashlib.blake2b(b"".join(sorted(each)), digest_size=8).hexdigest()


def write_answers(
    path: Path, key: AnswerKey, networks: TeacherNetworks, task: Task, examples: Examples, session: Session
) -> None:
    """Ask a teacher about the crops of all epochs and write the answers; the file is there as a whole or not at all.

    Args:
        path: of the file.
        key: what decides them.
        networks: of the teacher, on the session's device.
        task: says how to read the members.
        examples: the set, see `at_hand`.
        session: hears how far it is.

    Raises:
        DDCoreError: the folder cannot be written, or the disk has no room for the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with filling(path, key.forms, {NOTE: json.dumps(asdict(key), sort_keys=True)}) as file:
        for number in range(key.crops.epochs):
            for rows, few in answers(networks, key.crops.epoch(number, task, examples), key.top):
                places = slice(number * key.members + rows.start, number * key.members + rows.stop)
                if isinstance(few, Tensor):
                    file["logits"][places] = few.cpu()
                else:
                    file["top"][places], file["of"][places] = few.top.cpu(), few.classes.cpu()
                    file["rest"][places] = few.rest.cpu()
            session.report(number + 1, key.crops.epochs)


def read_answers(path: Path) -> StoredAnswers:
    """Map a file of answers.

    Raises:
        DDCoreError: the file is missing, cut, damaged or of another kind.
    """
    tensors, notes = map_tensors(path)
    require(NOTE in notes, f"{path} holds no labels by crop: evaluate.py --label-file writes such files", DDCoreError)
    record = parse_json(notes[NOTE], path)
    fault = fault_of(record, RECORD)
    require(not fault, f"{path} is damaged: {fault}", DDCoreError)
    assert isinstance(record, dict)
    crops = Crops(**{name: record["crops"][name] for name in ("seed", "area", "flip", "tiles", "epochs")})
    own = {name: record[name] for name in ("members", "classes", "top", "set", "unordered", "teacher")}
    key = AnswerKey(crops, **own)
    whole = {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in tensors.items()}
    require(whole == key.forms, f"{path} is damaged or cut: it does not hold what its note says", DDCoreError)
    if "logits" in tensors:
        return StoredAnswers(key, tensors["logits"], path)
    inside = all(bool(((part >= 0) & (part < key.classes)).all()) for part in tensors["of"].split(2**16))
    require(inside, f"{path} is damaged: it names classes that there are not", DDCoreError)
    return StoredAnswers(key, TopLogits(tensors["top"], tensors["of"], tensors["rest"], key.classes), path)
