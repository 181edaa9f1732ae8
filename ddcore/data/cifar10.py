"""CIFAR-10, 32x32 colour, 50,000 + 10,000, from parquet files in the Hugging Face layout."""

from functools import partial

from ddcore.data.data_set import Counts, DataSet
from ddcore.data.parquet import Publication, parquet_images

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
DATA_SET = DataSet(
    name="cifar10",
    title="CIFAR-10",
    kind="images",
    counts=Counts(classes=10, train=50000, test=10000, smallest=4500, even=True, size=1024),
    load=partial(
        parquet_images,
        Publication("cifar10", "uoft-cs/cifar10", "plain_text"),
        "label",
        CLASSES,
        "CIFAR-10 (Krizhevsky 2009), Hugging Face parquet",
    ),
    mirrored=True,
    megabytes=145,
    licence="none stated",
    citation="Krizhevsky 2009, technical report, University of Toronto",
)
