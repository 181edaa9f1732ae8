import io

import datasets
import pytest
from PIL import Image

from ddcore.data.cifar100 import DATA_SET
from ddcore.errors import DDCoreError


def write_split(folder, split, rows):
    folder.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows).to_parquet(folder / f"{split}-00000-of-00001.parquet")


def test_cifar100_has_its_fine_classes(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (1, 2, 3)).save(buffer, format="PNG")
    image = {"bytes": buffer.getvalue(), "path": None}
    rows = [{"img": image, "fine_label": i, "coarse_label": i % 20} for i in range(100)]
    for split in ("train", "test"):
        write_split(tmp_path / "cifar100" / "cifar100", split, rows)
    task = DATA_SET.load(tmp_path)
    assert task.train.x.shape == (100, 3, 32, 32) and task.train.y.tolist() == list(range(100))
    assert (task.classes[1], task.classes[99], len(task.classes)) == ("aquarium_fish", "worm", 100)
    monkeypatch.setattr(datasets, "load_dataset", lambda name: (_ for _ in ()).throw(ConnectionError(name)))
    with pytest.raises(DDCoreError, match=r"cifar100 is not in .* DDCORE_DATA"):
        DATA_SET.load(tmp_path / "nothing")
