"""Fashion-MNIST."""

from pathlib import Path

from ddcore.data.data_set import Counts, DataSet
from ddcore.data.idx import idx_task
from ddcore.data.task import Task

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def fashion_mnist(data: Path) -> Task:
    """Return Fashion-MNIST, 28x28 grey, 60,000 + 10,000, through torchvision."""
    source = "Fashion-MNIST (Xiao et al. 2017), torchvision"
    return idx_task("fashion_mnist", "FashionMNIST", CLASSES, data, source)


DATA_SET = DataSet(
    name="fashion_mnist",
    title="Fashion-MNIST",
    kind="images",
    counts=Counts(classes=10, train=60000, test=10000, smallest=5500, even=True, size=784),
    load=fashion_mnist,
    mirrored=False,
    megabytes=90,
    licence="MIT",
    citation="Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747",
)
