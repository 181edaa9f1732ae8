import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import problem, saved_networks, session_in, striped, toy_teacher

from ddcore.data.images import image_task
from ddcore.data.resized_crops import viewed
from ddcore.errors import UsageError
from ddcore.methods.sre2l import SRe2L, distance, entering
from ddcore.options import changed
from ddcore.runtime.session import Session
from ddcore.synthesis.outer_loop import distilled_set


@pytest.fixture
def asked(toy, tmp_path):
    return problem(toy, 6, toy_teacher(toy, saved_networks(toy, tmp_path / "teacher")))


def plain_loss(run, net, x, step):
    """A step's loss as the paper's code has it, one batch after the other."""
    losses = []
    for number, batch in enumerate(run.batches):
        views = viewed(x[batch], [run._box(step, number)], [len(batch)])
        planes, total = views, 0
        for place, block in enumerate(net.blocks):
            entering = block.convolution(planes)
            mean = entering.mean((0, 2, 3))
            variance = entering.transpose(0, 1).flatten(1).var(1, unbiased=False)
            apart = (mean - block.norm.running_mean).norm() + (variance - block.norm.running_var).norm()
            total = total + (1 if place else 10) * apart
            planes = block(planes)
        entropy = F.cross_entropy(net.classifier(planes.flatten(1)), run.y[batch])
        losses.append(entropy + run.method.statistics * total)
    return torch.stack(losses).mean()


@pytest.mark.parametrize("shards", [1, 2])
def test_a_steps_gradient_is_that_of_a_plain_loop(asked, shards):
    run = changed(SRe2L(), {"shards": shards, "statistics": 0.1}).start(asked, Session())
    net = run.nets[0]
    for norm in (block.norm for block in net.blocks):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    parts = run.gradients(run.shards(3))
    slope = torch.stack([part.gradients["x"] for part in parts]).mean(0)
    x = run.x.clone().requires_grad_()
    loss = plain_loss(run, net, x, 3)
    assert sum(part.values["loss"] for part in parts) / len(parts) == pytest.approx(float(loss.detach()), rel=1e-5)
    torch.testing.assert_close(slope, torch.autograd.grad(loss, x)[0], rtol=1e-4, atol=1e-7)


def test_a_batch_has_an_image_of_each_class_and_at_most_a_hundred(asked, toy):
    run = SRe2L().start(asked, Session())
    assert [run.y[batch].tolist() for batch in run.batches] == [[0, 1]] * 3
    assert sorted(torch.cat(run.batches).tolist()) == list(range(6))
    uneven = run.batches_of(torch.tensor([0, 0, 0, 2, 2]))
    assert [each.tolist() for each in uneven] == [[0, 3], [1, 4], [2]]
    many = run.batches_of(torch.arange(240).repeat_interleave(2))
    assert [len(each) for each in many] == [100, 100, 40] * 2
    assert torch.equal(many[1], 2 * torch.arange(100, 200)) and torch.equal(many[3], 2 * torch.arange(100) + 1)


def test_the_statistics_of_the_networks_own_batch_are_no_distance_away():
    norm = nn.BatchNorm1d(3, momentum=1.0)
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    norm(x)
    norm.running_var *= 7 / 8  # PyTorch keeps the unbiased variance
    assert float(distance(norm, x, torch.full((1, 8), 1 / 8))) == pytest.approx(0, abs=1e-6)
    apart = distance(norm, x + torch.tensor([3.0, 4.0, 0.0]), torch.full((1, 8), 1 / 8))
    assert float(apart) == pytest.approx(5.0, rel=1e-5)


def test_the_hooks_are_gone_after_a_pass():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.BatchNorm1d(3, track_running_stats=False)).eval()
    with entering(net) as seen:
        net(torch.ones(2, 4))
    assert [norm for norm, _ in seen] == [net[1]] and not net[1]._forward_pre_hooks


def test_noise_starts_in_every_proportion(asked, toy):
    run = changed(SRe2L(), {"init": "noise"}).start(asked, Session())
    again = changed(SRe2L(), {"init": "noise"}).start(asked, Session())
    assert torch.equal(run.x, again.x) and 0.8 < float(run.x.std()) < 1.2 and run.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert "began at" not in run.decode().provenance and "crops" not in run.decode().provenance


def test_the_teacher_recognises_the_images_better_and_better(asked, tmp_path):
    seen = []
    session = session_in(tmp_path / "run", lambda step, total, values: seen.append(values["loss"]))
    distilled_set(changed(SRe2L(), {"steps": 40, "init": "noise", "smallest_crop": 1.0}), asked, session)
    assert max(seen[-5:]) < min(seen[:5])


def test_views_are_mirrored_where_trainings_mirror(asked, monkeypatch):
    assert not SRe2L().start(asked, Session()).flip
    run = changed(SRe2L(), {"smallest_crop": 1.0}).start(asked, Session())
    boxes = [run._box(step, 0) for step in range(8)]
    assert {(box.height, box.width, box.flip) for box in boxes} == {(8, 8, False)}
    assert {box.down for box in boxes} == {0, 1}


def test_a_teacher_without_batch_norm_is_refused(toy, tmp_path):
    teacher = toy_teacher(toy, saved_networks(toy, tmp_path / "teacher", "mlp"), "mlp")
    with pytest.raises(UsageError) as refusal:
        SRe2L().start(problem(toy, 6, teacher), Session())
    line = str(refusal.value)
    assert "mlp" in line and "--net convnet-bn" in line and "\n" not in line


@pytest.mark.parametrize("name", ["paper", "plus"])
def test_presets_are_options(name, asked):
    task = image_task("three", ("a", "b", "c"), striped(30, classes=3), lambda: striped(30, classes=3), "made")
    method = changed(SRe2L(), SRe2L.preset(name, task, 3))
    assert (
        method.steps >= 1000
        and (method.init, method.smallest_crop)
        == {
            "paper": ("noise", 1.0),
            "plus": ("rded", 0.08),
        }[name]
    )
