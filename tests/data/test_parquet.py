import shutil
from datetime import datetime

import datasets
import pytest

from ddcore.data.imdb import PUBLICATION
from ddcore.data.parquet import read_split
from ddcore.errors import DDCoreError
from ddcore.runtime import LOG


def write_split(folder, split, rows):
    write_split_as(folder / f"{split}-00000-of-00001.parquet", rows)


def write_split_as(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_list(rows).to_parquet(path)


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


def read(folder, split="train"):
    return read_split(folder, PUBLICATION, split, ("text", "label"))


def home(folder):
    return folder / "imdb" / "plain_text"


def test_all_parts_are_read_in_order_and_copies_are_not(reviews, monkeypatch):
    lines = []
    monkeypatch.setattr(LOG, "warning", lambda line, *values: lines.append(line % values))
    whole = home(reviews) / "train-00000-of-00001.parquet"
    shutil.copy(whole, home(reviews) / "train-00000-of-00001 (1).parquet")
    assert len(read(reviews)["label"]) == 6
    assert lines == [
        f"{home(reviews)}/train-00000-of-00001 (1).parquet is left out: it is not named as a part of a data set is"
    ]
    whole.rename(home(reviews) / "train-00001-of-00002-0a1b.parquet")
    write_split_as(home(reviews) / "train-00000-of-00002-9f8e.parquet", [{"text": "first", "label": 1}])
    assert read(reviews)["text"][:2] == ["first", "review 0"] and len(read(reviews)["label"]) == 7


@pytest.mark.parametrize(
    "names",
    [
        ["train-00000-of-00002.parquet"],
        ["train-00001-of-00002.parquet"],
        ["train-00000-of-00001.parquet", "train-00000-of-00001-ab12.parquet"],
        ["train-00000-of-00001.parquet", "train-00001-of-00002.parquet"],
        ["train-part.parquet"],
    ],
)
def test_parts_that_are_not_one_whole_are_refused(reviews, names):
    whole = home(reviews) / "train-00000-of-00001.parquet"
    whole.rename(home(reviews) / "kept")
    for name in names:
        shutil.copy(home(reviews) / "kept", home(reviews) / name)
    with pytest.raises(DDCoreError, match=r"must hold train-00000-of-0000N\.parquet and all that follow.*delete"):
        read(reviews)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"review": "good", "label": 1}], r"has no column 'text' \(it has: review, label\): delete"),
        ([{"text": "good", "stars": 1}], r"has no column 'label' \(it has: text, stars\): delete"),
        ([{"text": "good", "label": datetime(2020, 1, 1)}], "the column 'label' of .* holds dates or times"),
    ],
)
def test_other_columns_are_one_line(reviews, rows, told):
    write_split(home(reviews), "train", rows)
    with pytest.raises(DDCoreError, match=told):
        read(reviews)


@pytest.mark.parametrize("place", [".", "train-00000-of-00001.parquet"])
def test_what_may_not_be_read_is_one_line_and_not_downloaded(reviews, place, locked_up, monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda name: pytest.fail("downloaded"))
    with (
        locked_up((home(reviews) / place).resolve()),
        pytest.raises(DDCoreError, match=r"plain_text.* cannot be read: Permission denied"),
    ):
        read(reviews)
