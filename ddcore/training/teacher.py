"""A teacher: the logits and features of trained networks for every training member."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ddcore.data import Task
from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import load_tensors, save_tensors


@dataclass(frozen=True)
class Teacher:
    """A teacher's outputs on the whole training set.

    Attributes:
        logits: ``(N, C)`` float32 for all N training members, in their order.
        features: ``(N, D)`` float32 of the last hidden layer, or None if the network has none.
        net: the network's name.
        path: name of its run folder.
        folder: its run folder, which holds the networks; None for a teacher that was not read from one.
    """

    logits: Tensor
    features: Tensor | None
    net: str
    path: str
    folder: Path | None = None

    def save(self, folder: Path) -> None:
        """Write ``teacher.safetensors`` into a run folder."""
        tensors = {"logits": self.logits}
        if self.features is not None:
            tensors["features"] = self.features.half()
        save_tensors(folder / "teacher.safetensors", tensors, {"net": self.net})


def load_teacher(folder: Path, task: Task) -> Teacher:
    """Read a teacher from the run folder of ``train_baseline.py``.

    Raises:
        UsageError: the folder holds no teacher, or one of another data set.
    """
    path = folder / "teacher.safetensors"
    if not path.is_file():
        raise UsageError(f"{folder} holds no teacher: train one with train_baseline.py --part fit --out {folder}")
    tensors, notes = load_tensors(path)
    logits, features = tensors.get("logits"), tensors.get("features")
    if logits is None:
        raise DDCoreError(f"{path} holds no logits: it was not written by train_baseline.py")
    if logits.shape != (len(task.train), len(task.classes)):
        wanted = (len(task.train), len(task.classes))
        raise UsageError(
            f"{folder} is a teacher of other data: its logits are {tuple(logits.shape)}, {task.name} needs {wanted}"
        )
    features = None if features is None else features.float()
    return Teacher(logits, features, notes.get("net", "unknown"), folder.name, folder)
