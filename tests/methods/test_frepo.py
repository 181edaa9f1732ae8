import pytest
import torch
from toys import problem, session_in, started, toy_teacher

from ddcore.draws import generator
from ddcore.methods import frepo
from ddcore.methods.frepo import FRePo, margin_loss, regress
from ddcore.nets import build_net
from ddcore.options import changed
from ddcore.runtime import under
from ddcore.synthesis.outer_loop import distilled_set
from ddcore.training.optimisers import load_moments


def test_by_hand():
    # One feature, labels with slope 2 around (2, 5): the sum of squares is 2, a ridge of 1 times it halves the slope.
    features, labels = torch.tensor([[1.0], [3.0]]), torch.tensor([[3.0], [7.0]])
    answers = regress(features, labels, torch.tensor([[2.0], [4.0]]), 1.0)
    torch.testing.assert_close(answers, torch.tensor([[5.0], [7.0]]))


def test_without_centring_the_line_passes_through_zero():
    # One feature, labels (1, 3) at (1, 3) with a ridge of half the sum of squares: slope 10 / (10 + 5).
    features, labels = torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [3.0]])
    answers = regress(features, labels, torch.tensor([[0.0], [6.0]]), 0.5, centred=False)
    torch.testing.assert_close(answers, torch.tensor([[0.0], [4.0]]))


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
    monkeypatch.setattr(frepo, "regress", lambda x, y, *_, **__: first + 0 * (x.sum() + y.sum()))
    [shard] = run.shards(0)
    draws = generator(run.problem.seed, "real", shard.step, shard.part)
    batch = toy.fit[torch.randint(len(toy.fit), (16,), generator=draws)]
    share = float((toy.train.y[batch] == 0).float().mean())
    assert 0 < share < 1 and run.gradient(shard).values["accuracy"] == share


SQUARED = {"loss": "squared error", "nets": "mlp", "pool": 2, "life": 12, "real_batch": 20}


def test_without_a_teacher_labels_begin_at_their_classes_and_learn(toy, tmp_path):
    method = changed(FRePo(), {**SQUARED, "init": "random", "steps": 30, "validation_networks": 0})
    run = started(method, toy, 4)
    assert run.decode().provenance.keys() == {"source", "began at"}
    assert run.decode().examples().regression[0].tolist() == [0.5, -0.5]
    seen = []
    session = session_in(tmp_path, lambda step, total, values: seen.append(values["loss"]))
    made = distilled_set(method, problem(toy, 4), session)
    assert sum(seen[-5:]) < sum(seen[:5]) and made.labels == "soft"
    targets = made.examples().regression
    assert not torch.equal(targets, run.soft)
    torch.testing.assert_close(
        made.examples().targets(2),
        (targets + 0.5).clamp_min(1e-7) / (targets + 0.5).clamp_min(1e-7).sum(1, keepdim=True),
    )


def test_features_are_centred_but_in_the_paper_s_form(toy, monkeypatch):
    seen = []
    monkeypatch.setattr(frepo, "regress", lambda *each, centred: seen.append(centred) or regress(*each, centred))
    for options, teacher in (({"nets": "mlp", "pool": 1}, toy_teacher(toy)), ({**SQUARED, "init": "random"}, None)):
        run = started(changed(FRePo(), options), toy, 4, teacher)
        run.gradient(run.shards(0)[0])
    assert seen == [True, False]


def test_the_pool_is_trained_by_adam_on_the_squared_error(toy):
    run = started(changed(FRePo(), {**SQUARED, "init": "random"}), toy, 4)
    [shard] = run.shards(0)
    before = {name: tensor.clone() for name, tensor in run.members[shard.part].items()}
    after = run.gradient(shard).update
    net = build_net("mlp", toy, 0)
    net.load_state_dict(under("net", before))
    optimiser = torch.optim.Adam(net.parameters(), 3e-4)
    load_moments(optimiser, under("optimiser", before))
    (((net(run.x) - run.soft) ** 2).mean() / 2).backward()
    optimiser.step()
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(after[f"net.{name}"], tensor, rtol=1e-5, atol=1e-7)
    assert int(after["age"]) == int(before["age"]) + 1


def test_the_margin_of_labels_counts_up_to_one_over_the_classes():
    labels = torch.tensor([[0.5, 0.0], [0.1, 0.0]])
    assert float(margin_loss(labels)) == pytest.approx(-(0.5 + 0.1) / 2)
    assert float(margin_loss(torch.tensor([[0.9, 0.0]]))) == -0.5
