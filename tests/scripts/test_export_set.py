"""export_set.py writes into a folder of its own, and puts an earlier one aside only when asked."""

import pytest
import torch
from export_set import main

from ddcore.data.task import Scale
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.origin import Origin


@pytest.fixture
def folder(tmp_path):
    x, y = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1])
    DistilledSet("images", x, y, Origin("toy", ("a", "b"), "random"), Scale((0.5,), (0.5,))).save(tmp_path / "set")
    return tmp_path


def test_a_full_folder_is_refused_and_put_aside_if_asked(folder, capsys):
    words = ["--set", str(folder / "set"), "--out", str(folder / "out")]
    assert main(words) == 0 and (folder / "out" / "a" / "00000.png").exists()
    (folder / "out" / "a" / "00000.png").write_bytes(b"mine")
    assert main(words) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ") and "out is not empty: choose another --out, or --fresh" in line
    assert (folder / "out" / "a" / "00000.png").read_bytes() == b"mine"
    assert main([*words, "--fresh"]) == 0
    assert (folder / "out.old-1" / "a" / "00000.png").read_bytes() == b"mine"
    assert (folder / "out" / "a" / "00000.png").read_bytes() != b"mine"


def test_a_damaged_set_puts_nothing_aside(folder):
    (folder / "out").mkdir()
    (folder / "set" / "set.json").write_text("{")
    assert main(["--set", str(folder / "set"), "--out", str(folder / "out"), "--fresh"]) == 1
    assert not (folder / "out.old-1").exists()
