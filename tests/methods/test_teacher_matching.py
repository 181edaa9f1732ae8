from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from toys import problem, saved_networks, session_in, toy_teacher

from ddcore.errors import UsageError
from ddcore.methods.teacher_matching import TeacherMatching, TeacherMatchingRun, shares
from ddcore.options import changed
from ddcore.runtime.session import Session
from ddcore.selection.rded import RDED
from ddcore.synthesis.outer_loop import distilled_set


@dataclass(frozen=True)
class Bright(TeacherMatching):
    """A method whose images become what a network answers most to, far from what a pixel can show."""

    name: ClassVar[str] = "bright"

    def start(self, problem, session):
        return BrightRun(self, problem, session)


class BrightRun(TeacherMatchingRun):
    def losses(self, net, step, numbers, x):
        self.seen = [*getattr(self, "seen", []), (net, len(x))]
        return -(shares([self.sizes[k] for k in numbers]) * net(x)[:, 0]).sum(1)


@pytest.fixture
def asked(toy, tmp_path):
    """Eight members of a toy, by a teacher of two networks."""
    return problem(toy, 8, toy_teacher(toy, saved_networks(toy, tmp_path / "teacher", seeds=2)))


def whole(run, step):
    """A step's loss and gradient, as the outer loop puts its shards together."""
    parts = run.gradients(run.shards(step))
    loss = sum(part.values["loss"] for part in parts) / len(parts)
    return loss, torch.stack([part.gradients["x"] for part in parts]).mean(0)


@pytest.mark.parametrize(("shards", "chunk"), [(1, 0), (2, 0), (5, 1)])
def test_a_steps_gradient_is_that_of_the_mean_over_batches(asked, shards, chunk):
    run = changed(Bright(), {"shards": shards}).start(asked, Session())
    run.use_chunk(chunk)
    loss, slope = whole(run, 0)
    assert run.sizes == [4, 4] and len(run.shards(0)) == min(shards, 2)
    x = run.x.clone().requires_grad_()
    right = -torch.stack([run.nets[0](x[run.y == k])[:, 0].mean() for k in range(2)]).mean()
    assert loss == pytest.approx(float(right.detach()), rel=1e-5)
    torch.testing.assert_close(slope, torch.autograd.grad(right, x)[0], rtol=1e-5, atol=1e-8)
    assert run.gradients([]) == []


def test_the_networks_of_a_teacher_take_turns_and_stay_as_they_are(asked):
    run = Bright().start(asked, Session())
    before = [{k: v.clone() for k, v in net.state_dict().items()} for net in run.nets]
    for step in range(3):
        whole(run, step)
    assert [run.nets.index(net) for net, _ in run.seen] == [0, 0, 1, 1, 0, 0]
    assert not any(net.training or any(p.requires_grad for p in net.parameters()) for net in run.nets)
    for net, state in zip(run.nets, before, strict=True):
        assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())


def test_the_images_keep_to_what_a_pixel_can_show_and_the_last_state_is_the_set(asked, toy, tmp_path):
    method = changed(Bright(), {"steps": 12, "image_rate": 3.0})
    small = distilled_set(method, asked, session_in(tmp_path / "run"))
    pixels = small.x * torch.tensor(toy.std)[:, None, None] + torch.tensor(toy.mean)[:, None, None]
    assert float(pixels.min()) == pytest.approx(0, abs=1e-6) and float(pixels.max()) == pytest.approx(1, abs=1e-6)
    assert small.provenance["outer_step"] == 12 and "validation_accuracy" not in small.provenance
    assert small.labels == "hard" and small.provenance["teacher"] == asked.teacher.net


@pytest.mark.parametrize("keep", ["easiest", "median", "random"])
def test_images_start_as_the_crops_of_rded(keep, asked, toy):
    run = changed(Bright(), {"keep": keep}).start(asked, Session())
    selection = RDED(keep=keep, factor=1).selection(asked, Session())
    assert torch.equal(run.x, toy.inputs(selection.pixels)) and run.y.tolist() == [0] * 4 + [1] * 4
    assert run.decode().provenance["crops"] == selection.notes["crops"]


def test_images_start_as_real_members(asked, toy):
    run = changed(Bright(), {"init": "random"}).start(asked, Session())
    began = torch.tensor(run.decode().provenance["began at"])
    assert torch.equal(run.x, toy.inputs(toy.train.x[began])) and torch.isin(began, toy.fit).all()


def test_more_crops_than_candidates_are_more_candidates(asked, toy, monkeypatch):
    monkeypatch.setattr("ddcore.methods.teacher_matching.CANDIDATES", 3)
    run = Bright().start(asked, Session())
    assert len(run.x) == 8 and len({crop[0][0] for crop in run.decode().provenance["crops"]}) == 8


@pytest.mark.parametrize("teacher", [None, "by hand"])
def test_a_teacher_without_networks_is_refused(teacher, asked, toy):
    asked = replace(asked, teacher=teacher and toy_teacher(toy))
    with pytest.raises(UsageError, match=r"bright .*train_baseline\.py --dataset toy --part fit"):
        Bright().start(asked, Session())


def test_what_a_step_costs_is_known(asked):
    run = Bright().start(asked, Session())
    members, each = run.widest()
    assert members == 4 and each > 0 and run.step_operations() > 0
    assert Bright().needs_teacher("images") and Bright().quick().steps == 4
    assert 0 <= run.score(0) <= 1


def test_shares_are_those_of_means():
    values = torch.tensor([[1.0], [3.0], [5.0]])
    assert (shares([2, 1]) @ values).flatten().tolist() == [2.0, 5.0]
