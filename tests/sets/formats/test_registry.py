import pytest
import torch

from ddcore.errors import UsageError
from ddcore.sets.formats.registry import EXPORTED, FORMATS, IMPORTED, MODULES, guessed


def test_every_format_is_told_from_the_others_by_its_names(tmp_path):
    names = {
        "dc": ["res_DM_CIFAR10_ConvNet_10ipc.pt"],
        "mtt": ["m/images_best.pt", "m/labels_best.pt"],
        "datm": ["d/images_best.pt", "d/labels_best.pt", "d/lr_best.pt"],
        "idc": ["data_20000.pt"],
        "kip": ["a.npz"],
        "rat-bptt": ["a.h5"],
        "hf": ["h/data/train-00000-of-00001.parquet"],
        "png": ["p/cat/1.png"],
    }
    assert set(names) <= set(IMPORTED)
    for name, files in names.items():
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_bytes(b"")
        place = tmp_path / files[0].split("/")[0]
        assert guessed(place).name == name


def test_what_is_not_clear_asks_for_the_format(tmp_path):
    torch.save(1, tmp_path / "mine.pt")
    for path in (tmp_path / "mine.pt", tmp_path):
        with pytest.raises(UsageError, match="is not clear from its name: give --format, one of dc, mtt"):
            guessed(path)
    with pytest.raises(UsageError, match="is missing"):
        guessed(tmp_path / "none.pt")


def test_every_row_is_complete():
    assert len(FORMATS) == len(MODULES)
    for row in FORMATS.values():
        assert row.read or row.write
        assert all((row.title, row.kinds, row.layout, row.lacks, row.rounding, row.source))
        assert row.name in IMPORTED + EXPORTED
