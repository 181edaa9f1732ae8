"""A teacher's logits on any set: read for real members, computed by its networks for synthetic ones."""

from pathlib import Path

import torch

from ddcore.data import Examples, Task
from ddcore.errors import DDCoreError
from ddcore.nets import build_net
from ddcore.runtime import load_tensors
from ddcore.sets import DistilledSet
from ddcore.training.loop import predict
from ddcore.training.teacher import Teacher


def soft_examples(
    small: DistilledSet,
    task: Task,
    teacher: Teacher | None,
    folder: Path | None,
    temperature: float,
    device: torch.device,
) -> Examples | None:
    """Return a set with soft labels: its own if it has them, otherwise a teacher's on its members.

    None if there are neither: there is no teacher, or its networks cannot read synthetic members (an n-gram model is
    fitted, not trained, and its folder holds no weights to load).

    Args:
        small: the set.
        task: the data set.
        teacher: its logits for the real members.
        folder: the teacher's run folder, whose networks read synthetic members; several are averaged.
        temperature: of the teacher's labels; a set's own labels keep theirs.
        device: where to compute.

    Raises:
        DDCoreError: a network of the teacher is damaged or of another kind.
    """
    if small.soft is not None:
        return small.examples()
    if teacher is None:
        return None
    if small.indices is not None:
        return Examples(small.x, small.y, teacher.logits[small.indices], temperature)
    net = build_net(teacher.net, task, 0)
    paths = sorted(folder.glob("weights-*.safetensors")) if folder is not None else []
    if hasattr(net, "solve") or not paths:
        return None
    logits = []
    for path in paths:
        try:
            net.load_state_dict(load_tensors(path)[0])
        except RuntimeError as error:
            raise DDCoreError(f"{path} is not a {teacher.net} for {task.name}: train the teacher again") from error
        logits.append(predict(net, task, small.x, device=device))
    return Examples(small.x, small.y, torch.stack(logits).mean(0), temperature)
