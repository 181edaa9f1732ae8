import pytest
import torch

from ddcore.data.siamese import STRATEGIES, augmented, strategies
from ddcore.errors import UsageError


def key(seed):
    return torch.Generator().manual_seed(seed)


def images(n, *shape):
    return torch.randn(n, *shape, generator=key(0))


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 7, 7)], ids=str)
def test_every_member_is_changed_in_the_same_way_and_in_proportion_to_its_pixels(name, shape):
    x = images(4, *shape)
    for seed in range(4):
        changed = augmented(x, (name,), key(seed))
        assert changed.shape == x.shape and changed.isfinite().all()
        torch.testing.assert_close(changed[2:], augmented(x[2:], (name,), key(seed)))
        middle = (augmented(x[:2], (name,), key(seed)) + augmented(x[2:], (name,), key(seed))) / 2
        torch.testing.assert_close(augmented((x[:2] + x[2:]) / 2, (name,), key(seed)), middle, rtol=1e-4, atol=1e-5)


def test_each_change_changes_something():
    x = images(2, 3, 8, 8)
    for name in STRATEGIES:
        assert any(not torch.allclose(augmented(x, (name,), key(seed)), x) for seed in range(8)), name


def test_flips_mirror_and_crops_shift_whole_pixels():
    x = images(1, 1, 8, 8)
    flipped = {tuple(augmented(x, ("flip",), key(seed)).flatten().tolist()) for seed in range(20)}
    assert flipped == {tuple(x.flatten().tolist()), tuple(x.flip(3).flatten().tolist())}
    for seed in range(5):
        moved = augmented(x, ("crop",), key(seed))
        assert set(moved.flatten().tolist()) <= {0.0, *x.flatten().tolist()}


def test_cutout_takes_at_most_a_quarter():
    shares = [float((augmented(torch.ones(1, 1, 8, 8), ("cutout",), key(s)) == 0).float().mean()) for s in range(20)]
    assert min(shares) > 0 and max(shares) == 0.25


def test_the_gradient_reaches_the_pixels():
    x = images(2, 3, 8, 8).requires_grad_()
    for name in STRATEGIES:
        (slope,) = torch.autograd.grad(augmented(x, (name,), key(1)).square().sum(), x)
        assert slope.abs().sum() > 0


def test_names():
    assert strategies("none") == () and strategies("flip, colour") == ("flip", "colour")
    assert augmented(images(1, 1, 4, 4), (), key(0)).shape == (1, 1, 4, 4)
    with pytest.raises(UsageError, match="'mirror' is unknown; known: colour, crop"):
        strategies("flip,mirror")
