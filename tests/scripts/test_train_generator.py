"""A generator and the set that its codes become, as a user makes them, on the bundled digits at toy size."""

import json

import distill
import pytest
import train_baseline
import train_generator

from ddcore import DistilledSet

WORDS = ["--dataset", "digits", "--quick"]


def call(program, *words) -> int:
    return program.main([str(word) for word in words] + WORDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "generator"
    assert call(train_generator, "--out", out) == 0
    return out


def test_a_generator_is_left_with_its_record_and_a_picture(folder, capsys):
    record = json.loads((folder / "generator.json").read_text())
    assert record["dataset"] == "digits" and 0 < record["score"] <= 1 and record["step"] in (10, 20)
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "generator.json",
        "generator.safetensors",
        "grid.png",
        "result.json",
        "done",
        "logs",
    }
    before = (folder / "generator.safetensors").read_bytes()
    assert call(train_generator, "--out", folder) == 0 and "is finished" in capsys.readouterr().out
    assert (folder / "generator.safetensors").read_bytes() == before


def test_its_codes_become_a_set_with_a_teachers_labels(folder, capsys):
    teacher, made = folder.parent / "teacher", folder.parent / "gan"
    assert call(train_baseline, "--part", "fit", "--steps", 20, "--out", teacher) == 0
    words = ["gan", "--budget", 20, "--generator", folder, "--labels", "soft", "--teacher", teacher, "--steps", 2]
    assert call(distill, *words, "--out", made) == 0
    found = DistilledSet.load(made)
    assert len(found) == 20 and found.labels == "soft" and found.provenance["generator"]["name"] == "generator"


@pytest.mark.parametrize(
    "program, words, line",
    [
        (train_generator, ["--width", 0], "--width 0 is too small"),
        (train_generator, ["--check-net", "linear"], "does not read images"),
        (train_generator, ["--validation-net", "linear"], "does not read images"),
        (distill, ["gan", "--budget", 20], "needs --generator RUN_DIR"),
        (distill, ["gan", "--budget", 20, "--generator", "nowhere"], "nowhere holds no generator"),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path, capsys, program, words, line):
    assert call(program, *words, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and line in said


def test_texts_have_no_generator(review_data, tmp_path, capsys):
    assert train_generator.main(["--dataset", "imdb", "--data", str(review_data), "--out", str(tmp_path / "out")]) == 2
    assert "a generator makes images" in capsys.readouterr().err
