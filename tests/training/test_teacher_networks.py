from dataclasses import replace

import pytest
import torch
from toys import saved_networks, toy_teacher

from ddcore.data.task import Scale
from ddcore.errors import UsageError
from ddcore.nets.registry import build_net
from ddcore.runtime import Run, Session
from ddcore.training.baseline import Baseline, train_baseline
from ddcore.training.teacher import load_teacher
from ddcore.training.teacher_networks import check_scale, teacher_networks


def test_logits_are_the_mean_of_all_networks_without_gradients(toy, tmp_path):
    teacher = toy_teacher(toy, saved_networks(toy, tmp_path, "mlp", seeds=3), "mlp")
    networks = teacher_networks(teacher, toy, "rded").to("cpu")
    x = toy.inputs(toy.train.x[:5]).requires_grad_()
    logits = networks.logits(x)
    wanted = torch.stack([build_net("mlp", toy, seed)(x) for seed in range(3)]).mean(0)
    torch.testing.assert_close(logits, wanted)
    assert not logits.requires_grad and len(networks.networks) == 3
    assert not any(each.requires_grad for net in networks.networks for each in net.parameters())


def test_a_teacher_says_how_its_images_were_normalised(toy, tmp_path):
    train_baseline(Baseline("mlp", part="fit", steps=2), toy, 0, Session(Run(tmp_path)))
    teacher = load_teacher(tmp_path, toy)
    assert teacher.scale == toy.scale
    assert len(teacher_networks(teacher, toy, "rded").networks) == 1
    other = replace(toy, scale=Scale((toy.mean[0] + 0.01,), toy.std))
    with pytest.raises(UsageError, match=f"the teacher {tmp_path} reads images normalised by mean"):
        teacher_networks(load_teacher(tmp_path, other), other, "rded")


@pytest.mark.parametrize(
    ("scale", "same"),
    [
        (Scale((0.5,), (0.2,)), True),
        (Scale((0.5004,), (0.2,)), True),
        (Scale((0.5,), (0.21,)), False),
        (Scale((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)), False),
    ],
)
def test_copies_of_a_data_set_may_differ_a_little(toy, scale, same):
    task = replace(toy, scale=Scale((0.5,), (0.2,)))
    if same:
        check_scale(scale, task, "it")
    else:
        with pytest.raises(UsageError, match=r"^it reads images normalised"):
            check_scale(scale, task, "it")


def test_missing_networks_are_refused(toy, tmp_path):
    for teacher in (None, toy_teacher(toy)):
        with pytest.raises(UsageError, match="rded asks the networks of a teacher: train one with python"):
            teacher_networks(teacher, toy, "rded")
    with pytest.raises(UsageError, match="holds no networks"):
        teacher_networks(toy_teacher(toy, tmp_path), toy, "rded")
