"""The derivatives of an inner step on a virtual GPU, as CUDA graphs, also for batches with a remainder."""

import gc

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ddcore.nets import convnet
from ddcore.nets.convnet import ConvNet
from ddcore.nets.lenet import LeNet
from ddcore.nets.mlp import MLP
from ddcore.nets.resnet_gn import ResNetGN
from ddcore.unroll import Flat, RealLoss, Step
from tests.virtual_gpu.device import CPU, GPU

MICRO = 5
NETS = {
    "convnet": lambda: ConvNet((1, 8, 8), 3, 4),
    "lenet": lambda: LeNet((1, 28, 28), 3),
    "mlp": lambda: MLP((1, 8, 8), 3),
    "resnet-gn": lambda: ResNetGN((1, 8, 8), 3, (4, 4, 8), 2),
    "custom": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Tanh(), nn.Linear(5, 3)),
}


def batch(n, shape):
    x, y = torch.randn(n, *shape), torch.randn(n, 3).softmax(1)
    return x, y


@pytest.mark.parametrize("name", NETS)
def test_the_derivatives_are_those_of_the_host_for_every_batch(gpu, name):
    torch.manual_seed(0)
    shape = (1, 28, 28) if name == "lenet" else (1, 8, 8)
    steps = [Step(Flat(NETS[name]().to(device)), micro=MICRO) for device in (GPU, CPU)]
    theta = steps[1].flat.start()
    steps[0].flat.load(theta.to(GPU))
    batches = {n: batch(n, shape) for n in (MICRO, MICRO + 1)}
    along = torch.randn_like(theta)
    for _ in range(2):
        for x, y in batches.values():
            here, there = (
                [
                    *step.gradient(theta.to(device), x.to(device), y.to(device)),
                    *vars(step.curvature(*(each.to(device) for each in (theta, along, x, y)))).values(),
                ]
                for step, device in zip(steps, (GPU, CPU), strict=True)
            )
            for ours, right in zip(here, there, strict=True):
                torch.testing.assert_close(ours.cpu(), right, rtol=1e-3, atol=1e-5)
        gc.collect()
    assert gpu.ledger.launches["graph"] == 12
    assert ("norm_act_pool" in " ".join(gpu.ledger.triton)) == (name == "convnet")


def test_the_outer_loss_is_differentiated_without_a_wait(gpu):
    step = Step(Flat(NETS["convnet"]().to(GPU)), micro=MICRO)
    x, y = (each.to(GPU) for each in batch(MICRO + 1, (1, 8, 8)))
    theta = step.flat.start().to(GPU).requires_grad_()
    gpu.ledger.clear()
    torch.autograd.grad(RealLoss(step, x, y)(theta), theta)
    assert gpu.ledger.totals()["syncs"] == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_no_convolution_converts_planes_or_weights(gpu, monkeypatch, channels):
    step = Step(Flat(ConvNet((channels, 16, 16), 3, 8).to(GPU)), graphs="off")
    x, y = (each.to(GPU) for each in batch(MICRO, (channels, 16, 16)))
    theta, given = step.flat.start().to(GPU), []

    def watched(work, count):
        def call(*tensors, **options):
            # The references that stand for kernels convolve in the host's memory.
            if gpu.on:
                given.append(tensors[:count])
            return work(*tensors, **options)

        return call

    monkeypatch.setattr(F, "conv2d", watched(F.conv2d, 2))
    monkeypatch.setattr(convnet, "convolution_backward", watched(convnet.convolution_backward, 3))
    step.gradient(theta, x, y)
    step.curvature(theta, theta, x, y)
    # Of the first block, a fused one convolves nothing.
    assert len(given) == 2 + 2 + 4 + 4 + (0 if channels == 1 else 3)
    assert all(each.is_contiguous(memory_format=torch.channels_last) for tensors in given for each in tensors)
