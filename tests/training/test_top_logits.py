import torch

from ddcore.training.top_logits import TOP, TopLogits

LOGITS = 3 * torch.randn(6, 120, generator=torch.Generator().manual_seed(0))


def test_probabilities_of_the_largest_and_of_the_rest_are_kept():
    kept = TopLogits.of(LOGITS)
    assert kept.shape == (6, 120) and len(kept) == 6 and (kept.top.dtype, kept.rest.dtype) == (torch.half, torch.half)
    p, wanted = kept[torch.arange(6)].softmax(1), LOGITS.softmax(1)
    largest = LOGITS.topk(TOP, dim=1).indices
    torch.testing.assert_close(p.gather(1, largest), wanted.gather(1, largest), rtol=5e-3, atol=1e-6)
    others = torch.ones(6, 120).scatter(1, largest, 0)
    torch.testing.assert_close((p * others).sum(1), (wanted * others).sum(1), rtol=1e-2, atol=1e-6)
    assert all(len(row[keep.bool()].unique()) == 1 for row, keep in zip(p, others, strict=True))


def test_indices_give_rows_in_their_order():
    kept = TopLogits.of(LOGITS).to("cpu")
    assert torch.equal(kept[torch.tensor([4, 1, 1])], kept[:][[4, 1, 1]]) and kept[2:5].shape == (3, 120)
    assert torch.equal(kept[:].argmax(1), LOGITS.argmax(1)) and kept[:].dtype == torch.float32


def test_a_certain_network_leaves_finite_numbers():
    logits = torch.zeros(2, 200)
    logits[:, 7] = 1e6
    kept = TopLogits.of(logits)
    assert kept[:].isfinite().all() and kept[:].softmax(1)[:, 7].tolist() == [1.0, 1.0]
