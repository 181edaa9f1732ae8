"""Accuracies published by others; tables show them apart from those measured here."""

from dataclasses import dataclass

HARD, SOFT, MULTI, UNSTATED = "hard labels", "soft or learned labels", "multi-formation", "not stated"
CLASSES = (HARD, SOFT, MULTI, UNSTATED)

PAPERS = {
    "random": "a baseline of the papers",
    "herding": "a baseline of the papers",
    "DC": "Zhao, Mopuri & Bilen 2021",
    "DSA": "Zhao & Bilen 2021",
    "DM": "Zhao & Bilen 2023",
    "MTT": "Cazenavette et al. 2022",
    "IDC-I": "Kim et al. 2022",
    "IDC": "Kim et al. 2022",
    "KIP": "Nguyen et al. 2021",
    "FRePo": "Zhou, Nezhadarya & Ba 2022",
    "RCIG": "Loo et al. 2023",
    "RememberThePast": "Deng & Russakovsky 2022",
    "DD": "Wang et al. 2018",
    "RaT-BPTT": "Feng et al. 2024",
    "AT-BPTT": "its paper",
    "FreD": "Shin, Shin & Moon 2023",
    "NCFM": "Wang et al. 2025",
    "DATM": "Guo et al. 2024",
    "MPS2U": "a student report",
    "MPS2": "a student report",
    "mutual information": "a student report",
    "gradient matching of the report": "a student report",
    "the whole training set": "a baseline of the papers",
}
# Methods that ddcore has, by the names of their papers.
ENTRIES = {"DC": "dc", "DSA": "dsa", "DM": "dm", "MTT": "mtt", "FRePo": "frepo", "KIP": "krr", "RaT-BPTT": "rat-bptt"}
# Protocols that published figures were measured under, for methods whose protocol ddcore has.
PROTOCOL_OF = {"DC": "dc", "DSA": "dsa", "DM": "dsa", "FRePo": "frepo", "RCIG": "rcig"}


@dataclass(frozen=True)
class Published:
    """One published accuracy.

    Attributes:
        dataset: its name in ddcore.
        method: its name in the paper.
        ipc: images per class; 0 for the whole training set.
        accuracy: on the test set, in percent.
        kind: one of `CLASSES`.
        net: the network that was trained.
        memory: quoted from memory, not checked against the paper.
        note: further conditions.
    """

    dataset: str
    method: str
    ipc: int
    accuracy: float
    kind: str
    net: str
    memory: bool = False
    note: str = ""

    @property
    def protocol(self) -> str:
        """The protocol that it was measured under, by its name in ddcore; empty if that has no such protocol."""
        return PROTOCOL_OF.get(self.method, "")

    @property
    def shown(self) -> str:
        """The accuracy as text, with a star if quoted from memory."""
        return f"{self.accuracy:.1f}{'*' * self.memory}"


def _row(
    dataset: str, method: str, figures: tuple[float, ...], kind: str, net: str, memory: bool = False
) -> list[Published]:
    """Return accuracies at 1, 10 and 50 images per class."""
    ipcs = (1, 10, 50)
    return [Published(dataset, method, n, f, kind, net, memory) for n, f in zip(ipcs, figures, strict=True)]


def _report(dataset: str, figures: dict[str, float]) -> list[Published]:
    return [Published(dataset, method, 50, f, UNSTATED, "not stated") for method, f in figures.items()]


_F, _C, _M, _S, _NET = "fashion_mnist", "cifar10", "mnist", "svhn", "ConvNet of depth 3"
_KNOWN = "known initial weights"

PUBLISHED: tuple[Published, ...] = (
    *_row(_F, "random", (51.4, 73.8, 82.5), HARD, _NET, True),
    *_row(_F, "herding", (67.0, 71.1, 71.9), HARD, _NET, True),
    *_row(_F, "DC", (70.5, 82.3, 83.6), HARD, _NET),
    *_row(_F, "DSA", (70.6, 84.6, 88.7), HARD, _NET),
    *_row(_F, "DM", (71.5, 83.6, 88.2), HARD, _NET, True),
    *_row(_F, "MTT", (75.1, 87.2, 88.3), HARD, _NET, True),
    *_row(_F, "IDC-I", (70.7, 85.3, 89.1), HARD, _NET),
    *_row(_F, "IDC", (81.0, 86.0, 86.2), MULTI, _NET),
    Published(_F, "FreD", 1, 84.6, MULTI, _NET),
    Published(_F, "FreD", 10, 89.1, MULTI, _NET),
    *_row(_F, "KIP", (73.8, 86.8, 87.8), SOFT, _NET),
    *_row(_F, "FRePo", (75.6, 86.2, 89.6), SOFT, _NET, True),
    *_row(_F, "RCIG", (79.8, 88.5, 90.2), SOFT, _NET, True),
    *_row(_F, "RememberThePast", (88.5, 90.0, 91.2), MULTI, _NET, True),
    Published(_F, "the whole training set", 0, 93.5, HARD, _NET, True),
    *_report(_F, {"MPS2U": 77, "mutual information": 77, "MPS2": 58, "gradient matching of the report": 83}),
    Published(_M, "DD", 1, 93.8, HARD, "LeNet", note=_KNOWN),
    Published(_M, "DD", 10, 79.5, HARD, "LeNet", note="random weights, ± 8.1"),
    *_row(_M, "DC", (91.7, 97.4, 98.8), HARD, _NET),
    *_row(_M, "DSA", (88.7, 97.8, 99.2), HARD, _NET),
    *_row(_M, "KIP", (90.1, 97.5, 98.4), SOFT, _NET),
    *_report(_M, {"MPS2U": 95, "mutual information": 88, "MPS2": 75, "gradient matching of the report": 98}),
    Published(_C, "DD", 10, 54.0, HARD, "AlexNet-like", note=_KNOWN),
    Published(_C, "DD", 10, 36.8, HARD, "AlexNet-like", note="random weights, ± 1.2"),
    *_row(_S, "DC", (31.2, 76.1, 82.3), HARD, _NET),
    *_row(_S, "DSA", (27.5, 79.2, 84.4), HARD, _NET),
    *_row(_S, "DM", (21.6, 72.8, 82.6), HARD, _NET),
    *_row(_S, "FreD", (82.2, 89.5, 90.3), MULTI, _NET),
    *_row(_S, "KIP", (57.4, 75.1, 80.4), SOFT, _NET),
    *_row(_C, "DC", (28.3, 44.9, 53.9), HARD, _NET),
    *_row(_C, "DM", (26.0, 48.9, 63.0), HARD, _NET),
    *_row(_C, "MTT", (46.3, 65.3, 71.6), HARD, _NET),
    *_row(_C, "FRePo", (46.8, 65.5, 71.7), SOFT, _NET),
    *_row(_C, "RCIG", (53.9, 69.1, 73.5), SOFT, _NET),
    *_row(_C, "DATM", (46.9, 66.8, 76.1), SOFT, _NET),
    *_row(_C, "RaT-BPTT", (53.2, 69.4, 75.3), HARD, _NET),
    *_row(_C, "AT-BPTT", (54.4, 72.4, 78.7), HARD, _NET),
    *_row(_C, "NCFM", (49.5, 71.8, 77.4), MULTI, _NET),
    *_row(_C, "FreD", (60.6, 70.3, 75.8), MULTI, _NET),
    *_report(_C, {"MPS2U": 31, "mutual information": 23, "MPS2": 31, "gradient matching of the report": 53}),
)


def published(dataset: str, ipc: int | None) -> list[Published]:
    """Return the published accuracies of a data set at `ipc` images per class and on its whole training set."""
    return [each for each in PUBLISHED if each.dataset == dataset and each.ipc in (0, ipc)]
