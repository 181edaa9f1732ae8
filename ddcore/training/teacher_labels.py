"""A teacher's answers on any set: looked up for real members, asked of its networks for made ones."""

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
    made: DistilledSet,
    task: Task,
    teacher: Teacher | None,
    folder: Path | None,
    temperature: float,
    device: torch.device,
) -> Examples | None:
    """Return a set with soft labels: its own if it has them, else a teacher's answers on its members.

    None where there is neither: no teacher was given, or its networks cannot be asked about made members (an n-gram
    model is fitted, not trained, and keeps no weights to load).

    Args:
        made: the set.
        task: the data set.
        teacher: its logits for the real members.
        folder: the teacher's run folder, whose networks answer for made members; several are averaged.
        temperature: of the teacher's labels; a set's own labels keep theirs.
        device: where to compute.

    Raises:
        DDCoreError: a network of the teacher is damaged or of another kind.
    """
    if made.soft is not None:
        return made.examples()
    if teacher is None:
        return None
    if made.indices is not None:
        return Examples(made.x, made.y, teacher.logits[made.indices], temperature)
    net = build_net(teacher.net, task, 0)
    paths = sorted(folder.glob("weights-*.safetensors")) if folder is not None else []
    if hasattr(net, "solve") or not paths:
        return None
    answers = []
    for path in paths:
        try:
            net.load_state_dict(load_tensors(path)[0])
        except RuntimeError as error:
            raise DDCoreError(f"{path} is not a {teacher.net} for {task.name}: train the teacher again") from error
        answers.append(predict(net, task, made.x, device=device))
    return Examples(made.x, made.y, torch.stack(answers).mean(0), temperature)
