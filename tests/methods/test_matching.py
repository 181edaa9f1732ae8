import pytest
import torch

from ddcore.errors import UsageError
from ddcore.methods.dm import DM
from ddcore.teacher import Teacher

CPU = torch.device("cpu")


def test_the_set_begins_with_real_members_outside_the_validation_part(toy):
    run = DM(net="mlp").start(toy, 6, None, 0, CPU)
    assert torch.isin(run.chosen, toy.fit).all() and run.y.bincount().tolist() == [3, 3]
    assert torch.equal(run.decode().x, toy.inputs(toy.train.x[run.chosen]))


def test_soft_labels_are_the_teachers_of_the_members_that_the_images_began_as(toy):
    logits = torch.randn(len(toy.train), 2, generator=torch.Generator().manual_seed(0))
    teacher = Teacher(logits, None, "mlp", "nowhere")
    made = DM(net="mlp", labels="soft", temperature=3.0).start(toy, 6, teacher, 0, CPU).decode()
    assert torch.equal(made.soft, logits[torch.tensor(made.provenance["began at"])]) and made.temperature == 3.0


@pytest.mark.parametrize(
    "change, budget, line",
    [
        ({"labels": "soft"}, 6, "needs --teacher"),
        ({"images": "k-means"}, 6, "needs --teacher"),
        ({"augment": "mirror"}, 6, "'mirror' is none of"),
        ({}, 7, "cannot be shared evenly"),
        ({"net": "resnet"}, 6, "network"),
    ],
)
def test_bad_options_are_one_line(toy, change, budget, line):
    with pytest.raises(UsageError, match=line) as caught:
        DM(**{"net": "mlp", **change}).start(toy, budget, None, 0, CPU)
    assert "\n" not in str(caught.value)
