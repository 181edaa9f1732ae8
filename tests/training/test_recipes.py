import pytest

from ddcore.errors import DDCoreError
from ddcore.nets.linear import LinearRecipe
from ddcore.nets.registry import NETS
from ddcore.training.recipes import SMALL, Recipe, quick, read_recipe, recipes_for, recorded, whole_recipe


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


def test_a_recipe_comes_back_from_its_record_and_other_names_are_ignored(toy):
    for net, recipe in {**recipes_for(toy, 20, "cpu", toy=True), "linear": LinearRecipe(steps=3)}.items():
        record = recorded(recipe)
        assert not {"changes"} & set(record) and read_recipe(net, record | {"later": 1}, "here") == recipe
    with pytest.raises(DDCoreError, match="here is damaged: its recipe for mlp has no batch_size"):
        read_recipe("mlp", {"steps": 1}, "here")
    assert read_recipe("mlp", recorded(Recipe()) | {"lr": 1}, "here").lr == 1


@pytest.mark.parametrize(
    "change",
    [
        {"steps": "abc"},
        {"steps": -3},
        {"steps": 0},
        {"steps": True},
        {"steps": 10**12},
        {"steps": 1.5},
        {"batch_size": 0},
        {"optimiser": "lion"},
        {"optimiser": None},
        {"lr": -0.1},
        {"lr": float("nan")},
        {"warmup": 2.0},
        {"shift": -1},
        {"mixup": 1},
        {"span": [1]},
    ],
)
def test_a_recipe_that_nobody_can_train_by_is_one_line(change):
    (name,) = change
    with pytest.raises(DDCoreError, match=f"here is damaged: its recipe for mlp has {name} .*; --protocol ddcore"):
        read_recipe("mlp", recorded(Recipe()) | change, "here")


@pytest.mark.parametrize("change", [{"ngrams": 0}, {"ngrams": 4}, {"strength": -1.0}, {"ratio_power": -1.0}])
def test_a_fit_that_cannot_be_is_one_line(change):
    with pytest.raises(DDCoreError, match="its recipe for linear has"):
        read_recipe("linear", recorded(LinearRecipe()) | change, "here")
