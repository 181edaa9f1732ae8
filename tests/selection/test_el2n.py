import torch

from ddcore.selection.el2n import error_norm
from ddcore.selection.quotas import hardest


def test_by_hand():
    logits = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    norm = error_norm(logits, torch.tensor([0, 0, 0]))
    torch.testing.assert_close(norm, torch.tensor([0.5**0.5, 0.0, 2**0.5]))


def test_hardest_come_first_and_ties_keep_their_order():
    score = torch.tensor([0.1, 0.9, 0.5, 0.5])
    assert hardest(score, torch.tensor([0, 2, 3]), 2).tolist() == [2, 3]
