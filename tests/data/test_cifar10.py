import io

import datasets
import pytest
from PIL import Image

from ddcore.data.cifar10 import DATA_SET
from ddcore.errors import DDCoreError


def write_split(folder, split, rows):
    folder.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows).to_parquet(folder / f"{split}-00000-of-00001.parquet")


def write_colours(folder, kind):
    def encoded(level):
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32), (level, 0, 255)).save(buffer, format=kind)
        return {"bytes": buffer.getvalue(), "path": None}

    for split in ("train", "test"):
        write_split(folder / "cifar10" / "plain_text", split, [{"img": encoded(i), "label": i % 10} for i in range(20)])


def test_colour_images_are_decoded(tmp_path):
    write_colours(tmp_path, "PNG")
    task = DATA_SET.load(tmp_path)
    assert task.train.x.shape == (20, 3, 32, 32)
    assert task.train.x[7, :, 0, 0].tolist() == [7, 0, 255] and int(task.train.y[13]) == 3
    assert task.source.endswith("Hugging Face parquet")


def test_a_copy_that_was_compressed_again_says_so_beside_its_figures(tmp_path):
    write_colours(tmp_path, "JPEG")
    assert "compressed as JPEG" in DATA_SET.load(tmp_path).source


def picture(side=32, form="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", (side, side + 1 if side == 31 else side), (1, 2, 3)).save(buffer, format=form)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda row: {"image": row["img"], "label": row["label"]},
            r"has no column 'img' \(it has: image, label\): delete",
        ),
        (
            lambda row: {"img": row["img"], "labels": row["label"]},
            r"has no column 'label' \(it has: img, labels\): delete",
        ),
        (
            lambda row: {**row, "label": row["label"] or None},
            "has the label None, and labels are whole numbers from 0 to 9",
        ),
        (lambda row: {**row, "label": f"class {row['label']}"}, "has the label 'class 0', and labels"),
        (lambda row: {**row, "label": row["label"] - 1}, "has the label -1, and labels"),
        (lambda row: {**row, "label": row["label"] + 1}, "has the label 10, and labels"),
        (lambda row: {**row, "label": 0}, "has no members with the label 1"),
        (
            lambda row: {**row, "img": {"bytes": None, "path": "cat.png"}},
            "row 1 of the train part in .* holds no image",
        ),
        (lambda row: {**row, "img": None}, "row 1 of the train part in .* holds no image"),
        (lambda row: {**row, "img": "cat.png"}, "row 1 of the train part in .* holds no image"),
        (lambda row: {**row, "img": {"bytes": picture()[:60]}}, "the image in row 1 of the train part in .* is broken"),
        (lambda row: {**row, "img": {"bytes": b"GIF89a"}}, "the image in row 1 of the train part in .* is "),
        (
            lambda row: {**row, "img": {"bytes": picture(28)}},
            "the image in row 1 .* has 28x28 pixels, not 32x32: delete",
        ),
        (
            lambda row: {**row, "img": {"bytes": picture(31)}},
            "the image in row 1 .* has 31x32 pixels, not 32x32: delete",
        ),
    ],
)
def test_files_that_are_not_cifar10_are_one_line(tmp_path, change, told):
    rows = [{"img": {"bytes": picture(), "path": None}, "label": i % 10} for i in range(20)]
    write_split(tmp_path / "cifar10" / "plain_text", "train", [change(row) for row in rows])
    with pytest.raises(DDCoreError, match=told) as caught:
        DATA_SET.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_images_that_are_plain_bytes_are_read(tmp_path):
    rows = [{"img": picture(), "label": i % 10} for i in range(20)]
    write_split(tmp_path / "cifar10" / "plain_text", "train", rows)
    assert DATA_SET.load(tmp_path).train.x[19, :, 31, 31].tolist() == [1, 2, 3]
