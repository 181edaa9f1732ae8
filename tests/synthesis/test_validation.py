from dataclasses import replace

import pytest
import torch
from toys import problem

from ddcore.data.examples import Examples
from ddcore.errors import UsageError
from ddcore.methods.dm import DM
from ddcore.nets.registry import build_net
from ddcore.options import changed, options_of
from ddcore.runtime.session import Session
from ddcore.synthesis import validation as watching
from ddcore.synthesis.validation import Price, TrainedValidation, Usual, Validation, Watch, lessened
from ddcore.training.loop import Setting, predict, train
from ddcore.training.recipes import small_recipe


def members(toy) -> Examples:
    return toy.train[toy.fit[:40]]


def test_the_accuracy_is_that_of_a_network_trained_on_the_set_alone(toy):
    found = TrainedValidation(steps=15).accuracy(problem(toy, 4, seed=2), "mlp", members(toy), Setting(1, "cpu"))
    net = build_net("mlp", toy, 2, "validation", 1)
    train(net, toy, members(toy), replace(small_recipe(toy, "mlp", "cpu"), steps=15), Setting(1, "cpu"))
    held = toy.train[toy.validation]
    right = predict(net, toy, held.x, device="cpu").argmax(1) == held.y
    assert found == right.double().mean().item()


def test_a_set_of_wrong_labels_fails_and_the_seed_decides(toy):
    validation, asked, right = TrainedValidation(steps=60), problem(toy, 4), members(toy)
    wrong = Examples(right.x, 1 - right.y)
    assert (
        validation.accuracy(asked, "mlp", right, Setting(0, "cpu"))
        > 0.8
        > 0.2
        > validation.accuracy(asked, "mlp", wrong, Setting(0, "cpu"))
    )
    noise = Examples(torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2)
    few = [TrainedValidation(steps=2).accuracy(asked, "mlp", noise, Setting(seed, "cpu")) for seed in (0, 0, 1, 2, 3)]
    assert few[0] == few[1] and len(set(few)) > 1


def test_a_network_of_another_kind_of_data_is_refused(toy):
    with pytest.raises(UsageError, match="does not read images"):
        TrainedValidation().accuracy(problem(toy, 4), "bag", members(toy), Setting(0, "cpu"))


def test_a_quick_validation_is_a_single_short_one():
    assert Validation(7, 5).quick() == Validation(1, 1)
    assert TrainedValidation().quick() == TrainedValidation(1, 1, 20) and TrainedValidation(steps=5).quick().steps == 5


# A network costs 100 and 10 for each training step, and there are 4 + 1 validations.
@pytest.mark.parametrize(
    "making, networks, steps",
    [(1e9, 2, 400), (206_000, 2, 400), (204_000, 1, 400), (102_000, 1, 398), (15_100, 1, 50), (14_900, 0, 50)],
)
def test_a_validation_takes_a_fifth_of_the_making_at_most(making, networks, steps):
    now = TrainedValidation().priced(Price(making, 100, 10))
    assert (now.networks, now.steps) == (networks, steps)
    assert 5 * networks * (100 + 10 * steps) <= 0.2 * making


def test_numbers_that_were_asked_for_are_kept_whatever_they_cost():
    price = Price(1.0, 100, 10)
    assert TrainedValidation(4, 2, 400).priced(price) == TrainedValidation(4, 2, 400)
    by_options = {name: changed(DM(), {name: 3}).validation.priced(price) for name in names_of(DM().validation)}
    assert by_options["validations"] == TrainedValidation(3, 1, 50)
    assert by_options["validation_networks"] == TrainedValidation(4, 3, 50)
    assert by_options["validation_steps"] == TrainedValidation(4, 1, 3)
    assert Validation(5, Usual(4)).priced(Price(1.0, 100)).networks == 1


def names_of(validation):
    return [each.name for each in options_of(type(validation))]


@pytest.mark.parametrize("making, networks", [(12_000.0, 4), (9_100, 3), (2_900, 0)])
def test_a_validation_without_training_steps_takes_fewer_networks(making, networks):
    assert Validation().priced(Price(making, 100)).networks == networks


def test_a_smaller_validation_is_said_with_its_reason():
    usual = TrainedValidation()
    assert lessened(usual, usual) == ""
    assert lessened(usual, TrainedValidation(4, 1, 203)).startswith(
        "validation by 1 network of 203 training steps, because 2 networks of 400 training steps would cost more than"
    )
    assert lessened(usual, TrainedValidation(4, 0, 50)).startswith("no validation, because even one network")


def test_the_time_of_all_validations_is_said_once(monkeypatch, tmp_path):
    said, shown = [], []
    monkeypatch.setattr(watching.time, "monotonic", lambda: 30.0 * len(shown))
    monkeypatch.setattr(watching, "Bar", lambda title, session: lambda *step: shown.append(step))
    session = Session(progress=lambda *step: None, say=said.append)
    # 100 of 400 steps take 30 seconds, and the answers to the members half as long as the training.
    watch = Watch(session, TrainedValidation(4, 2, 200), Price(1e9, 1000, 10))
    for place in (0, 1):
        progress = watch.progress(place, 2, 5)
        shown.append(None)
        for step in (100, 200):
            progress(step, 200, {"loss": 1.0})
    assert said == ["validation: 5 times 2 networks of 200 training steps, about 15 minutes in all"]
    assert [each for each in shown if each] == [(k, 400, {}) for k in (100, 200, 300, 400)]
