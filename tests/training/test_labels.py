import torch

from ddcore.training.labels import Labels, blended


def test_soft_labels_can_be_blended_with_the_datas_own():
    logits = torch.tensor([[0.0, 0.0], [2.0, -2.0]])
    soft = blended(logits, torch.tensor([1, 1]), Labels("soft", 2.0, 0.5))
    expected = torch.stack([torch.tensor([0.25, 0.75]), (logits[1] / 2).softmax(0) / 2 + torch.tensor([0.0, 0.5])])
    torch.testing.assert_close((soft / 2).softmax(1), expected)
    assert torch.equal(blended(logits, torch.tensor([1, 1]), Labels("soft", 2.0)), logits)
