import pytest
import torch

from ddcore.sets.formats.class_order import order_line


@pytest.mark.parametrize("normalised", [False, True])
def test_the_order_of_the_data_set_is_confirmed(fashion, pixels, classes, normalised):
    x = fashion.inputs(pixels) if normalised else pixels
    assert order_line(x, classes, fashion) == "class order: as that of fashion_mnist; " + (
        "10 of 10 mean images are nearest to their own class"
    )


def test_another_order_is_found_and_named(fashion, pixels, classes):
    names = sorted(fashion.classes)
    line = order_line(pixels, torch.tensor([names.index(fashion.classes[y]) for y in classes]), fashion)
    assert line.startswith("warning: the class order contradicts fashion_mnist: T-shirt/top looks like Ankle boot; ")
    assert f"--classes '{','.join(names)}'" in line


def test_two_classes_are_told_by_both_halves_of_their_members(toy):
    x, y = toy.train.x[:12], toy.train.y[:12]
    assert order_line(x, y, toy).endswith("2 of 2 mean images are nearest to their own class")
    first, second = toy.classes
    assert f"{first} looks like {second}; {second} looks like {first}; if" in order_line(x, 1 - y, toy)
    assert "too few or too unlike" in order_line(x[:4], y[:4], toy)


def test_noise_tells_nothing(fashion, classes):
    noise = torch.randint(0, 256, (29, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert "too few or too unlike the real ones to tell" in order_line(noise, classes, fashion)


def test_a_class_without_members_is_said(fashion, pixels, classes):
    assert "because a class has no members" in order_line(pixels[2:], classes[2:], fashion)


def test_two_swapped_classes_of_real_images_are_found(real_data):
    from ddcore.data.registry import load_task

    task = load_task("fashion_mnist", real_data)
    chosen = torch.cat([(task.train.y == k).nonzero().flatten()[:10] for k in range(10)])
    x, y = task.train.x[chosen], task.train.y[chosen]
    assert order_line(x, y, task).startswith("class order: as that of")
    swapped = torch.tensor([1, 0, 2, 3, 4, 5, 6, 7, 8, 9])[y]
    assert "T-shirt/top looks like Trouser; Trouser looks like T-shirt/top; if" in order_line(x, swapped, task)
