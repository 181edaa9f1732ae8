import math

import pytest
import torch

from ddcore.data import siamese
from ddcore.data.siamese import STRATEGIES, augmented, drawn, strategies
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


def test_changes_keep_to_their_strengths_on_both_sides(monkeypatch):
    placings, plain = [], siamese.placed
    monkeypatch.setattr(siamese, "placed", lambda *placing: placings.append(placing) or plain(*placing))
    x = images(1, 1, 16, 16)
    for seed in range(60):
        for name in ("flip", "scale", "rotate", "crop"):
            augmented(x, (name,), key(seed))
    flips, scales, turns, shifts = (torch.cat([each[k] for each in placings[k::4]]) for k in range(4))
    assert 20 < int(flips.sum()) < 40
    for values, low, high in ((scales, 1 / 1.2, 1.2), (turns, -math.radians(15), math.radians(15))):
        assert low <= float(values.min()) < low + 0.05 and high - 0.05 < float(values.max()) <= high
    assert shifts.unique().tolist() == [-2.0, -1.0, 0.0, 1.0, 2.0]
    still = (torch.zeros(1, dtype=torch.bool), torch.ones(1, 2), torch.zeros(1), torch.zeros(1, 2))
    for number, placing in enumerate(placings):
        others = [k for k in range(4) if k != number % 4]
        assert all(torch.equal(placing[k], still[k]) for k in others), "each kind changes one thing"


def test_colours_by_hand():
    x = images(2, 3, 4, 4)
    changed = augmented(x, ("colour",), key(5))
    torch.randint(1, (), generator=(draws := key(5)))
    brightness, saturation, contrast = torch.rand(3, generator=draws).tolist()
    grey = (x + brightness - 0.5).mean(1, keepdim=True)
    bright = grey + 2 * saturation * (x + brightness - 0.5 - grey)
    middle = bright.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(changed, middle + (0.5 + contrast) * (bright - middle))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 7, 9)], ids=str)
def test_transformations_together_are_those_in_turn(shape):
    changes = drawn(STRATEGIES, shape, [key(seed) for seed in range(20)])
    assert set(changes.kinds) == set(STRATEGIES)
    counts = [1 + k % 3 for k in range(20)]
    of = torch.arange(20).repeat_interleave(torch.tensor(counts))
    x = images(len(of), *shape)
    lots = [sum(counts[:7]), sum(counts[7:])]
    leaf = x.clone().requires_grad_()
    made, wanted = changes.together(leaf, of, lots), changes.in_turn(leaf, counts)
    torch.testing.assert_close(made, wanted)
    assert torch.equal(changes.together(x[: lots[0]], of[: lots[0]], lots[:1]), made[: lots[0]]), "lots stand alone"
    up = images(len(of), *shape).flip(0)
    torch.testing.assert_close(*(torch.autograd.grad(each, leaf, up)[0] for each in (made, wanted)))


def test_each_transformation_is_that_of_its_key():
    x = images(5, 3, 8, 8)
    changes = drawn(STRATEGIES, x.shape, [key(seed) for seed in range(5)])
    made = changes.in_turn(x, [1] * 5)
    for k in range(5):
        torch.testing.assert_close(made[k : k + 1], augmented(x[k : k + 1], STRATEGIES, key(k)))


@pytest.mark.parametrize("side, first, last", [(8, (0, 2), (6, 8)), (10, (0, 3), (7, 10))])
def test_a_cutout_has_its_centre_on_the_image_or_at_its_end(side, first, last):
    assert siamese.span(side, 0.0) == slice(*first) and siamese.span(side, 0.999) == slice(*last)
