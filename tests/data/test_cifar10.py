import io

import datasets
from PIL import Image

from ddcore.data.cifar10 import DATA_SET


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
