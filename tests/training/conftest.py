import pytest
import torch

from ddcore.data.examples import Examples
from ddcore.data.images import image_task
from ddcore.draws import generator


@pytest.fixture(scope="module")
def task():
    """Two classes of 8x8 images: the upper or the lower half is bright."""
    y = torch.arange(40) % 2
    noise = torch.randint(0, 80, (40, 1, 8, 8), generator=generator("toy"))
    bright = torch.zeros(2, 1, 8, 8, dtype=torch.int64)
    bright[0, :, :4] = 150
    bright[1, :, 4:] = 150
    train = Examples((noise + bright[y]).to(torch.uint8), y)
    return image_task("toy", ("up", "down"), train, lambda: train, "made here")
