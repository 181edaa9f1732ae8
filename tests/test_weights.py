import pytest
import torch

from ddcore.errors import DDCoreError, UsageError
from ddcore.flat import Flat
from ddcore.nets import build_net
from ddcore.runs import save_tensors
from ddcore.weights import load_weights


def keep(folder, task, seeds, net="mlp"):
    for seed in seeds:
        save_tensors(folder / f"weights-{seed}.safetensors", dict(build_net(net, task, seed).state_dict()))


def test_networks_come_back_in_the_order_of_their_seeds(toy, tmp_path):
    keep(tmp_path, toy, (0, 2, 10))
    found = load_weights(tmp_path, "mlp", toy)
    for theta, seed in zip(found, (0, 2, 10), strict=True):
        assert torch.equal(theta, Flat(build_net("mlp", toy, seed)).start())


def test_missing_foreign_and_damaged_networks_are_refused(toy, tmp_path):
    with pytest.raises(UsageError, match=r"holds no networks.*train_baseline.py --net mlp"):
        load_weights(tmp_path, "mlp", toy)
    keep(tmp_path, toy, (0,), "convnet")
    with pytest.raises(UsageError, match=r"is not a mlp for \(1, 8, 8\) images of 2 classes"):
        load_weights(tmp_path, "mlp", toy)
    path = tmp_path / "weights-0.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DDCoreError, match="not a readable safetensors"):
        load_weights(tmp_path, "convnet", toy)
