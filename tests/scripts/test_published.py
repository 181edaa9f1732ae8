import json

import published
import pytest

from ddcore.comparison import PUBLISHED_CELLS, PublishedCell
from ddcore.report import published_table
from ddcore.report.literature import Published


@pytest.fixture
def digits(monkeypatch):
    """A cell on the digits that come with scikit-learn, and a figure for it."""
    options = {"steps": 2, "real_batch": 4, "net": "mlp"}
    cell = PublishedCell("digits", 1, "DM", "dm", "dsa", 20000, options, sets=1, networks=1)
    monkeypatch.setitem(PUBLISHED_CELLS, "digits-1-dm", cell)
    row = Published("digits", "DM", 1, 50.0, "hard labels", "ConvNet")
    monkeypatch.setattr(published_table, "published", lambda dataset, ipc: [row])


def words(out, *more):
    return ["--cell", "digits-1-dm", "--dataset", "digits", "--quick", "--out", str(out), *more]


def test_a_cell_s_record_has_the_figure_and_the_command(digits, tmp_path, capsys):
    assert published.main(words(tmp_path / "run", "--ledger", str(tmp_path / "ledger.jsonl"))) == 0
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["published"]["accuracy"] == 50 and record["command"].startswith("python scripts/published.py --cell")
    assert "published 50.0 %, dsa protocol" in capsys.readouterr().out
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 1
    assert published.main(words(tmp_path / "run")) == 0
    assert published.main(words(tmp_path / "run", "--steps", "3")) == 2
    assert "steps was None, now 3" in capsys.readouterr().err
    assert published.main(words(tmp_path / "other", "--steps", "3", "--real-batch", "5")) == 0
    record = json.loads((tmp_path / "other" / "record.json").read_text())
    assert record["steps"] == 3 and record["options"]["real_batch"] == 5
    assert record["command"].endswith(
        "--steps 3 --real-batch 5 --out runs/published/digits-1-dm-3 --record results/published"
    )


def test_another_data_set_and_an_unknown_cell_are_one_line(digits, tmp_path, capsys):
    argv = words(tmp_path / "run")
    argv[3] = "mnist"
    assert published.main(argv) == 2
    assert capsys.readouterr().err == "error: --cell digits-1-dm needs --dataset digits\n"
    with pytest.raises(SystemExit) as stop:
        published.main(["--cell", "mine", "--dataset", "digits", "--out", str(tmp_path)])
    assert stop.value.code == 2
