import datasets
import numpy as np
import pytest
from datasets import Dataset, Features, Value

from ddcore.data.custom import parse
from ddcore.data.hf_cells import LATE, Cells
from ddcore.data.hf_columns import Split
from ddcore.errors import DDCoreError

FEATURES = Features(image={"bytes": Value("binary"), "path": Value("string")})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "a.png").write_bytes(b"file")
    return tmp_path / "pets"


def cells(folder, *parts):
    custom = parse(f"hf:{folder}")
    splits = [
        (Split(f"s{k}", Dataset.from_list([{"image": each} for each in part], features=FEATURES)), rows)
        for k, (part, rows) in enumerate(parts)
    ]
    return Cells(custom, "image", splits)


def held(content, path=None):
    return {"bytes": content, "path": path}


def test_bytes_and_files_come_in_the_order_of_the_rows(folder):
    path = str(folder / "a.png")
    source = cells(folder, ([held(b"x"), held(None, path), held(b"y", "z.png")], [2, 1]), ([held(b"v")], [0]))
    assert len(source) == 3 and list(source) == [
        (f"row 3 of the split 's0' of {folder}", b"y"),
        (path, folder / "a.png"),
        (f"row 1 of the split 's1' of {folder}", b"v"),
    ]


def test_bytes_alone_are_pictures_too(folder):
    rows = Dataset.from_dict({"image": [b"x", b"y"]}, features=Features(image=Value("binary")))
    assert Cells(parse(f"hf:{folder}"), "image", [(Split("train", rows), [0, 1])])[1][1] == b"y"


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        (None, "row 2 of the split 's0' of .* holds no image in the column 'image': remove the row"),
        (held(None), "row 2 of the split 's0' of .* holds no image"),
        (held(None, "/etc/hostname"), "row 2 of .* names a file outside the data's folder, which is not read"),
        (held(None, "a.png"), "outside the data's folder"),
        (held(None, "https://example.org/a.png"), "outside the data's folder"),
    ],
)
def test_what_is_no_picture_here_is_one_line(folder, cell, line):
    source = cells(folder, ([held(b"x"), cell], [0, 1]))
    assert source[0][1] == b"x"
    with pytest.raises(DDCoreError, match=line) as caught:
        source[1]
    assert "\n" not in str(caught.value)


def test_a_picture_has_the_state_of_its_file(folder, tmp_path):
    path = folder / "a.png"
    rows = Dataset.from_list([{"image": held(b"x")}, {"image": held(None, str(path))}], features=FEATURES)
    names, states = cells(folder, ([held(b"x"), held(None, str(path))], [1, 0])).states()
    assert names == [str(path), "s0 0"] and states.dtype == np.int64
    assert states[0].tolist()[0] == 4 and states[1].tolist() == [0, 0, LATE, LATE]
    rows.to_parquet(tmp_path / "saved" / "train.parquet")
    saved = datasets.load_dataset(str(tmp_path / "saved"), split="train", cache_dir=str(tmp_path / "cache"))
    names, states = Cells(parse(f"hf:{folder}"), "image", [(Split("train", saved), [0, 1])]).states()
    assert names == ["train 0", str(path)] and 0 < states[0, 2] < LATE
