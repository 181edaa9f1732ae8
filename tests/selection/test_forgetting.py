import torch

from ddcore.selection.forgetting import forgetting_score


def test_by_hand():
    # Members: always right; forgotten once; forgotten twice; never right. Four rounds.
    right = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 0]], dtype=torch.bool)
    assert forgetting_score(right).tolist() == [0.0, 1.2, 2.4, 4.8]


def test_a_member_learned_late_is_easier_than_one_forgotten():
    right = torch.tensor([[0, 1], [0, 0], [1, 1]], dtype=torch.bool)
    late, forgotten = forgetting_score(right).tolist()
    assert late < forgotten
