"""Published recipes against the peers' networks and steps, which are built here once more from their facts."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from ddcore.data import Examples, image_task, logits_of
from ddcore.draws import scoped
from ddcore.nets import ConvNet, build_net
from ddcore.nets.convnet_frepo import ConvNetFRePo
from ddcore.runtime import Checkpoints
from ddcore.training import Setting, train
from ddcore.training.protocols import PROTOCOLS

STEPS, WIDTH = 20, 16


def key(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def task():
    pixels = torch.randint(0, 256, (10, 1, 28, 28), generator=key(3)).to(torch.uint8)
    train = Examples(pixels, torch.arange(10))
    return image_task("toy", tuple("abcdefghij"), train, lambda: train, "made here")


def dc_net(width=128):
    """The ConvNet of DC's networks.py: with biases, and group norm of one channel a group as instance norm."""
    layers, below = [], 1
    for block in range(3):
        layers += [nn.Conv2d(below, width, 3, padding=3 if block == 0 else 1), nn.GroupNorm(width, width, affine=True)]
        layers += [nn.ReLU(), nn.AvgPool2d(2, 2)]
        below = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * 4 * 4, 10))


def frepo_net(width=128):
    """The network of FRePo's and RCIG's evaluation: no norm, each block twice as wide."""
    sizes = [1, width, 2 * width, 4 * width]
    layers = []
    for block in range(3):
        layers += [nn.Conv2d(sizes[block], sizes[block + 1], 3, padding=3 if block == 0 else 1), nn.ReLU()]
        layers += [nn.AvgPool2d(2, 2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width * 16, 10))


def twin(peer, ours):
    """Copy our weights into the peer's network, whose convolutions may have biases that ours do not need."""
    pairs = []
    mine = dict(ours.named_parameters())
    norms = [module for module in peer if isinstance(module, nn.GroupNorm)]
    for number, module in enumerate(module for module in peer if isinstance(module, nn.Conv2d)):
        if norms:
            pairs += [(module.weight, mine[f"blocks.{number}.convolution.weight"])]
            pairs += [(norms[number].weight, mine[f"blocks.{number}.gain"])]
            pairs += [(norms[number].bias, mine[f"blocks.{number}.offset"])]
        else:
            pairs += [(getattr(module, name), mine[f"convolutions.{number}.{name}"]) for name in ("weight", "bias")]
    pairs += [(peer[-1].weight, mine["classifier.weight"]), (peer[-1].bias, mine["classifier.bias"])]
    with torch.no_grad():
        for theirs, own in pairs:
            theirs.copy_(own)
    return pairs


def sgd_steps(peer, x, y, turn, restart):
    """Epochs of SGD over one batch; at a tenth of the rate, with a new optimiser or without, after the turning one."""
    optimiser = torch.optim.SGD(peer.parameters(), lr=0.01, momentum=0.9, weight_decay=0.0005)
    for epoch in range(STEPS):
        optimiser.zero_grad()
        nn.CrossEntropyLoss()(peer(x), y).backward()
        optimiser.step()
        if epoch == turn - 1 and restart:
            optimiser = torch.optim.SGD(peer.parameters(), lr=0.001, momentum=0.9, weight_decay=0.0005)
        elif epoch == turn - 1:
            optimiser.param_groups[0]["lr"] = 0.001


def adam_steps(peer, x, y, peak, warm):
    """Adam as its paper has it, by hand: warm-up from 0, then half a cosine to a hundredth; squared error / 2."""
    target = nn.functional.one_hot(y, 10).to(x) - 0.1
    first, second = ([torch.zeros_like(p) for p in peer.parameters()] for _ in range(2))
    for step in range(STEPS):
        share = (step - warm) / (STEPS - warm)
        rate = peak * step / warm if step < warm else peak * (0.99 * (1 + math.cos(math.pi * share)) / 2 + 0.01)
        loss = (0.5 * (peer(x) - target) ** 2).mean()
        slopes = torch.autograd.grad(loss, list(peer.parameters()))
        with torch.no_grad():
            for p, g, m, v in zip(peer.parameters(), slopes, first, second, strict=True):
                m.mul_(0.9).add_(0.1 * g)
                v.mul_(0.999).add_(0.001 * g * g)
                fair = (m / (1 - 0.9 ** (step + 1)), v / (1 - 0.999 ** (step + 1)))
                p.sub_(rate * fair[0] / (fair[1].sqrt() + 1e-8))


def both(name, task, width):
    """Return our network and the peer's, with the same weights, and the pairs of those."""
    frepo = PROTOCOLS[name].net == "convnet-frepo"
    with scoped(0):
        ours = (ConvNetFRePo if frepo else ConvNet)(task.shape, 10, width)
    peer = (frepo_net if frepo else dc_net)(width)
    return ours, peer, twin(peer, ours)


@pytest.mark.parametrize("name", ["dc", "frepo"])
def test_the_registered_network_gives_the_peer_s_logits(name, task):
    ours, peer, _ = both(name, task, 128)
    assert type(build_net(PROTOCOLS[name].net, task, 0)) is type(ours)
    assert list(build_net(PROTOCOLS[name].net, task, 0).state_dict()) == list(ours.state_dict())
    x = task.inputs(task.train.x[:2])
    torch.testing.assert_close(ours(x), peer(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["dc", "dsa", "frepo", "rcig", "dd-ranking"])
def test_twenty_steps_are_those_of_the_peer(name, task):
    recipe = replace(PROTOCOLS[name].published_recipe(task, 4), steps=STEPS, turn=10, kinds=())
    ours, peer, pairs = both(name, task, WIDTH)
    ours, peer = ours.double(), peer.double()
    pairs = twin(peer, ours)
    x, y = task.inputs(task.train.x[:4]).double(), task.train.y[:4]
    start = [own.clone() for _, own in pairs]
    train(ours, task, Examples(x, y), recipe, Setting(0, "cpu"))
    if recipe.optimiser == "sgd":
        sgd_steps(peer, x, y, recipe.turn, name != "dd-ranking")
    else:
        adam_steps(peer, x, y, recipe.lr, recipe.turn)
    assert max(float((own - before).detach().abs().max()) for (_, own), before in zip(pairs, start, strict=True)) > 1e-4
    for theirs, own in pairs:
        torch.testing.assert_close(own, theirs, rtol=0, atol=1e-8)
    torch.testing.assert_close(ours(x), peer(x), rtol=0, atol=1e-6)


def test_dc_turns_where_its_loop_does_and_starts_its_momentum_again(task):
    recipe = PROTOCOLS["dc"].published_recipe(task, 10)
    # 301 epochs, numbered from 0; a new optimiser after epoch 151.
    assert (recipe.steps, recipe.turn) == (301, 152)
    assert (recipe.rate(151), recipe.rate(152)) == (0.01, pytest.approx(0.001))
    of_600 = PROTOCOLS["dsa"].published_recipe(task, 600)
    assert (of_600.steps, of_600.turn) == (3 * 1001, 3 * 502)


def test_an_epoch_ends_with_a_smaller_batch(task):
    recipe = replace(PROTOCOLS["dc"].published_recipe(task, 10), batch_size=4)
    batches = list(recipe.orders(10, range(6), 0))
    assert [len(batch) for batch in batches] == [4, 4, 2] * 2
    assert sorted(torch.cat(batches[:3]).tolist()) == list(range(10))
    assert torch.cat(batches[:3]).tolist() != torch.cat(batches[3:]).tolist()
    drawn = replace(PROTOCOLS["rcig"].published_recipe(task, 10), batch_size=4)
    assert [len(batch.unique()) for batch in drawn.orders(10, range(3), 0)] == [4, 4, 4]


def test_a_training_that_stops_and_resumes_behind_the_turn_has_the_same_bits(task, tmp_path, monkeypatch):
    recipe = replace(PROTOCOLS["dc"].published_recipe(task, 10), steps=44, turn=10)

    class Killed(Exception):
        pass

    def weights(path=None, kill=False):
        def progress(done, *_):
            if kill and done == 40:
                raise Killed

        net = build_net("mlp", task, 0)
        train(net, task, task.train, recipe, Setting(0, "cpu", progress if kill else None, path))
        return net.state_dict()

    monkeypatch.setattr(Checkpoints, "due", lambda self, step: step % 20 == 0)
    with pytest.raises(Killed):
        weights(tmp_path / "state", kill=True)
    resumed = weights(tmp_path / "state")
    straight = weights()
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


def test_soft_labels_are_learned_centred_or_at_their_temperature(task):
    soft = torch.randn(10, 10, generator=key(1))
    batch = replace(task.train, soft=soft, temperature=2.0)
    logits = torch.randn(10, 10, generator=key(2))
    p = (soft / 2).softmax(1)
    squared = PROTOCOLS["frepo"].published_recipe(task, 10).loss_of(logits, batch)
    torch.testing.assert_close(squared, ((logits - p + 0.1) ** 2).mean() / 2)
    crossed = PROTOCOLS["dsa"].published_recipe(task, 10).loss_of(logits, batch)
    torch.testing.assert_close(crossed, -4 * (p * (logits / 2).log_softmax(1)).sum(1).mean())


def test_a_squared_error_draws_logits_to_regression_targets_and_other_losses_to_probabilities(task):
    targets, logits = (torch.randn(10, 10, generator=key(k)) for k in (1, 2))
    batch = replace(task.train, soft=logits_of(targets), regression=targets)
    squared = PROTOCOLS["frepo"].published_recipe(task, 10).loss_of(logits, batch)
    torch.testing.assert_close(squared, ((logits - targets) ** 2).mean() / 2)
    crossed = PROTOCOLS["dsa"].published_recipe(task, 10).loss_of(logits, batch)
    torch.testing.assert_close(crossed, -(batch.targets(10) * logits.log_softmax(1)).sum(1).mean())


def test_rded_s_steps_are_those_of_adamw_by_hand(task):
    recipe = replace(PROTOCOLS["rded"].published_recipe(task, 10), kinds=(), batch_size=5, steps=STEPS, turn=2)
    net = build_net("mlp", task, 0).double()
    peer = build_net("mlp", task, 0).double()
    x = task.inputs(task.train.x).double()
    soft = 30 * torch.randn(10, 10, generator=key(4)).double()
    train(net, task, Examples(x, task.train.y, soft, 20.0), recipe, Setting(0, "cpu"))
    first, second = ([torch.zeros_like(p) for p in peer.parameters()] for _ in range(2))
    for step, order in enumerate(recipe.orders(10, range(STEPS), 0)):
        # The rate changes once an epoch, by a cosine over twice the training.
        rate = 0.001 * 0.5 * (1 + math.cos(math.pi * (step // 2) / (STEPS / 2) / 2))
        wanted, said = (soft[order] / 20).softmax(1), (peer(x[order]) / 20).log_softmax(1)
        loss = (wanted * (wanted.log() - said)).sum() / 5
        slopes = torch.autograd.grad(loss, list(peer.parameters()))
        with torch.no_grad():
            for p, g, m, v in zip(peer.parameters(), slopes, first, second, strict=True):
                p.mul_(1 - rate * 0.01 * (p.ndim > 1))
                m.mul_(0.9).add_(0.1 * g)
                v.mul_(0.999).add_(0.001 * g * g)
                fair = (m / (1 - 0.9 ** (step + 1)), v / (1 - 0.999 ** (step + 1)))
                p.sub_(rate * fair[0] / (fair[1].sqrt() + 1e-8))
    for ours, own in zip(net.parameters(), peer.parameters(), strict=True):
        torch.testing.assert_close(ours, own, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("members", "size", "steps"), [(10, 10, 300), (100, 50, 600), (500, 100, 1500), (30, 10, 900), (5, 5, 300)]
)
def test_rded_s_batches_grow_with_the_images_per_class(task, members, size, steps):
    recipe = PROTOCOLS["rded"].published_recipe(task, members)
    assert (recipe.batch_size, recipe.steps) == (size, steps)
    assert recipe.rate(0) == 0.001 and recipe.rate(steps - 1) == pytest.approx(0.0005, rel=0.01)
    hundred = replace(task, classes=tuple(map(str, range(100))))
    assert PROTOCOLS["rded"].published_recipe(hundred, 1000).batch_size == 100
