import io

import datasets
import pytest
from PIL import Image

from ddcore.data.images import cifar10, cifar100
from ddcore.data.parquet import read_split
from ddcore.errors import DDCoreError


def write_split(folder, split, rows):
    folder.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows).to_parquet(folder / f"{split}-00000-of-00001.parquet")


@pytest.fixture
def reviews(tmp_path):
    rows = [{"text": f"review {i}", "label": i % 2} for i in range(6)]
    write_split(tmp_path / "imdb" / "plain_text", "train", rows)
    return tmp_path


def test_columns_come_back_in_order(reviews):
    found = read_split(reviews, "imdb", "train")
    assert found["text"][3] == "review 3" and found["label"] == [0, 1, 0, 1, 0, 1]


def test_a_truncated_file_is_named_with_the_remedy(reviews):
    path = reviews / "imdb" / "plain_text" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DDCoreError, match=r"train-00000-of-00001\.parquet is truncated or damaged"):
        read_split(reviews, "imdb", "train")


def test_missing_data_that_cannot_be_downloaded_says_what_to_do(tmp_path, monkeypatch):
    def offline(name):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DDCoreError, match="DDCORE_DATA"):
        read_split(tmp_path, "imdb", "train")


def test_a_download_is_kept_for_the_next_time(tmp_path, monkeypatch):
    part = datasets.Dataset.from_list([{"text": "good", "label": 1}])
    monkeypatch.setattr(datasets, "load_dataset", lambda name: {"train": part, "test": part})
    assert read_split(tmp_path, "imdb", "train")["label"] == [1]
    monkeypatch.setattr(datasets, "load_dataset", lambda name: pytest.fail("downloaded twice"))
    assert read_split(tmp_path, "imdb", "test")["text"] == ["good"]


def write_colours(folder, kind):
    def encoded(level):
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32), (level, 0, 255)).save(buffer, format=kind)
        return {"bytes": buffer.getvalue(), "path": None}

    for split in ("train", "test"):
        write_split(folder / "cifar10" / "plain_text", split, [{"img": encoded(i), "label": i % 10} for i in range(20)])


def test_colour_images_are_decoded(tmp_path):
    write_colours(tmp_path, "PNG")
    task = cifar10(tmp_path)
    assert task.train.x.shape == (20, 3, 32, 32)
    assert task.train.x[7, :, 0, 0].tolist() == [7, 0, 255] and int(task.train.y[13]) == 3
    assert task.source.endswith("Hugging Face parquet")


def test_a_copy_that_was_compressed_again_says_so_beside_its_figures(tmp_path):
    write_colours(tmp_path, "JPEG")
    assert "compressed as JPEG" in cifar10(tmp_path).source


def test_cifar100_has_its_fine_classes(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (1, 2, 3)).save(buffer, format="PNG")
    image = {"bytes": buffer.getvalue(), "path": None}
    rows = [{"img": image, "fine_label": i, "coarse_label": i % 20} for i in range(100)]
    for split in ("train", "test"):
        write_split(tmp_path / "cifar100" / "cifar100", split, rows)
    task = cifar100(tmp_path)
    assert task.train.x.shape == (100, 3, 32, 32) and task.train.y.tolist() == list(range(100))
    assert (task.classes[1], task.classes[99], len(task.classes)) == ("aquarium_fish", "worm", 100)
    monkeypatch.setattr(datasets, "load_dataset", lambda name: (_ for _ in ()).throw(ConnectionError(name)))
    with pytest.raises(DDCoreError, match=r"cifar100 is not in .* DDCORE_DATA"):
        cifar100(tmp_path / "nothing")
