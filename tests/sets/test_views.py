import csv
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ddcore import DistilledSet
from ddcore.data.task import Scale
from ddcore.errors import UsageError
from ddcore.nets.embedding import Embedding
from ddcore.nets.words import words_of
from ddcore.sets.formats.exporting import export_set
from ddcore.sets.origin import Origin
from ddcore.sets.views import grid_png, members_text, pixels, write_views
from ddcore.unroll.schedule import Schedule


def image_set(channels: int = 1) -> DistilledSet:
    level = torch.linspace(0, 1, 6).view(6, 1, 1, 1).expand(6, channels, 8, 8)
    return DistilledSet(
        kind="images",
        x=((level - 0.5) / 0.25).contiguous(),
        y=torch.tensor([0, 0, 1, 1, 2, 2]),
        origin=Origin("toy", ("T-shirt/top", "b", "c"), "x"),
        scale=Scale((0.5,) * channels, (0.25,) * channels),
    )


def test_normalised_images_become_their_pixels():
    assert pixels(image_set())[:, 0, 0].tolist() == [0, 51, 102, 153, 204, 255]


def test_exported_files_hold_the_pixels_and_the_labels(tmp_path):
    made = image_set(channels=3)
    export_set(made, tmp_path, "png")
    rows = list(csv.DictReader((tmp_path / "labels.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == ["T-shirt/top"] * 2 + ["b"] * 2 + ["c"] * 2
    assert float(rows[2]["b"]) == 1
    for row, expected in zip(rows, pixels(made), strict=True):
        assert np.array_equal(np.asarray(Image.open(tmp_path / row["file"])), expected)


def test_a_set_with_a_schedule_and_its_prefix_are_exported_like_any_other(tmp_path):
    schedule = Schedule("mlp", torch.tensor([0.1]), torch.arange(6).view(1, 6))
    made = replace(image_set(), schedule=schedule, ordered=True)
    for name, each, count in (("whole", made, 6), ("cut", made.prefix(2), 2)):
        export_set(each, tmp_path / name, "png")
        write_views(each, tmp_path / name)
        assert len(list((tmp_path / name).glob("*/*.png"))) == count and (tmp_path / name / "grid.png").exists()


def test_the_grid_is_a_picture_with_a_row_a_class():
    picture = Image.open(io.BytesIO(grid_png(image_set())))
    assert picture.size[1] > 150


def many_classes(count: int, side: int = 8) -> DistilledSet:
    x, names = torch.zeros(count, 3, side, side, dtype=torch.uint8), tuple(f"class {c}" for c in range(count))
    return DistilledSet("images", x, torch.arange(count), Origin("toy", names, "x"), Scale((0.5,) * 3, (0.5,) * 3))


def test_the_grid_of_very_many_classes_is_bounded():
    first, more = (Image.open(io.BytesIO(grid_png(many_classes(count)))) for count in (100, 1000))
    assert first.size[1] == 100 * (56 + 2 + 10) - 10 and more.size[1] == first.size[1] + 30
    large = Image.open(io.BytesIO(grid_png(many_classes(120, 512))))
    assert large.size[0] * large.size[1] < 2**26


@pytest.mark.parametrize("name", ["$$", "$0_$50", "a$b", "\\frac{", "x" * 240, "a\nb", ""])
def test_a_name_of_a_class_is_never_a_formula(name):
    made = replace(image_set(), origin=Origin("toy", (name, "b", "c"), "x"))
    assert Image.open(io.BytesIO(grid_png(made))).size[0] < 2000


def test_made_texts_are_shown_by_the_words_nearest_to_their_vectors(review_task):
    words = words_of(review_task)
    table = torch.randn(words, 4, generator=torch.Generator().manual_seed(0))
    embedding = Embedding("here", "cnn", table, torch.ones(words, dtype=torch.bool))
    ids = review_task.train.x.sequence(0)[:3].long()
    made = DistilledSet(
        kind="embeddings",
        x=1.1 * table[ids][None],
        y=torch.tensor([1]),
        origin=Origin("imdb", ("neg", "pos"), "dm"),
        embedding=embedding,
    )
    shown = members_text(made, review_task.tokeniser)
    assert shown.startswith("[0] pos, 3 tokens\ni saw film")


@pytest.mark.parametrize(
    ("classes", "folders"),
    [
        (("", "..", "a"), ["-", "--", "a"]),
        (("a b", "a-b", "A-B"), ["a-b", "a-b-2", "A-B-3"]),
        (("/etc", "~", "a/../../b"), ["-etc", "-", "a-..-..-b"]),
        (("con\n", "\0", "x" * 300), ["con-", "-", "x" * 103]),
    ],
)
def test_exported_classes_stay_apart_and_in_their_folder(tmp_path, classes, folders):
    made = replace(image_set(), origin=Origin("toy", classes, "x"))
    export_set(made, tmp_path / "home" / "out", "png")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["out"]
    found = {path.parent.name[:103] for path in (tmp_path / "home" / "out").glob("*/*.png")}
    assert found == set(folders) and len(list((tmp_path / "home" / "out").glob("*/*.png"))) == 6


def test_pictures_of_others_are_not_overwritten(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "00002.png").write_bytes(b"theirs")
    (tmp_path / "file").write_text("theirs")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match=r"is not .*: choose another --out, or --fresh to put it aside"):
            export_set(image_set(), place, "png")
    assert (tmp_path / "b" / "00002.png").read_bytes() == b"theirs" and not (tmp_path / "labels.csv").exists()
