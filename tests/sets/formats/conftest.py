"""Members of the tiny Fashion-MNIST of `idx_data`, as other tools would hold them."""

from pathlib import Path

import pytest
import torch

from ddcore.data.registry import load_task
from ddcore.data.task import Task
from ddcore.sets.formats.importing import Details, Imported, import_set


@pytest.fixture
def fashion(idx_data: Path) -> Task:
    """Ten classes of 28x28 grey images, 20 in each."""
    return load_task("fashion_mnist", idx_data)


@pytest.fixture
def chosen(fashion: Task) -> torch.Tensor:
    """Places of 29 training members, class by class: 2 to 4 in each."""
    y = fashion.train.y
    return torch.cat([(y == k).nonzero().flatten()[: 2 + k % 3] for k in range(10)])


@pytest.fixture
def pixels(fashion: Task, chosen: torch.Tensor) -> torch.Tensor:
    """The members' pixels, uint8."""
    return fashion.train.x[chosen]


@pytest.fixture
def classes(fashion: Task, chosen: torch.Tensor) -> torch.Tensor:
    """The members' class numbers, int64."""
    return fashion.train.y[chosen]


@pytest.fixture
def as_dc(pixels: torch.Tensor) -> torch.Tensor:
    """The members as DC and MTT hold them: torchvision's ToTensor and Normalize with their constants."""
    return (pixels.float() / 255 - 0.2861) / 0.3530


@pytest.fixture
def read(fashion: Task):
    """Import a path for the tiny Fashion-MNIST."""

    def imported(path: Path, name: str = "", **details) -> Imported:
        return import_set(path, Details(fashion, **details), name)

    return imported


@pytest.fixture
def refused(read):
    """Import a path that must be refused, and return the one line."""
    from ddcore.errors import DDCoreError

    def line(path: Path, name: str = "", **details) -> str:
        with pytest.raises(DDCoreError) as caught:
            read(path, name, **details)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return line
