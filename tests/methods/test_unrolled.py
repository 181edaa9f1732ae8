import pytest
import torch
from toys import problem

from ddcore.errors import UsageError
from ddcore.methods.unrolled import Clip, InnerLoop, Students

CPU = torch.device("cpu")


def test_order_goes_over_the_set_once_per_epoch(toy):
    order = InnerLoop(batches=3, epochs=2).order(problem(toy, 6))
    assert order.tolist() == [[0, 1], [2, 3], [4, 5]] * 2


def test_uneven_batches_are_refused(toy):
    with pytest.raises(UsageError, match="cannot be cut into 4 equal batches"):
        InnerLoop(batches=4, epochs=1).order(problem(toy, 6))


def test_the_clip_holds_a_gradient_to_the_running_norm():
    clip = Clip(CPU)
    assert float(clip.share(torch.tensor(5.0))) == 1.0
    clip.absorb(torch.tensor(2.0))
    assert float(clip.share(torch.tensor(1.0))) == 1.0
    assert float(clip.share(torch.tensor(8.0))) == 0.25
    clip.absorb(torch.tensor(4.0))
    assert float(clip.norm) == pytest.approx(2.2)


def test_students_are_keyed_and_judged_on_members_outside_the_validation_part(toy):
    students = Students(problem(toy, 2, seed=3), "mlp", 16)
    assert torch.equal(students.weights("a", 1), students.weights("a", 1))
    assert not torch.equal(students.weights("a", 1), students.weights("a", 2))
    x, y = students.real(7)
    assert torch.equal(x, students.real(7)[0]) and not torch.equal(x, students.real(8)[0])
    held = toy.inputs(toy.train.x[toy.validation]).flatten(1)
    assert float(torch.cdist(x.flatten(1), held).min()) > 0 and y.sum(1).tolist() == [1.0] * 16
    loss = students.judge(7)
    theta = students.weights("a", 1)
    torch.testing.assert_close(loss(theta), loss.with_gradient(theta)[1])
