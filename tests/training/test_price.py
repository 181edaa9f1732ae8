import re
from dataclasses import replace

import torch

from ddcore.nets import operations
from ddcore.training.evaluation import Cell
from ddcore.training.price import price_line
from ddcore.training.protocols import PROTOCOLS


def test_the_line_counts_images_and_operations(toy):
    members = toy.train[torch.arange(10)]
    recipe = replace(PROTOCOLS["dc"].published_recipe(toy, 10), steps=40, turn=20)
    cells = [Cell(members, "convnet", recipe, seed, f"convnet-{seed}") for seed in range(3)]
    test = toy.load_test()
    line = price_line(cells, toy, test, torch.device("cpu"))
    assert line.startswith(f"3 networks, 1,200 images to train on and {3 * len(test)} to test on, ")
    assert re.search(r"about \d+ minutes on one process$", line)
    wanted = operations("convnet", toy) * (3 * 1200 + 3 * len(test)) / 1e12
    assert abs(float(re.search(r"([\d.,]+) TFLOP", line)[1]) - wanted) <= 0.05


def test_smaller_last_batches_and_drawn_batches_are_counted_as_they_are(toy):
    members = toy.train[torch.arange(10)]
    for name, images in (("dc", 100), ("rcig", 240)):
        recipe = replace(PROTOCOLS[name].published_recipe(toy, 10), batch_size=8, steps=20 if name == "dc" else 30)
        recipe = replace(recipe, turn=10)
        line = price_line([Cell(members, "mlp", recipe, 0, "mlp-0")], toy, toy.load_test(), torch.device("cpu"))
        assert line.startswith(f"1 network, {images} images to train on")
