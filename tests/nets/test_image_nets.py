import pytest
import torch

from ddcore.data.examples import Examples
from ddcore.data.images import image_task
from ddcore.kernels import soft_cross_entropy
from ddcore.nets.convnet import ConvNet
from ddcore.nets.registry import NETS, build_net
from ddcore.unroll import Flat, Step

SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
IMAGE_NETS = sorted(name for name, net in NETS.items() if net.kind == "images")


def task_of(shape, members=20):
    pixels = torch.randint(0, 256, (members, *shape), generator=torch.Generator().manual_seed(3)).to(torch.uint8)
    train = Examples(pixels, torch.arange(members) % 10)
    return image_task("toy", tuple("abcdefghij"), train, lambda: train, "made here")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("name", IMAGE_NETS)
def test_every_net_reads_every_image_task(name, shape):
    task = task_of(shape)
    net = build_net(name, task, 0)
    x = task.inputs(task.train.x[:4])
    logits = net(x)
    features = net.features(x)
    assert logits.shape == (4, 10)
    assert features.ndim == 2 and len(features) == 4
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("name", IMAGE_NETS)
def test_the_key_decides_the_weights(name):
    task = task_of((1, 8, 8))
    first, again, other = (build_net(name, task, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_convnet_is_the_fields():
    net = build_net("convnet-128", task_of((1, 28, 28)), 0)
    assert net.features(torch.zeros(1, 1, 28, 28)).shape == (1, 128 * 4 * 4)
    assert [name for name, _ in net.named_parameters() if "convolution.bias" in name] == []


@pytest.mark.parametrize(
    "side, blocks, last",
    [(28, 3, 4), (32, 3, 4), (48, 3, 6), (64, 4, 4), (96, 4, 6), (128, 5, 4), (224, 6, 3), (256, 6, 4)],
)
def test_convnet_has_a_block_more_each_time_the_side_doubles(side, blocks, last):
    net = build_net("convnet", task_of((3, side, side), 10), 0)
    assert len(net.blocks) == blocks
    assert net.features(torch.zeros(1, 3, side, side)).shape == (1, 32 * last * last)


def test_convnet_follows_the_shorter_side():
    assert len(build_net("convnet", task_of((3, 32, 128), 10), 0).blocks) == 3


def test_resnet18_has_the_stem_of_its_images():
    images = torch.zeros(1, 1, 96, 96)
    small, large = (build_net("resnet18", task_of((1, side, side), 10), 0) for side in (95, 96))
    planes = [net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(images))))) for net in (small.eval(), large.eval())]
    assert [tuple(each.shape[2:]) for each in planes] == [(96, 96), (24, 24)]
    assert [net.features(images).shape for net in (small, large)] == [(1, 512)] * 2


@pytest.mark.parametrize("members", [1, 3])
def test_convnet_s_own_derivatives_are_those_of_double_backward(members):
    draws = torch.Generator().manual_seed(0)
    flat = Flat(ConvNet((2, 6, 6), 3, 4, depth=2).double())
    theta = flat.start()
    sizes = ((len(theta),), (members, 2, 6, 6), (members, 3))
    along, x, y = (torch.randn(size, generator=draws, dtype=torch.float64) for size in sizes)
    y = y.softmax(1)
    leaf = theta.clone().requires_grad_()
    (g,) = torch.autograd.grad(soft_cross_entropy(flat(leaf, x), y).mean(), leaf, create_graph=True)
    (bent,) = torch.autograd.grad(g @ along, leaf)
    step = Step(flat, graphs="off")
    torch.testing.assert_close(step.slope(theta, x, y), g.detach())
    torch.testing.assert_close(step.curvature(theta, along, x, y).theta, bent)


@pytest.mark.parametrize("shape, size", [((1, 28, 28), 512 * 16), ((3, 32, 32), 512 * 16), ((3, 64, 64), 1024 * 16)])
def test_convnet_frepo_doubles_its_width_in_each_block(shape, size):
    net = build_net("convnet-frepo", task_of(shape, 10), 0)
    assert net.features(torch.zeros(1, *shape)).shape == (1, size)
    assert not any("gain" in name for name, _ in net.named_parameters())


def test_convnet_frepo_starts_as_flax_does():
    net = build_net("convnet-frepo", task_of((1, 28, 28), 10), 0)
    for layer in (net.convolutions[2], net.classifier):
        scale = layer.weight[0].numel() ** -0.5
        assert abs(float(layer.weight.detach().std()) / scale - 1) < 0.02
        # Cut at two standard deviations of the uncut distribution.
        assert 2.2 < float(layer.weight.detach().abs().max()) / scale < 2.28
        assert float(layer.bias.detach().abs().max()) == 0


@pytest.mark.parametrize("shape, size", [((1, 28, 28), 128 * 16), ((3, 32, 32), 128 * 16), ((3, 96, 70), 128 * 6 * 4)])
def test_convnet_bn_is_convnet_with_batch_norm(shape, size):
    task = task_of(shape, 10)
    net = build_net("convnet-bn-128", task, 0)
    assert net.features(torch.zeros(2, *shape)).shape == (2, size)
    convolutions = [name for name, _ in net.named_parameters() if "convolution" in name]
    assert convolutions == [
        name for name, _ in build_net("convnet-128", task, 0).named_parameters() if "convolu" in name
    ]


def test_convnet_bn_keeps_statistics_and_answers_by_them():
    task = task_of((1, 8, 8))
    net, x = build_net("convnet-bn", task, 0), task.inputs(task.train.x)
    before = net.eval()(x)
    net.train()(x)
    after = net.eval()(x)
    assert not torch.equal(before, after)
    torch.testing.assert_close(net(x[:1]), after[:1])
    again = build_net("convnet-bn", task, 1)
    again.load_state_dict(net.state_dict())
    assert torch.equal(again.eval()(x), after)
