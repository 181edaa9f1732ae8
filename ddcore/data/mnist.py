"""MNIST, 28x28 grey, 60,000 + 10,000, through torchvision."""

from functools import partial

from ddcore.data.data_set import Counts, DataSet
from ddcore.data.idx import idx_task
from ddcore.data.images import DIGIT_CLASSES

DATA_SET = DataSet(
    name="mnist",
    title="MNIST",
    kind="images",
    counts=Counts(classes=10, train=60000, test=10000, smallest=4900, even=False, size=784),
    load=partial(idx_task, "mnist", "MNIST", DIGIT_CLASSES, "MNIST (LeCun et al. 1998), torchvision"),
    mirrored=False,
    megabytes=12,
    licence="CC BY-SA 3.0",
    citation="LeCun, Bottou, Bengio & Haffner 1998, Proceedings of the IEEE 86(11)",
)
