import torch

from ddcore.selection.features import Blocks
from ddcore.selection.herding import herd


def test_by_hand():
    # The mean is 2. The nearest is 3; the partner that brings the mean of two nearest to 2 is 0 (mean 1.5); then 5.
    x = torch.tensor([[0.0], [0.0], [3.0], [5.0]])
    assert herd(Blocks.of(x), 3).tolist() == [2, 0, 3]


def test_the_running_mean_comes_close():
    x = torch.randn(300, 5, generator=torch.Generator().manual_seed(0))
    herded = x[herd(Blocks.of(x), 30)].mean(0) - x.mean(0)
    assert herded.norm() < 0.1 * (x[:30].mean(0) - x.mean(0)).norm()
