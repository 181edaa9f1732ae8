import math

import pytest
import torch
from sklearn.feature_selection import mutual_info_classif

from ddcore.selection import information
from ddcore.selection.features import Blocks
from ddcore.selection.information import centred, local_information, principal


def overlapping(n: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    """Three classes of unequal size on a line, that overlap."""
    draws = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 6 // 2 + (torch.arange(n) % 6 == 5)
    return torch.randn(n, 1, generator=draws, dtype=torch.float64) + 1.2 * y[:, None], y


@pytest.mark.parametrize("k", [1, 3, 10])
def test_the_mean_is_scikit_learns_estimate(k):
    x, y = overlapping()
    x = torch.cat([x, x.sin()], 1)
    # scikit-learn scales each feature and adds noise of 1e-10 of its size: that may move a count by very few.
    expected = mutual_info_classif(x.numpy(), y.numpy(), discrete_features=False, n_neighbors=k, random_state=0)
    found = [local_information(x[:, j : j + 1], y, k).mean().item() for j in range(2)]
    assert found == pytest.approx(expected.tolist(), abs=1e-6)


def test_terms_by_hand():
    # Nearest of its class: 0 - 1 (distance 1), 3 - 4. Nearer than that, itself included: 1 each, but for the last
    # two classes' members at 3 and 3.4: row 2's neighbour in class is at 1, and row 4 lies in between.
    x = torch.tensor([[0.0], [1.0], [3.0], [4.0], [3.4], [9.0]])
    y = torch.tensor([0, 0, 1, 1, 2, 2])
    near = torch.tensor([1, 1, 2, 2, 4, 1])
    # Row 4's neighbour is at 5.6: rows 1, 2, 3, 0 are nearer, and itself. Row 5's is at 5.6, too: row 3, at 5.
    near[4], near[5] = 5, 2
    psi = torch.special.digamma
    expected = psi(torch.tensor(6.0)) - psi(torch.tensor(2.0)) + psi(torch.tensor(1.0)) - psi(near.double())
    torch.testing.assert_close(local_information(x, y, 1), expected.double(), rtol=1e-6, atol=1e-6)


def test_a_wrong_label_has_negative_information_and_a_pure_place_has_nearly_all():
    draws = torch.Generator().manual_seed(1)
    y = torch.arange(400) % 4
    x = torch.randn(400, 3, generator=draws) + 20 * torch.nn.functional.one_hot(y, 4)[:, :3]
    y[0] = 1
    terms = local_information(x, y, 5)
    assert terms[0] < 0
    assert terms[50:].mean().item() == pytest.approx(math.log(4), abs=0.05)


def test_a_class_of_one_and_small_classes():
    x, y = overlapping(30)
    y[0] = 7
    assert local_information(x, y, 1000)[0] == 0
    assert local_information(x, y, 1000).isfinite().all()
    assert local_information(x[:2], torch.tensor([0, 1]), 3).tolist() == [0, 0]


def test_principal_directions_keep_the_distances():
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(2)) @ torch.diag(torch.tensor([9.0, 4, 1, 0, 0, 0]))
    kept = principal(Blocks.of(x), 3)
    torch.testing.assert_close(torch.cdist(kept, kept), torch.cdist(x, x), rtol=1e-3, atol=1e-2)
    assert kept.var(0).tolist() == sorted(kept.var(0).tolist(), reverse=True)
    assert principal(Blocks.of(x), 64).shape == (50, 6)


def test_centred_by_hand():
    x = Blocks.of(torch.tensor([[0.0, 1.0], [4.0, 1.0]]))
    assert [rows.tolist() for _, rows in centred(x)] == [[[-1, 0], [1, 0]]]
    assert centred(Blocks.of(torch.tensor([[5.0, 5.0]])))[0].tolist() == [0, 0]


def test_of_many_members_each_is_compared_with_a_part(monkeypatch):
    draws = torch.Generator().manual_seed(1)
    y = torch.arange(900) % 3
    y[:2] = 4  # a class of which nobody, one or both are drawn
    x = torch.randn(900, 3, generator=draws) + 1.5 * torch.nn.functional.one_hot(y, 5)[:, :3]
    whole = local_information(x, y, 10)
    monkeypatch.setattr(information, "MOST", 300)
    part = local_information(x, y, 10)
    assert part.isfinite().all() and torch.equal(part, local_information(x, y, 10))
    assert float(torch.corrcoef(torch.stack([whole[2:], part[2:]]))[0, 1]) > 0.6
    assert float(whole.mean()) == pytest.approx(float(part.mean()), abs=0.1)
    monkeypatch.setattr(information, "MOST", 900)
    assert torch.equal(local_information(x, y, 10), whole)


def test_a_member_that_was_not_drawn_counts_as_one_of_those_compared(monkeypatch):
    # Rows 0 and 1 of each class are drawn. Row 2 has its class's nearest at distance 1, and nobody nearer but itself.
    monkeypatch.setattr(information, "MOST", 4)
    monkeypatch.setattr(information, "permutation", lambda n, *key: torch.tensor([0, 1, 3, 4, 2, 5]))
    x, y = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]), torch.tensor([0, 0, 0, 1, 1, 1])
    psi = torch.special.digamma
    terms = local_information(x, y, 1)
    five, four, three, two, one = (psi(torch.tensor(float(n), dtype=torch.float64)) for n in (5, 4, 3, 2, 1))
    torch.testing.assert_close(terms[2], five - three + one - one)
    torch.testing.assert_close(terms[0], four - two + one - one)
