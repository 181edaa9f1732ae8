"""What needs no GPU; the recorded step is compared with the plain one in ``tests/virtual_gpu``."""

import pytest
import torch
from torch import nn
from toys import striped

from ddcore.data import image_task
from ddcore.training.optimisers import build_optimiser
from ddcore.training.recipes import OPTIMISERS, Recipe
from ddcore.training.recorded_step import stepper, unchanged
from ddcore.training.step import Course


def stepped(net, optimiser):
    optimiser.zero_grad()
    net(torch.randn(5, 3)).square().sum().backward()
    optimiser.step()


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("before", [0, 2])
def test_trial_steps_are_undone_in_the_same_tensors(name, before):
    """Afterwards a training goes on as if they had not been, also if they failed."""

    def end(trials):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        optimiser = build_optimiser(net, Recipe(optimiser=name, lr=0.1, weight_decay=0.1))
        for _ in range(before):
            stepped(net, optimiser)
        generator, places = torch.get_rng_state(), [each.data_ptr() for each in net.state_dict().values()]
        if trials:
            with pytest.raises(KeyError), unchanged(net, optimiser):
                for _ in range(trials):
                    stepped(net, optimiser)
                raise KeyError
        torch.set_rng_state(generator)
        assert [each.data_ptr() for each in net.state_dict().values()] == places
        stepped(net, optimiser)
        return net.state_dict()

    tried, untried = end(3), end(0)
    assert all(torch.equal(tried[key], untried[key]) for key in untried)


def test_a_cpu_takes_its_steps_one_by_one():
    real = striped(20)
    task = image_task("two", ("a", "b"), real, lambda: real, "made by the tests")
    net, recipe = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), Recipe(steps=4, lr=0.1)
    course = Course(net, task, real, recipe, build_optimiser(net, recipe), 0)
    assert stepper(course) == course.take
    assert course.rates(3) == pytest.approx([recipe.kernel_lr / 3.2, 0.1 / 3.2, 0.1 / 3.2])
    losses = [float(course.take(step, torch.arange(20))) for step in range(4)]
    assert losses[3] < losses[0]
