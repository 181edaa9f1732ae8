"""Fashion-MNIST, 28x28 grey, 60,000 + 10,000, through torchvision."""

from functools import partial

from ddcore.data.data_set import Counts, DataSet
from ddcore.data.idx import idx_task

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
DATA_SET = DataSet(
    name="fashion_mnist",
    title="Fashion-MNIST",
    kind="images",
    counts=Counts(classes=10, train=60000, test=10000, smallest=5500, even=True, size=784),
    load=partial(idx_task, "fashion_mnist", "FashionMNIST", CLASSES, "Fashion-MNIST (Xiao et al. 2017), torchvision"),
    mirrored=False,
    megabytes=90,
    licence="MIT",
    citation="Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747",
)
