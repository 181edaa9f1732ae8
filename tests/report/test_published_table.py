import json

import pytest

from ddcore.errors import DDCoreError
from ddcore.report.published_table import published_part, published_record

CELL = {
    "cell": "fashion_mnist-1-dc",
    "dataset": "fashion_mnist",
    "ipc": 1,
    "method": "DC",
    "protocol": {"name": "dc", "net": "convnet-128", "networks": 20, "sets": 5},
    "options": {"real_batch": 32},
    "steps": 340,
    "published_steps": 1000,
    "real_share": 0.0425,
    "sets": 2,
    "networks": 5,
    "seconds": [900.0, 910.0],
    "cpu_seconds": [880.0, 890.0],
    "accuracy": {"mean": 0.7, "std": 0.01, "n": 10, "values": [0.7] * 10},
    "environment": {"commit": "abcdef0123456789", "cpu": "a CPU"},
}


def test_a_record_stands_beside_the_figure_that_it_repeats(tmp_path):
    record = published_record(CELL, "python scripts/published.py")
    assert record["published"] == {
        "accuracy": 70.5,
        "kind": "hard labels",
        "source": "Zhao, Mopuri & Bilen 2021",
        "memory": False,
    }
    (tmp_path / "one.json").write_text(json.dumps(record))
    row = published_part(tmp_path).splitlines()[-1]
    assert row.startswith(
        "| Fashion-MNIST | 1 | DC | dc | 70.00 ± 1.00 | 70.5 | −0.5 | 340 | 1,000 | 32 | 4.25 | 2 x 5 | "
    )
    assert row.endswith("| 15.1 | a CPU | abcdef0123 |")
    record["environment"]["device"] = "a GPU"
    (tmp_path / "one.json").write_text(json.dumps(record))
    assert published_part(tmp_path).splitlines()[-1].endswith("| a GPU | abcdef0123 |")


def test_a_figure_from_memory_has_a_star(tmp_path):
    record = published_record({**CELL, "method": "DM", "cell": "fashion_mnist-1-dm"}, "")
    (tmp_path / "one.json").write_text(json.dumps(record))
    assert "| 71.5\\* |" in published_part(tmp_path)


def test_a_cell_without_a_figure_and_a_damaged_record_are_one_line(tmp_path):
    with pytest.raises(DDCoreError, match="no published figure of x is on record"):
        published_record({**CELL, "ipc": 3, "cell": "x"}, "")
    (tmp_path / "one.json").write_text(json.dumps(CELL | {"steps": "many"}))
    with pytest.raises(DDCoreError, match=r"one\.json is damaged"):
        published_part(tmp_path)


def test_cells_of_several_sizes_are_a_curve_up_to_the_published_figure(tmp_path):
    record = published_record(CELL, "python scripts/published.py")
    for share in (0.01, 0.1):
        accuracy = {**CELL["accuracy"], "mean": 0.5 + share}
        (tmp_path / f"{share}.json").write_text(json.dumps({**record, "real_share": share, "accuracy": accuracy}))
    text = published_part(tmp_path)
    assert "DC on Fashion-MNIST, 1 images per class: 51.0 % at 1 %, 60.0 % at 10 %; published 70.5 %" in text
    assert "](../results/published/published.svg)" in text and (tmp_path / "published.svg").stat().st_size > 1000


def test_a_single_size_is_no_curve(tmp_path):
    (tmp_path / "one.json").write_text(json.dumps(published_record(CELL, "python scripts/published.py")))
    assert "![" not in published_part(tmp_path) and not (tmp_path / "published.svg").exists()
