from dataclasses import replace

import pytest
import torch

from ddcore.data import batch_of
from ddcore.methods.frepo import ONLINE
from ddcore.methods.frepo_pool import Turns
from ddcore.nets import build_net
from ddcore.training import small_image_recipe


@pytest.mark.parametrize("published", [False, True])
def test_networks_that_take_turns_are_trained_as_each_alone(toy, published):
    recipe = ONLINE if published else replace(small_image_recipe(toy, "mlp", "cpu"), steps=10)
    examples = batch_of(toy.train, torch.arange(8))
    examples = replace(examples, x=toy.inputs(examples.x))

    def fresh(seed):
        return build_net("mlp", toy, seed)

    shared, alone = (Turns(fresh(9), toy, examples, recipe, 0) for _ in range(2))
    shared.begin(fresh(0))
    first = shared.train(0, 2, (0,))
    shared.begin(fresh(1))
    shared.train(0, 3, (1,))
    shared.put(first)
    older = shared.train(int(first["age"]), 1, (2,))
    alone.begin(fresh(0))
    alone.train(0, 2, (0,))
    right = alone.train(2, 1, (2,))
    assert older.keys() == right.keys() and int(older["age"]) == 3
    assert all(torch.equal(older[name], right[name]) for name in right)
    assert any(not torch.equal(older[name], first[name]) for name in first if name.startswith("net."))
