import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ddcore.draws import generator
from ddcore.nets.registry import build_net
from ddcore.training.recipes import Changes, Recipe
from ddcore.training.step import learning_rate_share, step_loss


def test_loss_of_hard_and_soft_labels_by_hand(task):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    hard = task.train[torch.arange(6)]
    logits = net(task.inputs(hard.x))
    plain = step_loss(net, task, hard, Recipe(), generator(0))
    assert plain.item() == pytest.approx(F.cross_entropy(logits, hard.y).item(), rel=1e-6)
    smooth = step_loss(net, task, hard, Recipe(label_smoothing=0.2), generator(0))
    assert smooth.item() == pytest.approx(F.cross_entropy(logits, hard.y, label_smoothing=0.2).item(), rel=1e-6)
    soft = replace(hard, soft=torch.tensor([[2.0, -1.0]]).expand(6, 2), temperature=4.0)
    p = 1 / (1 + math.exp(-3 / 4))
    log_q = (logits / 4).log_softmax(1).mean(0)
    by_hand = -16 * (p * log_q[0] + (1 - p) * log_q[1]).item()
    assert step_loss(net, task, soft, Recipe(), generator(0)).item() == pytest.approx(by_hand, rel=1e-5)


def test_mixup_blends_hard_labels_and_leaves_soft_ones_alone(task):
    net = build_net("mlp", task, 0)
    soft = replace(task.train, soft=F.one_hot(task.train.y, 2) * 8.0, temperature=2.0)
    for examples, changes in ((task.train, True), (soft, False)):
        plain, mixed = (
            step_loss(net, task, examples, Recipe(changes=Changes(mixup=m)), generator(0)).item() for m in (False, True)
        )
        assert (plain != mixed) == changes


def test_the_rate_rises_and_falls():
    recipe = Recipe(steps=10, warmup=0.2)
    assert [learning_rate_share(step, recipe) for step in (0, 1, 2, 9)] == [0.5, 1.0, 1.0, 0.125]
    assert learning_rate_share(0, Recipe(steps=10, warmup=0)) == 1
