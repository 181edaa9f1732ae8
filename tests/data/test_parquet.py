import datasets
import pytest

from ddcore.data.imdb import PUBLICATION
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
    found = read_split(reviews, PUBLICATION, "train", ("text", "label"))
    assert found["text"][3] == "review 3" and found["label"] == [0, 1, 0, 1, 0, 1]


def test_a_truncated_file_is_named_with_the_remedy(reviews):
    path = reviews / "imdb" / "plain_text" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DDCoreError, match=r"train-00000-of-00001\.parquet is truncated or damaged"):
        read_split(reviews, PUBLICATION, "train", ("text", "label"))


def test_missing_data_that_cannot_be_downloaded_says_what_to_do(tmp_path, monkeypatch):
    def offline(name):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(DDCoreError, match="DDCORE_DATA"):
        read_split(tmp_path, PUBLICATION, "train", ("text", "label"))


def test_a_download_is_kept_for_the_next_time(tmp_path, monkeypatch):
    part = datasets.Dataset.from_list([{"text": "good", "label": 1}])
    monkeypatch.setattr(datasets, "load_dataset", lambda name: {"train": part, "test": part})
    assert read_split(tmp_path, PUBLICATION, "train", ("text", "label"))["label"] == [1]
    monkeypatch.setattr(datasets, "load_dataset", lambda name: pytest.fail("downloaded twice"))
    assert read_split(tmp_path, PUBLICATION, "test", ("text", "label"))["text"] == ["good"]
