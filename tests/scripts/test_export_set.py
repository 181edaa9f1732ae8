"""export_set.py writes into a folder of its own, and puts an earlier one aside only when asked."""

from pathlib import Path

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


def test_each_format_has_its_files_and_says_what_it_leaves_out(folder, capsys):
    assert main(["--set", str(folder / "set"), "--format", "mtt", "--out", str(folder / "out")]) == 0
    assert sorted(each.name for each in (folder / "out").iterdir()) == ["images_best.pt", "labels_best.pt"]
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("left out: ") and said[1].startswith("round trip: ")


def test_scores_and_a_licence_go_to_the_card_and_the_folder_to_the_hub(folder, capsys, monkeypatch):
    uploads = []
    monkeypatch.setattr("export_set.push_to_hub", lambda place, name: uploads.append((place, name)) or f"hub/{name}")
    scores = Path(__file__).parents[2] / "results" / "fashion_mnist-600" / "scores.json"
    words = ["--set", str(folder / "set"), "--format", "hf", "--out", str(folder / "out"), "--push-to-hub", "me/toy"]
    assert main([*words, "--licence", "cc0-1.0", "--scores", str(scores)]) == 0
    card = (folder / "out" / "README.md").read_text(encoding="utf-8")
    assert "license: cc0-1.0" in card and "own recipe, soft labels" in card
    assert uploads == [(folder / "out", "me/toy")] and "uploaded to hub/me/toy" in capsys.readouterr().out


def test_what_only_the_hub_takes_is_refused_elsewhere(folder, capsys):
    words = ["--set", str(folder / "set"), "--out", str(folder / "out")]
    for more in (["--push-to-hub", "me/toy"], ["--licence", "mit"]):
        assert main([*words, *more]) == 2
        assert capsys.readouterr().err.count("\n") == 1 and not (folder / "out").exists()
