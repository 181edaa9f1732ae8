import pytest

from ddcore.nets.registry import NETS
from ddcore.training.recipes import SMALL, quick, recipes_for, whole_recipe


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
@pytest.mark.parametrize("members", [SMALL - 1, SMALL])
def test_every_net_of_the_kind_has_a_recipe(toy, members, profile):
    made = recipes_for(toy, members, profile, toy=False)
    assert sorted(made) == sorted(name for name, net in NETS.items() if net.kind == "images")
    short = recipes_for(toy, members, profile, toy=True)
    assert all(0 < short[name].steps <= made[name].steps for name in made)


def test_steps_are_counted_from_the_whole_set(toy):
    assert whole_recipe(toy, "resnet-s2d", "cpu").steps == whole_recipe(toy, "mlp", "cpu").steps
    assert whole_recipe(toy, "resnet-s2d", "gpu").steps >= whole_recipe(toy, "resnet-s2d", "cpu").steps


def test_quick_changes_the_length_only(toy):
    recipe = whole_recipe(toy, "resnet-s2d", "cpu")
    assert (quick(recipe).lr, quick(recipe).changes) == (recipe.lr, recipe.changes)
