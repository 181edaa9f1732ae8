import torch

from ddcore.selection.scores import hardest


def test_hardest_come_first_and_ties_keep_their_order():
    score = torch.tensor([0.1, 0.9, 0.5, 0.5])
    assert hardest(score, torch.tensor([0, 2, 3]), 2).tolist() == [2, 3]
