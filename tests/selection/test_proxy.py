import torch

from ddcore.selection.proxy import error_norm


def test_by_hand():
    logits = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    norm = error_norm(logits, torch.tensor([0, 0, 0]))
    torch.testing.assert_close(norm, torch.tensor([0.5**0.5, 0.0, 2**0.5]))
