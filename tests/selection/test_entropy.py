import math

import torch

from ddcore.selection.entropy import entropies


def test_by_hand():
    found = entropies(torch.tensor([[0.0, 0.0], [100.0, 0.0], [math.log(3.0), 0.0]]))
    unsure = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    torch.testing.assert_close(found, torch.tensor([math.log(2), 0.0, unsure]))
