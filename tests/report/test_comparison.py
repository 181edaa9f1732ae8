"""Tables and picture of a comparison: what was measured apart from what was published, kinds of labels apart."""

import json
import re
from pathlib import Path

import pytest

from ddcore.report.comparison import (
    commits_of,
    measured_tables,
    published_table,
    same_sets,
    transfer_table,
    write_comparison,
)
from ddcore.report.figure_minutes import side_by_side
from ddcore.report.literature import CLASSES, PAPERS, PUBLISHED, published
from ddcore.report.markdown import lines
from ddcore.report.tables import Table


def score(mean, n=3):
    return {"mean": mean, "std": 0.004, "n": n, "values": [mean] * n, "seconds": 1.0}


def cell(title, labels, hard, soft, **more):
    kinds = {"hard": {"convnet": score(hard)}, "soft": {"convnet": score(soft)}}
    kinds[labels]["mlp"] = score(0.5)
    fair = {"ior": 0.01, "hlr": 0.08, "alpha": -0.035, "lrs": 0.2548}
    return {
        "title": title,
        "way": title.split(":")[0],
        "labels": labels,
        "members": 500,
        "several_a_slot": False,
        "scores": kinds,
        "fair": {"hard": fair, "soft": fair},
        "own_steps": None,
        "seconds": 900.0,
        "validation": None,
        "pace": None,
        "peak_memory_bytes": 2 * 10**9,
        "peak_gpu_memory_bytes": None,
    } | more


@pytest.fixture
def record():
    protocol = {
        "dataset": "fashion_mnist",
        "source": "here",
        "classes": 10,
        "budget": 500,
        "minutes": 15.0,
        "net": "convnet",
        "others": ["mlp"],
        "recipes": {"convnet": {"steps": 1000}},
        "seeds": [1000, 1001],
        "teacher": "resnet-s2d",
        "temperature": 4.0,
    }
    own = {"net": "mlp", "steps": 40, "start": "random", "labels": "hard", **score(0.86)}
    cells = [
        cell("random", "hard", 0.842, 0.869, seconds=0.5),
        cell("dm", "hard", 0.853, 0.871, validation={"start": 0.8301, "best": 0.8456}, pace={"steps": 2067}),
        cell("dm:moments=2", "hard", 0.854, 0.8715),
        cell("frepo", "soft", 0.846, 0.8885),
        cell("rat-bptt", "hard", 0.847, 0.87, own_steps=own),
    ]
    return {
        "protocol": protocol,
        "cells": cells,
        "whole": None,
        "skipped": {"cover": "cover does not read images"},
        "failed": {},
    }


def column(table, name):
    return [row[table.headers.index(name)] for row in table.rows]


def under_protocol(record, name, net):
    """The same comparison as if it had been measured under a published protocol, on a network."""
    for each in record["cells"]:
        for kind in each["scores"].values():
            kind[net] = kind.pop("convnet")
    recipes = {net: {"steps": 1000}}
    protocol = {**record["protocol"], "evaluation": {"name": name}, "net": net, "recipes": recipes}
    return {**record, "protocol": protocol}


def test_measured_and_published_figures_have_columns_of_their_own(record):
    record = under_protocol(record, "dsa", "convnet-128")
    ((_, table),) = measured_tables(record)
    assert column(table, "convnet-128, hard labels, %")[:2] == ["84.20 ± 0.40", "85.30 ± 0.40"]
    assert column(table, "published: hard labels") == ["", "88.2*", "", "", ""]
    assert "published: soft or learned labels" not in table.headers
    assert "published: multi-formation" not in table.headers
    theirs = {each.shown for each in published("fashion_mnist", 50)}
    for name in table.headers:
        assert name.startswith("published") or not theirs & set(column(table, name))


def test_scores_costs_and_own_steps_are_shown_in_their_units(record):
    ((_, table),) = measured_tables(record)
    assert column(table, "own steps, %") == ["", "", "", "", "86.00 ± 0.40"]
    assert column(table, "over random, hard")[1] == "+1.00" and column(table, "HLR")[1] == "+8.00"
    assert column(table, "alpha")[1] == "−3.50" and column(table, "LRS, %")[1] == "25.48"
    assert column(table, "mlp, hard") == ["50.00", "50.00", "50.00", "", "50.00"]
    assert column(table, "mlp, soft") == ["", "", "", "50.00", ""]
    assert column(table, "validation, start → best")[:2] == ["", "83.01 → 84.56"]
    assert column(table, "outer steps")[:2] == ["", "2,067"]
    assert column(table, "minutes")[1] == "15.00" and column(table, "peak memory")[1] == "2.00\u00a0GB"


def test_the_command_stands_at_the_end(record, tmp_path):
    write_comparison(record | {"command": "python scripts/compare.py --methods dm"}, tmp_path)
    text = (tmp_path / "comparison.md").read_text()
    assert text.rstrip().endswith("```") and "python scripts/compare.py --methods dm" in text.split("## The command")[1]


def test_sets_with_several_images_a_slot_stand_in_a_table_of_their_own(record):
    record["cells"].append(cell("gan", "hard", 0.88, 0.89, several_a_slot=True))
    (_, one), (title, several) = measured_tables(record)
    assert "gan" not in column(one, "set") and column(several, "set") == ["gan"] and "multi-formation" in title


def test_slots_label_bytes_and_controls_are_told(record, tmp_path):
    cim = cell("cim", "hard", 0.88, 0.89, several_a_slot=True, factor=2, members=400, controls=["start of cim"])
    cim["above_controls"] = {"start of cim": {"hard": True, "soft": False}}
    start = cell("start of cim", "hard", 0.861, 0.892, several_a_slot=True, factor=2, members=400)
    mosaics = cell("rded", "hard", 0.85, 0.87, tiles=2, members=100)
    record["cells"] += [cim, start, mosaics]
    record["protocol"]["teacher_accuracy"] = 0.9175
    (_, one), (_, several) = measured_tables(record)
    assert column(several, "stored images") == ["100, decoded to 400"] * 2
    assert column(one, "stored images") == [""] * 5 + ["100, of 4 small ones each"]
    assert column(one, "label bytes, soft")[0] == "20,000" and column(several, "label bytes, soft")[0] == "16,000"
    write_comparison(record, tmp_path)
    ((_, live), _) = measured_tables(under_protocol(record, "rded", "convnet-128"))
    assert set(column(live, "label bytes, soft")) == {"0, asked crop by crop"}
    text = (tmp_path / "comparison.md").read_text()
    line = "hard labels +1.90 points, more than both spreads; soft labels −0.20 points, not more than both spreads."
    assert f"cim beside start of cim: {line}" in text
    assert "The teacher is resnet-s2d, right for 91.75 % of the validation split, its labels" in text


def test_without_a_teacher_the_soft_column_is_there_and_empty(record):
    for each in record["cells"]:
        del each["scores"]["soft"], each["fair"]["soft"]
    record["cells"] = [each for each in record["cells"] if each["labels"] == "hard"]
    ((_, table),) = measured_tables(record)
    assert set(column(table, "convnet, soft labels, %")) == {""} and "mlp, soft" not in table.headers


def test_rows_of_other_networks_say_with_which_labels(record):
    table = transfer_table(record["cells"])
    assert table.headers == ("set", "trained with", "convnet", "mlp") and len(table.rows) == 5
    assert table.rows[-1] == ("frepo", "soft labels", "88.85 ± 0.40", "50.00 ± 0.40")


def test_the_files_hold_everything_and_are_the_same_again(record, tmp_path):
    write_comparison(record, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"comparison.json", "comparison.md", "comparison.svg"}
    write_comparison(record, tmp_path)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = json.loads(before["comparison.json"])
    assert kept["cells"] == record["cells"] and {"source", "memory"} <= set(kept["published"][0])
    page = before["comparison.md"].decode()
    assert "cover does not read images." in page and "](comparison.svg)" in page
    measured, theirs = page.split("## Published by others")
    assert "Zhao & Bilen 2023" in theirs and "Zhao" not in measured


def with_measures(record, measure):
    """The same record as this version writes it."""
    record["protocol"]["measure"] = measure
    for number, each in enumerate(record["cells"]):
        for kind in each["scores"].values():
            for score in kind.values():
                loss = {"mean": 0.5 + number / 10, "std": 0.01, "n": 3, "values": []}
                score |= {"accuracy": {**score}, "log_loss": loss, "recall": {"bag": 0.9, "coat": 0.25, "hat": None}}
                score["balanced_accuracy"] = {**score["accuracy"], "mean": 0.6}
        if number:
            each["above_random"] = {"hard": number != 1, "soft": True}
    return record


def test_other_measures_have_columns_and_rows_not_above_random_a_mark(record, tmp_path):
    ((_, table),) = measured_tables(with_measures(record, "accuracy"))
    marked = [text.endswith("not above random") for text in column(table, "convnet, hard labels, %")]
    assert marked == [False, True, False, False, False]
    assert column(table, "balanced accuracy, hard, %")[0] == "60.00 ± 0.40"
    assert column(table, "log-loss, hard")[:2] == ["0.5000", "0.6000"]
    assert set(column(table, "lowest recall, soft, %")) == {"coat 25.0"}
    write_comparison(record, tmp_path)
    text = (tmp_path / "comparison.md").read_text()
    assert "The scores are accuracies." in text and "85.30 ± 0.40, not above random" in text


def drawn(record):
    """The same record with two sets of each row, and one of dm."""

    def joined(score, *means):
        values = [mean + shift for mean in means for shift in (-0.001, 0.001)]
        return score | {"mean": sum(means) / len(means), "n": len(values), "values": values, "seeds": [1000, 1001]}

    for each in with_measures(record, "accuracy")["cells"]:
        means = (0.8, 0.82) if each["title"] != "dm" else (0.85,)
        for nets in each["scores"].values():
            for net, score in nets.items():
                nets[net] = joined(score, *means)
        each["draws"] = [{"title": each["title"], "set": f"{k}"} for k in range(len(means))]
        each["reading"] = {"hard": {"number": 3, "of": 4, "decisions": 0, "numbers": [2, 3]}}
    return record


def test_rows_of_several_sets_have_both_spreads_with_their_names(record, tmp_path):
    ((_, table),) = measured_tables(drawn(record))
    head = "convnet, hard labels, %: mean ± between sets (between networks)"
    assert column(table, head)[:2] == ["81.00 ± 1.41 (0.14)", "85.00 (0.40), not above random"]
    assert column(table, "sets")[:2] == ["2 sets", "1 set"] and column(table, "reading, hard")[0] == "2, 3 of 4"
    moved = transfer_table(record["cells"])
    assert moved.headers[2] == "convnet: mean ± between sets (between networks)"
    assert moved.rows[0][2] == "81.00 ± 1.41 (0.14)"
    write_comparison(record | {"command": "compare.py --draws 2"}, tmp_path)
    text = (tmp_path / "comparison.md").read_text()
    for said in ("spread between sets: the standard", "spread between networks: the standard", "made once (1 set)"):
        assert said in text
    assert "by more than the sum of both rows' spreads between sets (0 for 1 set)" in text
    assert "networks of each kind on every set of a row" in text and "sum of both standard deviations" not in text
    record["cells"][0]["draws"][1]["set"] = "0"
    assert column(measured_tables(record)[0][1], "sets")[0] == "2 sets, 1 different"


def test_rows_that_end_as_the_same_sets_are_told():
    def row(title, *digests):
        return {"title": title, "scores": {}, "draws": [{"set": digest} for digest in digests]}

    assert same_sets([row("a", "x", "y"), row("b", "x", "y"), row("c", "x", "z")]) == [
        "a and b ended as the same sets."
    ]
    where = {"commit": "c" * 40, "cpu": "EPYC"}
    sets = [{"environment": where}] * 5
    assert commits_of([{"title": "a", "draws": sets}]) == f"Measured at commit {'c' * 10} (5 sets) on EPYC."


def test_the_table_says_that_its_scores_are_balanced(record, tmp_path):
    write_comparison(with_measures(record, "balanced_accuracy"), tmp_path)
    text = (tmp_path / "comparison.md").read_text()
    assert "The scores are balanced accuracies" in text and "accuracy, hard, %" in text


def test_data_sets_and_budgets_without_published_figures_have_no_such_columns(record, tmp_path):
    record["protocol"]["dataset"] = "digits"
    ((_, table),) = measured_tables(record)
    assert not [name for name in table.headers if name.startswith("published")]
    write_comparison(record, tmp_path)
    assert "Published" not in (tmp_path / "comparison.md").read_text()
    assert {each.ipc for each in published("cifar10", 10)} == {10} and not published("cifar10", None)


def test_every_published_figure_has_a_source_a_class_and_a_network():
    assert all(each.method in PAPERS and each.kind in CLASSES and each.net for each in PUBLISHED)
    assert len({(e.dataset, e.method, e.ipc, e.note) for e in PUBLISHED}) == len(PUBLISHED)
    table = published_table(published("fashion_mnist", 50))
    row = next(row for row in table.rows if row[0] == "IDC")
    assert [bool(re.match(r"\d", text)) for text in row[2:6]] == [False, False, True, False]


def test_times_that_are_alike_are_drawn_side_by_side():
    drawn = side_by_side([15.0, 0.0, 15.1, 15.2])
    assert drawn[0] < drawn[2] < drawn[3] and drawn[2] == pytest.approx(15.1) and drawn[1] == pytest.approx(1 / 600)


def test_a_table_in_a_terminal_has_its_columns_in_line():
    table = Table(("set", "%"), [("random", "9.5"), ("dm", "10.25")], numbers=(1,))
    assert lines(table) == ["set         %", "------  -----", "random    9.5", "dm      10.25"]


@pytest.mark.parametrize(
    "folder", sorted(Path(__file__).parents[2].glob("results/compare/*")), ids=lambda path: path.name
)
def test_committed_comparisons_are_not_stale(folder, tmp_path):
    record = json.loads((folder / "comparison.json").read_text())
    record.pop("published")
    write_comparison(record, tmp_path)
    for file in ("comparison.md", "comparison.json"):
        assert (tmp_path / file).read_text() == (folder / file).read_text()


def test_entries_that_end_as_the_same_set_are_told():
    def cell(title, values, digest=None):
        return {"title": title, "set": digest, "scores": {"hard": {"convnet": {"values": values}}}}

    assert same_sets([cell("a", [0.5]), cell("b", [0.5]), cell("c", [0.6])]) == [
        "a and b have the same scores, to the last digit."
    ]
    assert same_sets([cell("a", [0.5], "x"), cell("b", [0.6], "x"), cell("c", [0.6], "y")]) == [
        "a and b ended as the same set."
    ]


def test_commits_of_cells_are_counted_or_not_claimed():
    cells = [{"title": name, "environment": {"commit": name * 40, "cpu": "EPYC"}} for name in "aab"]
    assert commits_of(cells) == "Measured at commit aaaaaaaaaa (2 rows), bbbbbbbbbb (1 rows) on EPYC."
    cells[1]["environment"] |= {"device": "NVIDIA H100", "started": "2026-12-02"}
    assert commits_of(cells).endswith("on EPYC, NVIDIA H100, started 2026-12-02.")
    cells[2]["environment"]["started"] = "2026-12-01"
    assert commits_of(cells).endswith("on EPYC, NVIDIA H100, started from 2026-12-01 to 2026-12-02.")
    assert commits_of([{"title": "a"}]) == "The commits and machines of these rows are not on record."
    assert "unknown (1 rows)" in commits_of([*cells, {"title": "c"}])


@pytest.mark.parametrize("name, net", [("ddcore", "convnet"), ("dsa", "convnet"), ("dc", "convnet-128")])
def test_published_figures_do_not_stand_beside_those_of_another_protocol_or_network(record, name, net):
    record["cells"] = record["cells"][:2]
    ((_, table),) = measured_tables(
        record if net == "convnet" and name == "ddcore" else under_protocol(record, name, net)
    )
    assert not [head for head in table.headers if head.startswith("published")]
