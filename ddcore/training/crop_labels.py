"""Labels by crop: a student learns what a teacher says about the very crops that it sees, epoch by epoch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ddcore.data import Examples, Task, at_hand, published_kinds
from ddcore.errors import UsageError, require
from ddcore.options import option
from ddcore.runtime import JSONObject, Session, sent
from ddcore.sets import DistilledSet
from ddcore.training.crops import CropEpoch, Crops, Kept, answers, joined
from ddcore.training.inputs import folder_digest
from ddcore.training.stored_answers import AnswerKey, StoredAnswers, read_answers, unordered_digest, write_answers
from ddcore.training.teacher import Teacher
from ddcore.training.teacher_networks import TeacherNetworks, check_scale, teacher_networks
from ddcore.training.top_logits import DENSE, TOP

SMOOTHING = 0.8
"""Share of a hard label that is spread over all classes, in the epochs of `hard_share`."""


@dataclass(frozen=True)
class CropOptions:
    """How the crops of a set are drawn and labelled, for ``--labels crops`` and ``--protocol rded``."""

    temperature: float = option(20.0, "of a teacher's labels by crop", low=0.01, flags="label-temperature")
    area: float | None = option(
        None,
        "smallest share of a member that a crop shows (default: 1 over the images per side of a member, so that "
        "single images are not cropped)",
        low=0.01,
        high=1,
        flags="crop-area",
    )
    epochs: int | None = option(
        None,
        "epochs of labels by crop, which are used again and again (default: new crops in every epoch)",
        low=1,
        high=10**6,
        flags="label-epochs",
    )
    top: int | None = option(
        None,
        f"logits that are kept of each crop (default: all of up to {DENSE} classes, otherwise {TOP})",
        low=1,
        high=10**6,
        flags="label-top",
    )
    hard_share: float = option(
        0.0, "share of the epochs, in the middle, that learn hard labels of the crops", low=0, high=0.99
    )
    file: Path | None = option(
        None,
        "file of labels by crop: written if it is not there, otherwise read, which needs no teacher",
        flags="label-file",
    )


@dataclass(frozen=True)
class CropLabels:
    """The crops of one set and who labels them.

    Attributes:
        options: how.
        area: the smallest share of a member that a crop shows.
        flip: whether every second crop is mirrored.
        tiles: small images per side of a member.
        top: logits that are kept of each crop.
        networks: of the teacher; None where all answers are stored, or all labels hard.
        teacher: digest of its folder; empty without one.
        stored: answers in a file; None to ask live.
        hard: whether all labels are the data's, without smoothing.
    """

    options: CropOptions
    area: float
    flip: bool
    tiles: int
    top: int
    networks: TeacherNetworks | None
    teacher: str = ""
    stored: StoredAnswers | None = None
    hard: bool = False

    def soft_epochs(self, epochs: int) -> int:
        """Return how many of a training's epochs learn a teacher's labels."""
        return 0 if self.hard else epochs - round(self.options.hard_share * epochs)

    def crops(self, seed: int, epochs: int) -> Crops:
        """Return which crops a teacher labels in a training of so many epochs."""
        own = min(self.soft_epochs(epochs), self.options.epochs or epochs)
        return Crops(seed, self.area, self.flip, self.tiles, max(1, own))

    def feed(self, task: Task, examples: Examples, seed: int, epochs: int) -> "CropFeed":
        """Return the batches of one training; the arguments are those of `CropFeed`."""
        return CropFeed(self, task, examples, seed, epochs)

    def key(self, task: Task, examples: Examples, seed: int, epochs: int) -> AnswerKey:
        """Return what decides the answers in a training of so many epochs."""
        crops = self.crops(seed, epochs)
        digests = examples.digest, unordered_digest(examples)
        return AnswerKey(crops, len(examples), len(task.classes), self.top, *digests, self.teacher)

    def with_file(self, task: Task, examples: Examples, seed: int, epochs: int, session: Session) -> "CropLabels":
        """Return the same with the answers in the file of the options, which the main process writes if it must.

        Args:
            task: the data set.
            examples: the set.
            seed: of the crops in a new file; one that is there has its own.
            epochs: of the longest training.
            session: whose processes read the file.

        Raises:
            UsageError: the file is there, and holds other answers than needed.
            DDCoreError: it is damaged, or cannot be written.
        """
        path, key = self.options.file, self.key(task, examples, seed, epochs)
        if path is None or self.hard:
            return self
        if session.main and not path.exists():
            require(self.networks is not None, f"{path} is not there: --teacher RUN_DIR writes it")
            assert self.networks is not None
            there = at_hand(examples, session.device)
            write_answers(path, key, self.networks.to(session.device), task, there, session)
        session.wait()
        stored = read_answers(path)
        stored.check(key)
        session.tell(
            f"labels by crop: {stored.key.crops.epochs} epochs of {stored.key.members} members, {stored.key.top} of "
            f"{stored.key.classes} logits each, {stored.key.bytes:,} bytes in {path}"
        )
        return replace(self, stored=stored)

    def record(self) -> JSONObject:
        """Return what decides the labels, as JSON values."""
        seed = None if self.stored is None else self.stored.key.crops.seed
        return {
            "temperature": self.options.temperature,
            "area": self.area,
            "flip": self.flip,
            "tiles": self.tiles,
            "top": self.top,
            "epochs": self.options.epochs,
            "hard_share": 1.0 if self.hard else self.options.hard_share,
            "teacher": self.teacher if self.stored is None else self.stored.key.teacher,
            "stored_seed": seed,
        }


def crop_labels(
    options: CropOptions,
    small: DistilledSet,
    task: Task,
    teacher: Teacher | None,
    asked: Sequence[str] = (),
    *,
    hard: bool = False,
) -> CropLabels:
    """Return the crops of a set and who labels them, after all checks.

    Args:
        options: how.
        small: the set.
        task: its data set.
        teacher: None where the options name a file that is there, or with `hard`.
        asked: networks that the user names, see `teacher_networks`.
        hard: take the data's labels, in proportion to the areas of mixed crops.

    Raises:
        UsageError: the set holds no images or those of another normalisation, more logits shall be kept than there are
            classes, or the teacher or its networks are missing or do not fit.
        DDCoreError: a file is damaged.
    """
    classes = len(task.classes)
    require(small.kind == "images", f"labels by crop are for images, this set holds {small.kind}")
    require(
        options.top is None or options.top <= classes,
        f"--label-top {options.top}: {task.name} has {classes} classes",
    )
    if isinstance(small.x, Tensor) and small.x.is_floating_point():
        check_scale(small.scale, task, "this set")
    tiles = small.origin.tiles
    area = 1 / tiles if options.area is None else options.area
    stored = options.file is not None and options.file.exists()
    networks, digest = None, ""
    if not hard and (teacher is not None or not stored):
        networks = teacher_networks(teacher, task, "--labels crops", asked)
        assert teacher is not None and teacher.folder is not None
        digest = folder_digest("teacher", teacher.folder)
    top = options.top or (classes if classes <= DENSE else TOP)
    flip = "flip" in published_kinds("rded", task.name)
    return CropLabels(options, area, flip, tiles, top, networks, digest, hard=hard)


class CropFeed:
    """The batches of one training with labels by crop.

    Args:
        labels: the crops and who labels them.
        task: the data set.
        examples: the set, see `at_hand`.
        seed: of the crops, unless a file has its own.
        epochs: of the training.
    """

    def __init__(self, labels: CropLabels, task: Task, examples: Examples, seed: int, epochs: int) -> None:
        self.labels, self.task, self.examples, self.epochs = labels, task, examples, epochs
        stored, drawn = labels.stored, labels.crops(seed, epochs)
        self.crops = drawn if stored is None else replace(stored.key.crops, epochs=drawn.epochs)
        self.fresh = replace(self.crops, epochs=max(1, epochs))
        self.soft = labels.soft_epochs(epochs)
        self.networks = None if labels.networks is None else labels.networks.to(examples.y.device)
        self.current = -1

    def batch(self, epoch: int, members: Tensor) -> Examples:
        """Return the crops of some members with their labels: float32 images and logits.

        Args:
            epoch: counted from 0.
            members: ``(n,)`` int64 on the CPU.
        """
        if epoch != self.current:
            self.crop, self.answers = self._epoch(epoch)
            self.current = epoch
        there = sent(members, self.examples.y.device)
        x, y = self.crop.images(members), self.examples.y[there]
        if self.answers is None:
            target, classes = self.crop.mixed_labels(members, len(self.task.classes)), len(self.task.classes)
            smoothing = 0.0 if self.labels.hard else SMOOTHING
            return Examples(x, y, (target * (1 - smoothing) + smoothing / classes).log())
        return Examples(x, y, self.answers[there].float(), self.labels.options.temperature)

    def _epoch(self, epoch: int) -> tuple[CropEpoch, Kept | None]:
        """Return the crops of an epoch, and the teacher's answers; None where it learns hard labels."""
        first, hard = self.soft // 2, self.epochs - self.soft
        if first <= epoch < first + hard:
            return self.fresh.epoch(self.soft + epoch - first, self.task, self.examples), None
        number = epoch if epoch < first else epoch - hard
        number %= self.crops.epochs
        crop = self.crops.epoch(number, self.task, self.examples)
        if self.labels.stored is not None:
            return crop, self.labels.stored.epoch(number, self.examples.y.device)
        if self.networks is None:
            raise UsageError("labels by crop need --teacher RUN_DIR")
        return crop, joined([few for _, few in answers(self.networks, crop, self.labels.top)])
