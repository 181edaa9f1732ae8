"""Files of DC are written here as DC writes them, by torch alone."""

import numpy as np
import torch

from ddcore.sets.formats.importing import Details, import_set


def test_the_last_set_of_a_file_is_read(tmp_path, toy):
    x, y = (toy.train.x[:4].float() / 255 - 0.2) / 0.5, toy.train.y[:4]
    accuracies = {"ConvNet": [np.float64(0.5), np.float64(0.25)]}
    path = tmp_path / "res_DSA_toy_ConvNet_2ipc.pt"
    torch.save({"data": [[torch.zeros_like(x), y], [x, y]], "accs_all_exps": accuracies}, path)
    small = import_set(path, Details(toy, normalisation="0.2,0.5")).small
    assert torch.equal(small.x, toy.train.x[:4]) and torch.equal(small.y, y) and small.method == "dsa"
