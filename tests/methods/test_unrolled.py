import pytest
import torch

from ddcore.draws import generator
from ddcore.errors import UsageError
from ddcore.methods.unrolled import Clip, Students, Variables, balanced_order
from ddcore.training.teacher import Teacher
from ddcore.unroll.meta_gradient import MetaGradient, State

CPU = torch.device("cpu")


def variables(toy, images="random", labels="hard", teacher=None, budget=6):
    return Variables(toy, budget, images, labels, 2.0, 0.1, 3, teacher, 0, CPU)


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


def test_a_selector_without_its_teacher_and_uneven_batches_are_refused(toy):
    with pytest.raises(UsageError, match="--images k-means needs --teacher"):
        variables(toy, "k-means")
    with pytest.raises(UsageError, match="cannot be cut into 4 equal batches"):
        balanced_order(6, 4, 1, CPU)


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
    from ddcore.methods.rat_bptt import RatBPTT
    from ddcore.unroll.schedule import Schedule

    rates = small.log_rates.exp()
    schedule = Schedule("mlp", rates, balanced_order(4, 1, 3, CPU))
    made = small.set(toy, RatBPTT(), 0, schedule, {})
    large.grow(6, made, 0.25)
    torch.testing.assert_close(large.x[:4], first + 1.0)
    assert len(large.x) == len(large.y) == len(large.chosen) == 6
    assert large.pace.tolist() == [0.25] * 4 + [1.0] * 2
    torch.testing.assert_close(large.log_rates, small.log_rates)
    rate = large.groups(0.4, 0.0, 0.1)["images"].rate
    torch.testing.assert_close(rate.flatten(), torch.tensor([0.1] * 4 + [0.4] * 2))


def test_order_goes_over_the_set_once_an_epoch():
    order = balanced_order(6, 3, 2, CPU)
    assert order.tolist() == [[0, 1], [2, 3], [4, 5]] * 2


def test_the_clip_holds_a_gradient_to_the_running_norm():
    clip = Clip(CPU)
    assert float(clip.share(torch.tensor(5.0))) == 1.0
    clip.absorb(torch.tensor(2.0))
    assert float(clip.share(torch.tensor(1.0))) == 1.0
    assert float(clip.share(torch.tensor(8.0))) == 0.25
    clip.absorb(torch.tensor(4.0))
    assert float(clip.norm) == pytest.approx(2.2)


def test_students_are_keyed_and_judged_on_members_outside_the_validation_part(toy):
    students = Students(toy, "mlp", 3, CPU, 16)
    assert torch.equal(students.weights("a", 1), students.weights("a", 1))
    assert not torch.equal(students.weights("a", 1), students.weights("a", 2))
    x, y = students.real(7)
    assert torch.equal(x, students.real(7)[0]) and not torch.equal(x, students.real(8)[0])
    held = toy.inputs(toy.train.x[toy.validation]).flatten(1)
    assert float(torch.cdist(x.flatten(1), held).min()) > 0 and y.sum(1).tolist() == [1.0] * 16
    loss = students.judge(7)
    theta = students.weights("a", 1)
    torch.testing.assert_close(loss(theta), loss.with_gradient(theta)[1])
