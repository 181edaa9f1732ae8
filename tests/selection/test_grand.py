import torch
from torch import nn
from torch.nn import functional as F

from ddcore.selection.grand import gradient_norms


def test_each_members_gradient_is_its_own():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    x, y = torch.randn(5, 1, 4, 4), torch.tensor([0, 1, 1, 0, 1])
    one_by_one = []
    for k in range(5):
        net.zero_grad()
        F.cross_entropy(net(x[k : k + 1]), y[k : k + 1]).backward()
        one_by_one.append(torch.cat([p.grad.flatten() for p in net.parameters()]).norm())
    torch.testing.assert_close(gradient_norms(net, x, y), torch.stack(one_by_one))
