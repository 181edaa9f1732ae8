from statistics import mean

import pytest
import torch
from torch.nn import functional as F
from toys import ONE_VALIDATION, started

from ddcore.errors import UsageError
from ddcore.methods.dc import DC
from ddcore.methods.dm import DM
from ddcore.methods.dsa import DSA
from ddcore.methods.frepo import FRePo
from ddcore.methods.gradient_matching import as_published, gradient_distance
from ddcore.options import changed

SHORT = {"net": "mlp", "real_batch": 8, **ONE_VALIDATION, "inner": 2}


def short(method, **more):
    return changed(method, {**SHORT, **more})


def test_the_distance_by_hand():
    ours = (torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([5.0]))
    theirs = (torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([-5.0]))
    assert float(gradient_distance(ours, theirs)) == pytest.approx(1 - 0.5**0.5, abs=1e-5)
    kernels = (torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0)),)
    assert float(gradient_distance(kernels, tuple(-k for k in kernels))) == pytest.approx(8, abs=1e-4)


def both(run, x, step):
    return [pair for shard in run.shards(step) for pair in run.pairs(x, shard)]


@pytest.mark.parametrize("shards", [1, 8])
def test_a_steps_gradient_is_that_of_a_plain_loop(toy, shards):
    run = started(short(DC(), shards=shards), toy, 4)
    parts = [run.gradient(shard) for shard in run.shards(1)]
    assert len(parts) == min(shards, 2)
    net = run.fresh("match", 0)
    names, x = [n for n, _ in net.named_parameters()], run.x.clone().requires_grad_()
    loss = 0
    for k, pair in enumerate(both(run, x, 1)):
        y = torch.full((8,), k)
        wanted = torch.autograd.grad(F.cross_entropy(net(pair.real), y), list(net.parameters()))
        mine = F.cross_entropy(net(x[run.y == k]), torch.full((2,), k))
        found = torch.autograd.grad(mine, list(net.parameters()), create_graph=True)
        for name, a, b in zip(names, found, wanted, strict=True):
            if name.endswith("weight") and a.ndim > 1:
                for row, right in zip(a, b, strict=True):
                    loss = loss + 1 - (row * right).sum() / (row.norm() * right.norm() + 1e-6)
    assert mean(part.values["loss"] for part in parts) == pytest.approx(float(loss.detach()), rel=1e-5)
    slope = torch.stack([part.gradients["x"] for part in parts]).mean(0)
    torch.testing.assert_close(slope, torch.autograd.grad(loss, x)[0], rtol=1e-5, atol=1e-7)


def test_the_network_trains_on_the_set_and_begins_afresh_in_time(toy):
    run = started(short(DC(), outer=2), toy, 4)
    after = []
    for step in range(2):
        shards = run.shards(step)
        parts = [run.gradient(shard) for shard in shards]
        for shard, part in zip(shards, parts, strict=True):
            run.absorb(shard, part.update)
        assert not parts[1].update, "the network is trained once"
        after.append(parts[0].update)
    name = next(iter(after[0]))
    start, again = (run.fresh("match", step).state_dict()[name] for step in (0, 2))
    assert not torch.equal(after[0][name], start) and torch.equal(after[1][name], again)


@pytest.mark.parametrize("ipc, loops", [(1, (1, 1)), (5, (1, 1)), (10, (10, 50)), (50, (50, 10)), (100, (50, 10))])
def test_the_papers_loops_follow_the_members_of_a_class(ipc, loops):
    values = as_published(ipc)
    assert (values["outer"], values["inner"]) == loops and values["steps"] == 1000 * loops[0]


def test_presets_are_options_of_their_methods(toy):
    for method in (DC, DSA, DM, FRePo):
        options = changed(method(), method.preset("paper", toy, 20))
        assert options.validation.networks == 0 and options.steps >= 1000
    assert DC.preset("paper", toy, 20)["init"] == "noise" and DSA.preset("paper", toy, 20)["init"] == "random"
    with pytest.raises(UsageError, match="unknown preset of dc 'mine'; known: paper"):
        DC.preset("mine", toy, 20)


def test_changes_of_the_network_s_training_differ_from_image_to_image(toy):
    run = started(changed(DSA(), {"net": "mlp", "augment": "rotate", "inner_changes": "each"}), toy, 4)
    same = run.x[:1].repeat(3, 1, 1, 1)
    each = run._changed(same, torch.Generator().manual_seed(0))
    assert not torch.allclose(each[0], each[1])
    run = started(changed(DSA(), {"net": "mlp", "augment": "rotate"}), toy, 4)
    alike = run._changed(same, torch.Generator().manual_seed(0))
    assert torch.allclose(alike[0], alike[1])
