from dataclasses import replace

import pytest
import torch
from toys import problem

from ddcore.draws import generator
from ddcore.errors import UsageError
from ddcore.methods.rat_bptt import RatBPTT
from ddcore.methods.unrolled import InnerLoop, UnrolledRun
from ddcore.methods.variables import Rates, Variables, in_turn
from ddcore.runtime.session import Session
from ddcore.training.teacher import Labels, Teacher
from ddcore.unroll.meta_gradient import MetaGradient, State
from ddcore.unroll.schedule import Schedule


def variables(toy, init="random", labels="hard", teacher=None, budget=6):
    rates = torch.full((3,), 0.1)
    return Variables(problem(toy, budget, teacher), Session(), init, Labels(labels, 2.0), rates)


def teacher_of(toy):
    logits = torch.randn(len(toy.train), 2, generator=generator("logits"))
    return Teacher(logits, toy.inputs(toy.train.x).flatten(1), "made by hand", "nowhere")


def test_classes_take_turns_and_images_are_the_chosen_members(toy):
    made = variables(toy)
    assert made.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert torch.equal(toy.train.y[made.chosen], made.y)
    assert torch.equal(made.x, toy.inputs(toy.train.x[made.chosen]))
    assert not set(made.chosen.tolist()) & set(toy.validation.tolist())
    assert variables(toy, "noise").chosen is None


def test_labels_begin_as_the_teachers_at_the_temperature(toy):
    teacher = teacher_of(toy)
    made = variables(toy, "k-means", "learned", teacher)
    torch.testing.assert_close(made.targets, (teacher.logits[made.chosen] / 2.0).softmax(1))
    assert (variables(toy, labels="learned").targets.argmax(1) == made.y).all()
    assert set(made.tensors()) == {"x", "log_rates", "soft"}
    assert set(variables(toy, labels="soft", teacher=teacher).tensors()) == {"x", "log_rates"}


def test_a_selector_without_its_teacher_is_refused(toy):
    with pytest.raises(UsageError, match="--init k-means needs --teacher"):
        variables(toy, "k-means")


def test_gradients_of_logits_and_of_logarithms(toy):
    made = variables(toy, labels="learned")
    slope_y = torch.randn(6, 2, generator=generator("y"))
    slope_rates = torch.tensor([1.0, -2.0, 3.0])
    state = State((torch.zeros(1),))
    found = MetaGradient(torch.zeros(()), torch.ones_like(made.x), slope_y, slope_rates, torch.zeros(1), state)
    given = made.gradients(found, slope_rates)
    soft, logs = made.soft.clone().requires_grad_(), made.log_rates.clone().requires_grad_()
    ((soft.softmax(1) * slope_y).sum() + (logs.exp() * slope_rates).sum()).backward()
    torch.testing.assert_close(given["soft"], soft.grad)
    torch.testing.assert_close(given["log_rates"], logs.grad)
    assert torch.equal(given["x"], torch.ones_like(made.x))


def test_a_set_that_grows_keeps_what_was_learned_and_slows_it(toy):
    small, large = variables(toy, budget=4), variables(toy, budget=8)
    first = small.x.clone()
    small.x += 1.0
    small.log_rates += 0.5
    schedule = Schedule("mlp", small.log_rates.exp(), InnerLoop(epochs=3).order(problem(toy, 4)))
    run = UnrolledRun(RatBPTT(), problem(toy, 4), Session(), small)
    made = replace(run.unrolled_set({}), schedule=schedule)
    large.grow(6, made, 0.25)
    torch.testing.assert_close(large.x[:4], first + 1.0)
    assert len(large.x) == len(large.y) == len(large.chosen) == 6
    assert large.pace.tolist() == [0.25] * 4 + [1.0] * 2
    torch.testing.assert_close(large.log_rates, small.log_rates)
    rate = large.groups(Rates(0.4, 0.0, 0.1))["images"].rate
    torch.testing.assert_close(rate.flatten(), torch.tensor([0.1] * 4 + [0.4] * 2))


def test_views_of_the_first_members_change_with_the_whole(toy):
    whole = variables(toy, labels="learned")
    part = whole.first(2)
    part.x += 1.0
    whole.soft[:2] = 3.0
    assert torch.equal(part.x, whole.x[:2]) and torch.equal(part.soft, whole.soft[:2])
    assert len(part.y) == len(part.chosen) == len(part.pace) == 2 and part.log_rates is whole.log_rates


def test_members_of_a_class_take_the_label_of_another(toy):
    made = variables(toy, labels="learned")
    made.relabel(1, 0)
    assert not made.y.any() and not made.targets.argmax(1).any()


def test_classes_take_turns_until_one_has_no_more():
    y = torch.tensor([1, 1, 0, 2, 0, 0, 0])
    assert y[in_turn(y)].tolist() == [0, 1, 2, 0, 1, 0, 0] and in_turn(y).tolist()[:2] == [2, 0]
    even = torch.arange(3).repeat_interleave(2)
    assert even[in_turn(even)].tolist() == (torch.arange(6) % 3).tolist()
