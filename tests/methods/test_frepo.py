import torch
from toys import started, toy_teacher

from ddcore.draws import generator
from ddcore.methods import frepo
from ddcore.methods.frepo import FRePo, regress
from ddcore.options import changed


def test_by_hand():
    # One feature, labels with slope 2 around (2, 5): the sum of squares is 2, a ridge of 1 times it halves the slope.
    features, labels = torch.tensor([[1.0], [3.0]]), torch.tensor([[3.0], [7.0]])
    answers = regress(features, labels, torch.tensor([[2.0], [4.0]]), 1.0)
    torch.testing.assert_close(answers, torch.tensor([[5.0], [7.0]]))


def test_both_forms_agree():
    draws = torch.Generator().manual_seed(0)
    wide, labels, real = (torch.randn(n, d, generator=draws, dtype=torch.float64) for n, d in ((5, 5), (5, 3), (4, 5)))
    primal = regress(torch.cat([wide, wide]), torch.cat([labels, labels]), real, 0.1)
    # Dimensions that are always zero turn the same problem into the kernel form; the mean square halves per each.
    pad = torch.zeros(1, 15, dtype=torch.float64)
    wide20, real20 = torch.cat([wide, pad.expand(5, 15)], 1), torch.cat([real, pad.expand(4, 15)], 1)
    kernel = regress(torch.cat([wide20, wide20]), torch.cat([labels, labels]), real20, 0.4)
    torch.testing.assert_close(primal, kernel)


def test_the_gradient_is_right():
    draws = torch.Generator().manual_seed(1)
    features, labels, real = (
        torch.randn(n, d, generator=draws, dtype=torch.float64) for n, d in ((6, 4), (6, 2), (3, 4))
    )
    inputs = (features.requires_grad_(), labels.requires_grad_())
    # The penalty's own size is held fixed in the gradient, so the labels alone are compared with differences.
    assert torch.autograd.gradcheck(lambda y: regress(features.detach(), y, real, 0.1), (inputs[1],))
    regress(*inputs, real, 0.1).square().sum().backward()
    assert features.grad is not None and features.grad.isfinite().all() and features.grad.abs().max() > 0


def test_a_step_takes_as_many_networks_of_each_kind_as_asked_for_and_none_twice(toy):
    short = {"nets": "convnet,mlp", "pool": 3, "life": 12}
    for networks, taken in ((1, 2), (3, 6), (9, 6)):
        run = started(changed(FRePo(), {**short, "networks": networks}), toy, 4, toy_teacher(toy))
        for step in range(4):
            members = [shard.part for shard in run.shards(step)]
            assert len(set(members)) == len(members) == taken
            assert sorted({member % 2 for member in members}) == [0, 1]


def test_a_shard_says_the_share_of_right_answers(toy, monkeypatch):
    run = started(changed(FRePo(), {"nets": "mlp", "pool": 1, "real_batch": 16}), toy, 4, toy_teacher(toy))
    first = torch.tensor([5.0, 0.0]).expand(16, 2)
    monkeypatch.setattr(frepo, "regress", lambda x, y, real, ridge: first + 0 * (x.sum() + y.sum()))
    [shard] = run.shards(0)
    draws = generator(run.problem.seed, "real", shard.step, shard.part)
    batch = toy.fit[torch.randint(len(toy.fit), (16,), generator=draws)]
    share = float((toy.train.y[batch] == 0).float().mean())
    assert 0 < share < 1 and run.gradient(shard).values["accuracy"] == share
