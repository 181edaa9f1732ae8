"""Folders of pictures are written here by Pillow alone, as ImageFolder expects them; ours are read back."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from ddcore.sets.formats.exporting import export_set

NAMES = ("T-shirt-top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle-boot")


@pytest.fixture
def write(tmp_path, pixels, classes):
    """Write the members as pictures in folders of these names."""

    def written(names=NAMES):
        home = tmp_path / "pictures"
        for i, (picture, y) in enumerate(zip(pixels[:, 0].numpy(), classes.tolist(), strict=True)):
            (home / names[y]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(home / names[y] / f"{i:03}.png")
        return home

    return written


@pytest.mark.parametrize("names", [NAMES, "0123456789", [f"n{k:03}" for k in range(10)]])
def test_folders_are_classes_by_name_number_or_order(write, read, pixels, classes, names):
    small = read(write(names)).small
    assert torch.equal(small.x, pixels) and torch.equal(small.y, classes) and small.soft is None


def test_a_table_gives_classes_and_soft_labels(write, read, classes, fashion):
    home = write("abcdefghij")
    shares = (2 * torch.nn.functional.one_hot(classes, 10).double() + torch.arange(10)).softmax(1)
    files = sorted(path.relative_to(home).as_posix() for path in home.glob("*/*.png"))
    with open(home / "labels.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "class", *fashion.classes])
        for name, y, row in reversed(list(zip(files, classes.tolist(), shares.tolist(), strict=True))):
            table.writerow([name, fashion.classes[y], *(f"{share:.6f}" for share in row)])
    small = read(home).small
    assert torch.equal(small.y, classes) and torch.allclose(small.targets().double(), shares, atol=2e-6)


def test_our_folder_comes_back(write, read, tmp_path, pixels, classes):
    small = read(write()).small
    export_set(small, tmp_path / "out", "png")
    again = read(tmp_path / "out").small
    assert torch.equal(again.x, pixels) and torch.equal(again.y, classes) and again.soft is None


def test_normalised_images_come_back_within_a_level(write, read, tmp_path, fashion):
    from dataclasses import replace

    small = read(write()).small
    exact = fashion.inputs(small.x) + 0.01 * torch.randn(small.x.shape, generator=torch.Generator().manual_seed(0))
    soft = torch.randn(29, 10, generator=torch.Generator().manual_seed(1))
    export_set(replace(small, x=exact, soft=soft, temperature=2.0), tmp_path / "out", "png")
    again = read(tmp_path / "out").small
    assert (again.x.float() - 255 * fashion.scale.pixels(exact)).abs().max() <= 0.501
    assert torch.allclose(again.targets(), (soft / 2).softmax(1), atol=2e-6)


def test_pictures_of_another_size_and_other_files_are_refused(write, refused):
    home = write()
    Image.fromarray(np.zeros((28, 27), np.uint8)).save(home / "Bag" / "999.png")
    assert "999.png has 27x28 pixels, fashion_mnist has 28x28" in refused(home)
    Image.fromarray(np.zeros((28, 28), np.uint16)).save(home / "Bag" / "999.png")
    assert "999.png does not have 8 bits per channel" in refused(home)
    (home / "Bag" / "999.png").write_bytes(b"no picture")
    assert "999.png is not a readable image" in refused(home)
    (home / "Bag" / "999.png").rename(home / "Bag" / "999.txt")
    assert "999.txt is not a picture" in refused(home)


def test_another_number_of_folders_is_refused(write, refused):
    home = write()
    (home / "Bag").rename(home / "Bags")
    (home / "Hats").mkdir()
    assert "has 11 folders, none named as the 10 classes" in refused(home)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda rows: rows[1:], "does not begin with file,class"),
        (lambda rows: rows[:-1], "has no row for"),
        (lambda rows: [*rows, ["../../etc/passwd", *rows[1][1:]]], "names '../../etc/passwd', which is not there"),
        (lambda rows: [*rows[:-1], rows[-1][:-1]], "is damaged"),
        (lambda rows: [*rows[:-1], [*rows[-1][:-1], "x"]], "has a label that is not a number"),
        (lambda rows: [*rows[:-1], [*rows[-1][:-1], "nan"]], "neither class numbers nor probabilities"),
        (lambda rows: [*rows[:-1], [*rows[-1][:-1], "7"]], "neither class numbers nor probabilities"),
        (lambda rows: [[*rows[0][:2], *"abcdefghij"], *rows[1:]], "is damaged"),
    ],
)
def test_another_table_is_refused(write, read, refused, tmp_path, change, line):
    export_set(read(write()).small, tmp_path / "out", "png")
    table = tmp_path / "out" / "labels.csv"
    with open(table, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    with open(table, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(change(rows))
    assert line in refused(tmp_path / "out")
