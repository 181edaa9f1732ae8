"""Trained networks as others begin with them: the weights that ``train_baseline.py`` leaves in its run folder."""

from pathlib import Path

from torch import Tensor

from ddcore.data.task import Task
from ddcore.errors import UsageError
from ddcore.flat import Flat
from ddcore.nets import build_net
from ddcore.runs import load_tensors


def load_weights(folder: Path, net: str, task: Task) -> list[Tensor]:
    """Read the parameters of every network in a run folder: vectors ``(P,)`` float32, ordered by seed.

    Args:
        folder: of ``train_baseline.py``.
        net: the network's name.
        task: the data set whose members the networks are to read; it gives the shape of an image and the classes.

    Raises:
        UsageError: the folder holds no networks, or others than `net` on images of this shape.
        DDCoreError: a file is damaged.
    """
    paths = sorted(folder.glob("weights-*.safetensors"), key=lambda path: (len(path.name), path.name))
    if not paths:
        raise UsageError(f"{folder} holds no networks: make some with train_baseline.py --net {net} --out {folder}")
    flat = Flat(build_net(net, task, 0))
    found = []
    for path in paths:
        tensors, _ = load_tensors(path)
        shapes = {name: tensor.shape for name, tensor in tensors.items() if name in flat.shapes}
        if shapes != flat.shapes:
            raise UsageError(
                f"{path} is not a {net} for {task.shape} images of {len(task.classes)} classes: train one with "
                f"train_baseline.py --net {net} --size {task.shape[1]}"
            )
        found.append(flat.join(tensors).float())
    return found
