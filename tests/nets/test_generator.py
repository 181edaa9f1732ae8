import json
from dataclasses import replace

import pytest
import torch

from ddcore.data.task import Scale
from ddcore.errors import DDCoreError, UsageError
from ddcore.nets.generator import (
    build_discriminator,
    build_generator,
    generated,
    load_generator,
    pulled,
    save_generator,
)
from ddcore.runtime.files import load_tensors, save_tensors


def of_shape(task, shape):
    channels = shape[0]
    return replace(task, shape=shape, scale=Scale((0.3,) * channels, (0.2,) * channels))


@pytest.fixture
def net(toy):
    return build_generator(toy, 5, 4, 0).eval()


def codes(n, seed=0):
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (1, 9, 10), (1, 8, 16)])
def test_images_have_the_tasks_shape_and_lie_between_black_and_white(toy, shape):
    task = of_shape(toy, shape)
    net = build_generator(task, 5, 4, 0)
    x = net(20 * codes(6), torch.arange(6) % 2)
    assert x.shape == (6, *shape) and not torch.equal(x[0], x[2])
    pixels = x * 0.2 + 0.3
    assert pixels.min() >= -1e-6 and pixels.max() <= 1 + 1e-6
    assert build_discriminator(task, 4, 0)(x, torch.arange(6) % 2).shape == (6,)


def test_the_class_decides_too_once_its_norms_differ(net):
    z = codes(3)
    first, second = (generated(net, z, torch.full((3,), k)) for k in range(2))
    torch.testing.assert_close(first, second)
    net.norms[0].offset.weight.data[1] += 1.0
    assert not torch.allclose(first, generated(net, z, torch.ones(3, dtype=torch.int64)))


def test_a_members_image_does_not_depend_on_the_others(net):
    z, y = codes(7), torch.arange(7) % 2
    torch.testing.assert_close(generated(net, z, y)[2:3], generated(net, z[2:3], y[2:3]))


def test_gradients_are_pulled_back_to_the_codes_some_members_at_a_time(net, monkeypatch):
    z, y = codes(7), torch.arange(7) % 2
    slope = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    leaf = z.clone().requires_grad_()
    (wanted,) = torch.autograd.grad((net(leaf, y) * slope).sum(), leaf)
    monkeypatch.setattr("ddcore.nets.generator.MICRO", 3)
    torch.testing.assert_close(pulled(net, z, y, slope), wanted)


def test_the_discriminator_has_a_direction_a_class(toy):
    judge = build_discriminator(toy, 4, 0).eval()
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    zeros, ones = (judge(x, torch.full((4,), k)) for k in range(2))
    assert not torch.allclose(zeros, ones)


def test_a_generator_comes_back_with_its_notes(toy, net, tmp_path):
    save_generator(net, toy, tmp_path / "made", score=0.75, step=30)
    found = load_generator(tmp_path / "made", toy)
    z, y = codes(4), torch.arange(4) % 2
    assert torch.equal(generated(found.net, z, y), generated(net, z, y))
    assert found.notes == {"name": "made", "score": 0.75, "step": 30}
    assert not found.net.training and not any(p.requires_grad for p in found.net.parameters())


def test_generators_of_other_images_and_missing_ones_are_refused(toy, net, tmp_path):
    with pytest.raises(UsageError, match=r"holds no generator: train one with train_generator.py --dataset toy --out"):
        load_generator(tmp_path, toy)
    save_generator(net, toy, tmp_path)
    with pytest.raises(UsageError, match="was made from toy, not from mnist: train one with train_generator"):
        load_generator(tmp_path, replace(toy, name="mnist"))
    with pytest.raises(UsageError, match=r"has images of shape \(1, 8, 8\); those of the data have \(1, 28, 28\)"):
        load_generator(tmp_path, of_shape(toy, (1, 28, 28)))
    with pytest.raises(UsageError, match="has the classes low, high; the data have a, b"):
        load_generator(tmp_path, replace(toy, classes=("a", "b")))


@pytest.mark.parametrize("damage", ["cut", "not finite", "other shape", "no file", "no latent", "no json"])
def test_damaged_files_are_refused_with_one_line(toy, net, tmp_path, damage):
    save_generator(net, toy, tmp_path)
    path, record = tmp_path / "generator.safetensors", tmp_path / "generator.json"
    tensors, _ = load_tensors(path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:50])
    elif damage == "no file":
        path.unlink()
    elif damage == "no json":
        record.write_text("{")
    elif damage == "no latent":
        record.write_text(json.dumps({k: v for k, v in json.loads(record.read_text()).items() if k != "latent"}))
    else:
        changed = torch.full_like(tensors["end.bias"], torch.nan) if damage == "not finite" else torch.zeros(7)
        save_tensors(path, tensors | {"end.bias": changed})
    with pytest.raises(DDCoreError) as caught:
        load_generator(tmp_path, toy)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"latent": 10**9},
        {"latent": 4.5},
        {"latent": "abc"},
        {"width": 0},
        {"width": -1},
        {"shape": "ab"},
        {"shape": 3},
        {"classes": [1]},
        {"format": "1"},
        {"format": True},
        {"format": 99},
        {"score": "much"},
        {"step": []},
    ],
)
def test_a_field_of_a_wrong_kind_is_one_line(toy, net, tmp_path, change):
    save_generator(net, toy, tmp_path)
    path = tmp_path / "generator.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DDCoreError, match=r"generator\.json .*train one with train_generator\.py") as caught:
        load_generator(tmp_path, toy)
    assert "\n" not in str(caught.value)


def test_a_generator_of_other_data_is_refused_or_said(toy, net, tmp_path):
    own = replace(toy, name="images-photos", content="abc")
    save_generator(net, own, tmp_path)
    assert "note" not in load_generator(tmp_path, own).notes
    with pytest.raises(UsageError, match=r"another content of images-photos .*: train one with train_generator"):
        load_generator(tmp_path, replace(own, content="abd"))
    save_generator(net, toy, tmp_path)
    path = tmp_path / "generator.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"content": "0"}))
    assert "another copy or part of toy" in load_generator(tmp_path, toy).notes["note"]
    path.write_text(json.dumps({name: value for name, value in record.items() if name != "content"}))
    assert "does not say which content" in load_generator(tmp_path, toy).notes["note"]
