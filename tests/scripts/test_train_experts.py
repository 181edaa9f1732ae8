"""Experts, and a set that is made with them, as a user calls the programs."""

import json

import distill
import evaluate
import pytest
import train_experts

from ddcore import DistilledSet


def call(program, *words) -> int:
    return program.main([str(word) for word in words] + ["--dataset", "digits", "--quick"])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("experts") / "experts"
    assert call(train_experts, "--net", "mlp", "--experts", 2, "--out", out) == 0
    return out


def test_experts_are_made_once(made, capsys):
    assert (made / "done").exists() and len(list(made.glob("expert-*"))) == 2
    record = json.loads((made / "experts.json").read_text())
    assert (record["points"], record["stride"], record["dataset"]) == (4, 5, "digits")
    assert json.loads((made / "result.json").read_text())["experts"] == 2
    before = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    assert call(train_experts, "--net", "mlp", "--experts", 2, "--out", made) == 0
    assert "is finished" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in made.iterdir()} == before


def test_a_set_is_made_with_them_and_evaluated_like_any_other(made, tmp_path):
    words = ["mtt", "--budget", 20, "--net", "mlp", "--experts", made]
    assert call(distill, *words, "--out", tmp_path / "set") == 0
    found = DistilledSet.load(tmp_path / "set")
    assert found.method == "mtt" and found.schedule is None and found.options["experts"] == str(made)
    assert call(evaluate, "--set", tmp_path / "set", "--nets", "mlp", "--out", tmp_path / "scores") == 0
    assert json.loads((tmp_path / "scores" / "scores.json").read_text())["protocol"]["schedule"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--net", "vgg"], "'vgg'"),
        (["--net", "resnet18"], "batch statistics"),
        (["--experts", "0"], "'0'"),
        (["--stride", "0"], "--stride 0 is too small"),
        (["--rate", "nan"], "--rate: 'nan' is not a finite number"),
        (["--points", "-1"], "--points -1 is too small"),
    ],
)
def test_options_that_make_no_sense(tmp_path, capsys, words, told):
    try:
        code = call(train_experts, *words, "--out", tmp_path / "out")
    except SystemExit as stopped:
        code = stopped.code
    said = capsys.readouterr().err
    assert code == 2 and not (tmp_path / "out" / "done").exists()
    assert said.count("\n") == 1 and said.startswith("error: ") and told in said


def test_texts_are_refused(review_data, tmp_path, capsys):
    words = ["--dataset", "imdb", "--data", review_data, "--net", "bag", "--out", tmp_path / "out"]
    assert train_experts.main([str(word) for word in words]) == 2
    assert "does not read text" in capsys.readouterr().err


def test_mtt_without_experts_says_how_to_make_them(tmp_path, capsys):
    assert call(distill, "mtt", "--budget", 20, "--out", tmp_path / "set") == 2
    assert capsys.readouterr().err.strip() == "error: mtt needs --experts DIR: make them with scripts/train_experts.py"
