"""scikit-learn's bundled digits."""

from pathlib import Path

import torch

from ddcore.data.data_set import Counts, DataSet
from ddcore.data.examples import Examples
from ddcore.data.images import DIGIT_CLASSES, image_task
from ddcore.data.task import Task, others, spread


def digits(data: Path) -> Task:
    """Return the digits, 8x8 grey: 1,437 training and 360 test images. `data` is not read."""
    import numpy as np
    from sklearn.datasets import load_digits

    bundle = load_digits()
    x = torch.from_numpy(np.rint(bundle.images * (255 / 16)).astype(np.uint8))[:, None]
    whole = Examples(x, torch.from_numpy(bundle.target.astype(np.int64)))
    held = spread(whole.y, 360, "digits test")
    train = whole[others(held, len(whole))]
    return image_task("digits", DIGIT_CLASSES, train, lambda: whole[held], "scikit-learn's bundled digits")


DATA_SET = DataSet(
    name="digits",
    title="digits",
    kind="images",
    counts=Counts(classes=10, train=1437, test=360, smallest=120, even=False, size=64),
    load=digits,
    mirrored=False,
    megabytes=0,
    licence="CC BY 4.0",
    citation="Alpaydin & Kaynak 1998, UCI Machine Learning Repository",
)
