"""What tells one data set from another: recorded by sets, teachers, generators and experts, compared before use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ddcore.data.tokeniser import vocabulary_digest
from ddcore.errors import require
from ddcore.runtime import JSONObject, Schema

if TYPE_CHECKING:
    from ddcore.data.task import Task

FINGERPRINT: Schema = {"dataset": str, "classes": [str], "shape": [int], "content": str, "vocabulary": str}


@dataclass(frozen=True)
class Fingerprint:
    """What tells one data set from another.

    Attributes:
        dataset: its name.
        classes: readable names, in their order.
        shape: ``(C, H, W)`` of an image; empty for texts.
        content: digest of the data: `Task.content` of custom data, otherwise of the training members and their labels;
            empty if it was not recorded.
        vocabulary: digest of the words of texts in the order of their ids; empty for images, or if it was not recorded.
    """

    dataset: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    content: str = ""
    vocabulary: str = ""

    @staticmethod
    def of(task: Task) -> Fingerprint:
        """Return the fingerprint of a task; it takes a second per gigabyte of a named data set."""
        content = task.content or task.train.digest
        vocabulary = "" if task.tokeniser is None else vocabulary_digest(task.tokeniser)
        return Fingerprint(task.name, task.classes, task.shape, content, vocabulary)

    @staticmethod
    def read(record: JSONObject | None, task: Task) -> Fingerprint:
        """Return the fingerprint that `record` gave; for None, from before there were any, one without digests."""
        if record is None:
            return Fingerprint(task.name, task.classes, task.shape)
        shape, classes = tuple(record["shape"]), tuple(record["classes"])
        return Fingerprint(record["dataset"], classes, shape, record["content"], record["vocabulary"])

    def record(self) -> JSONObject:
        """Return the fields as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def check(self, task: Task, what: str, remedy: str) -> str:
        """Refuse something that was made from other data than a task's.

        Args:
            task: the data that it is to be used with.
            what: was made, for messages.
            remedy: a command that makes it from these data.

        Returns:
            A line for the user where it may be used but the data are not known to be the same: another copy of a named
            data set, or no digest on record. Empty otherwise.

        Raises:
            UsageError: custom data have another content; or the data set, its classes, the shape of its images or its
                vocabulary differ.
        """
        now, custom = task.fingerprint, bool(task.content)
        same = self.content == now.content
        require(
            (custom and same) or self.dataset == now.dataset,
            f"{what} was made from {self.dataset}, not from {now.dataset}: {remedy}",
        )
        require(
            self.classes == now.classes,
            f"{what} has the classes {', '.join(self.classes)}; the data have {', '.join(now.classes)}: {remedy}",
        )
        require(
            self.shape == now.shape,
            f"{what} has images of shape {self.shape}; those of the data have {now.shape}: {remedy}",
        )
        require(
            not self.vocabulary or self.vocabulary == now.vocabulary,
            f"{what} was made with another vocabulary than that of {now.dataset} as it is now: {remedy}",
        )
        if not self.content:
            return f"{what} does not say which content of {now.dataset} it was made from: taken as the same"
        require(
            same or not custom,
            f"{what} was made from another content of {now.dataset} than its files have now: {remedy}",
        )
        return "" if same else f"{what} was made from another copy or part of {now.dataset}, whose bytes differ"
