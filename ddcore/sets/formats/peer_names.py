"""What other tools call the data sets."""

PEER_NAMES = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "svhn": "SVHN",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}


def peer_name(dataset: str) -> str:
    """Return the name of a data set in DC, MTT and their heirs; a custom one keeps its own."""
    return PEER_NAMES.get(dataset, dataset)
