from dataclasses import replace

import pytest
import torch
from toys import problem

from ddcore.data.examples import Examples
from ddcore.errors import UsageError
from ddcore.nets.registry import build_net
from ddcore.synthesis.validation import TrainedValidation, Validation
from ddcore.training.loop import Setting, predict, train
from ddcore.training.recipes import small_recipe


def members(toy) -> Examples:
    return toy.train[toy.fit[:40]]


def test_the_accuracy_is_that_of_a_network_trained_on_the_set_alone(toy):
    found = TrainedValidation(steps=15).accuracy(problem(toy, 4, seed=2), "mlp", members(toy), 1)
    net = build_net("mlp", toy, 2, "validation", 1)
    train(net, toy, members(toy), replace(small_recipe(toy, "mlp", "cpu"), steps=15), Setting(1, "cpu"))
    held = toy.train[toy.validation]
    right = predict(net, toy, held.x, device="cpu").argmax(1) == held.y
    assert found == right.double().mean().item()


def test_a_set_of_wrong_labels_fails_and_the_seed_decides(toy):
    validation, asked, right = TrainedValidation(steps=60), problem(toy, 4), members(toy)
    wrong = Examples(right.x, 1 - right.y)
    assert validation.accuracy(asked, "mlp", right, 0) > 0.8 > 0.2 > validation.accuracy(asked, "mlp", wrong, 0)
    noise = Examples(torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2)
    few = [TrainedValidation(steps=2).accuracy(asked, "mlp", noise, seed) for seed in (0, 0, 1, 2, 3)]
    assert few[0] == few[1] and len(set(few)) > 1


def test_a_network_of_another_kind_of_data_is_refused(toy):
    with pytest.raises(UsageError, match="does not read images"):
        TrainedValidation().accuracy(problem(toy, 4), "bag", members(toy), 0)


def test_a_quick_validation_is_a_single_short_one():
    assert Validation(7, 5).quick() == Validation(1, 1)
    assert TrainedValidation().quick() == TrainedValidation(1, 1, 20) and TrainedValidation(steps=5).quick().steps == 5
