"""Folders of another user, given to every option that takes a path: one line that names the folder."""

import compare
import distill
import evaluate
import export_set
import make_report
import pytest
import select_subset
import train_baseline

CASES = {
    "out": (train_baseline, ["--dataset", "PETS", "--quick", "--out", "LOCKED/inside"]),
    "out of a set": (select_subset, ["random", "--dataset", "PETS", "--budget", "4", "--out", "LOCKED"]),
    "data": (train_baseline, ["--dataset", "mnist", "--data", "LOCKED", "--out", "OUT"]),
    "images": (train_baseline, ["--dataset", "images:LOCKED", "--out", "OUT"]),
    "table": (train_baseline, ["--dataset", "text:LOCKED/table.csv", "--out", "OUT"]),
    "hugging face": (train_baseline, ["--dataset", "hf:LOCKED", "--out", "OUT"]),
    "teacher": (
        select_subset,
        ["el2n", "--dataset", "PETS", "--budget", "4", "--labels", "soft", "--teacher", "LOCKED", "--out", "OUT"],
    ),
    "experts": (distill, ["mtt", "--dataset", "PETS", "--budget", "4", "--experts", "LOCKED", "--out", "OUT"]),
    "generator": (distill, ["gan", "--dataset", "PETS", "--budget", "4", "--generator", "LOCKED", "--out", "OUT"]),
    "set": (evaluate, ["--dataset", "PETS", "--set", "LOCKED", "--out", "OUT"]),
    "export": (export_set, ["--set", "LOCKED", "--out", "OUT"]),
    "report": (make_report, ["LOCKED", "--out", "OUT"]),
    "comparison": (
        compare,
        [
            *("--dataset", "PETS", "--quick", "--budget", "4", "--minutes", "1", "--methods", "random"),
            *("--teacher", "LOCKED", "--out", "OUT"),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_folder_that_nobody_may_enter_is_one_line(tmp_path, pets, locked_up, capsys, name):
    program, words = CASES[name]
    locked, out = tmp_path / "locked", tmp_path / "out"
    (locked / "inside").mkdir(parents=True)
    for short, path in {"LOCKED": locked, "OUT": out, "PETS": f"images:{pets}"}.items():
        words = [word.replace(short, str(path)) for word in words]
    with locked_up(locked):
        code = program.main(words)
    said = capsys.readouterr().err
    assert code in (1, 2) and said.startswith("error: ") and said.count("\n") == 1, said
    assert "locked" in said


@pytest.mark.parametrize("file", ["set.json", "set.safetensors"])
def test_a_file_of_a_set_that_nobody_may_read_is_one_line(tmp_path, pets, locked_up, capsys, file):
    own = ["--dataset", f"images:{pets}", "--quick"]
    assert select_subset.main(["random", *own, "--budget", "4", "--out", str(tmp_path / "set")]) == 0
    capsys.readouterr()
    with locked_up(tmp_path / "set" / file):
        code = evaluate.main([*own, "--set", str(tmp_path / "set"), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert code == 1 and said.count("\n") == 1 and file in said and "Permission denied" in said
