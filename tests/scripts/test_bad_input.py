"""Whatever a user gets wrong: one clear line, exit code 2 or 1, no traceback, and nothing already made is lost."""

import errno
import json
import os
import pickle
import re
import shutil
from pathlib import Path

import distill
import evaluate
import pytest
import select_subset
import train_baseline

from ddcore.runtime import files

PROGRAMS = {"train": train_baseline, "select": select_subset, "distill": distill, "evaluate": evaluate}


@pytest.fixture
def call(capsys):
    """Run a program and return its exit code and what it complained about."""

    def run(program: str, *words: object) -> tuple[int, str]:
        capsys.readouterr()
        try:
            code = PROGRAMS[program].main([str(word) for word in words])
        except SystemExit as stopped:  # argparse's own way to end
            code = stopped.code
        return code, capsys.readouterr().err

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A set of 20 digits with hard labels."""
    out = tmp_path_factory.mktemp("sets") / "set"
    assert select_subset.main(["random", "--dataset", "digits", "--quick", "--budget", "20", "--out", str(out)]) == 0
    return out


@pytest.fixture
def copied(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def is_one_line(said: str, *parts: str) -> None:
    assert said.count("\n") == 1 and said.startswith("error: "), said
    assert "Traceback" not in said
    for part in parts:
        assert part in said, said


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (["train", "--dataset", "stl10"], ["'stl10'", "digits", "fashion_mnist", "imdb"]),
        (["train", "--dataset", "digits", "--net", "vgg"], ["'vgg'", "convnet", "lenet"]),
        (["train", "--dataset", "digits", "--net", "linear"], ["'linear'", "images"]),
        (["select", "best", "--dataset", "digits", "--budget", "20"], ["'best'", "herding", "k-means", "margin"]),
        (["distill", "magic", "--dataset", "digits", "--budget", "20"], ["'magic'", "frepo", "cover"]),
        (["distill", "cover", "--dataset", "digits", "--budget", "20"], ["cover", "images"]),
    ],
)
def test_unknown_names_list_the_known_ones(call, tmp_path, words, known):
    code, said = call(*words, "--out", tmp_path / "out")
    assert code == 2 and not (tmp_path / "out" / "done").exists()
    is_one_line(said, *known)


def test_an_unknown_network_for_evaluation_lists_the_known_ones(call, made, tmp_path):
    code, said = call(
        "evaluate", "--dataset", "digits", "--set", made, "--nets", "default,vgg", "--out", tmp_path / "o"
    )
    assert code == 2
    is_one_line(said, "'vgg'", "convnet")


def test_missing_data_name_the_folder_and_the_remedy(call, tmp_path, monkeypatch):
    from torchvision.datasets import FashionMNIST

    def offline(self):
        raise RuntimeError("Error downloading")

    monkeypatch.setattr(FashionMNIST, "download", offline)
    words = ["--dataset", "fashion_mnist", "--data", tmp_path / "nothing", "--out", tmp_path / "out"]
    code, said = call("train", *words)
    assert code == 1
    is_one_line(said, str(tmp_path / "nothing"), "network", "--data")


def test_a_truncated_data_file_is_named_with_the_remedy(call, idx_data, tmp_path):
    path = idx_data / "FashionMNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    code, said = call("train", "--dataset", "fashion_mnist", "--data", idx_data, "--out", tmp_path / "out")
    assert code == 1
    is_one_line(said, str(path.parent), "delete")


@pytest.mark.parametrize("damage", ["pickle", "cut", "other numbers", "empty"])
def test_a_damaged_set_file_is_refused_unopened(call, copied, tmp_path, damage):
    path = copied / "set.safetensors"
    whole = path.read_bytes()

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    tampered = bytearray(whole)
    tampered[-200:] = bytes(200)
    path.write_bytes(
        {
            "pickle": pickle.dumps(Bomb()),
            "cut": whole[: len(whole) // 2],
            "empty": b"",
            "other numbers": bytes(tampered),
        }[damage]
    )
    code, said = call("evaluate", "--dataset", "digits", "--quick", "--set", copied, "--out", tmp_path / "out")
    assert code == 1 and not (tmp_path / "exploded").exists() and not (tmp_path / "out" / "done").exists()
    is_one_line(said, str(copied))


@pytest.mark.parametrize(
    "change", [{"format": 99}, {"classes": ["a"]}, {"members": 3}, {"recipes": {"default": {"steps": 1}}}]
)
def test_a_tampered_record_of_a_set_is_refused(call, copied, tmp_path, change):
    record = json.loads((copied / "set.json").read_text())
    (copied / "set.json").write_text(json.dumps(record | change))
    code, said = call("evaluate", "--dataset", "digits", "--quick", "--set", copied, "--out", tmp_path / "out")
    assert code == 1
    is_one_line(said, "copy")


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_folder_without_a_set_is_named(call, tmp_path, folder):
    code, said = call("evaluate", "--dataset", "digits", "--quick", "--set", tmp_path / folder, "--out", tmp_path / "o")
    assert code in (1, 2)
    is_one_line(said, str(tmp_path))


@pytest.mark.parametrize("program", [("select", "random"), ("distill", "frepo")], ids=["select", "distill"])
@pytest.mark.parametrize(
    ("budget", "told"),
    [("15", "10 or 20"), ("100000", "more than"), ("0", "'0'"), ("-5", "'-5'"), ("1e3", "'1e3'"), ("9" * 12, "'9999")],
)
def test_a_budget_that_cannot_be_had(call, tmp_path, program, budget, told):
    teacher = ["--teacher", tmp_path] if program[0] == "distill" else []
    words = [*program, "--dataset", "digits", *teacher, f"--budget={budget}", "--out", tmp_path / "out"]
    code, said = call(*words)
    assert code == 2
    is_one_line(said, told)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--seeds", "-1"],
        ["train", "--seeds", "99999999999"],
        ["train", "--seed", "-3"],
        ["train", "--part", "most"],
        ["train", "--steps", "0"],
        ["train", "--size", "5"],
        ["train", "--size", "1000000000"],
        ["train", "--profile", "tpu"],
        ["select", "random", "--budget", "20", "--temperature", "-2"],
        ["select", "random", "--budget", "20", "--temperature", "nan"],
        ["select", "random", "--budget", "20", "--labels", "soft"],
        ["distill", "frepo", "--budget", "20"],
        ["distill", "frepo", "--budget", "20", "--teacher", ".", "--steps", "-1"],
        ["distill", "frepo", "--budget", "20", "--teacher", ".", "--image-rate", "-0.1"],
        ["distill", "frepo", "--budget", "20", "--teacher", ".", "--image-rate", "nan"],
        ["distill", "frepo", "--budget", "20", "--teacher", "."],
        ["evaluate", "--seeds", "0"],
        ["evaluate", "--protocol", "mine"],
        ["evaluate", "--prefix", "0"],
        ["evaluate", "--prefix", "10"],
        ["evaluate", "--subset", "15"],
        ["evaluate", "--subset", "10", "--prefix", "10"],
        ["distill", "dm", "--budget", "20", "--augment", "mirror"],
        ["evaluate", "--weights", "."],
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense(call, made, tmp_path, words):
    given = ["--set", made] if words[0] == "evaluate" else []
    code, said = call(*words, "--dataset", "digits", "--quick", *given, "--out", tmp_path / "out")
    assert code == 2
    is_one_line(said)


def test_an_output_folder_that_cannot_be_written(call, tmp_path):
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "out"
    code, said = call("select", "random", "--dataset", "digits", "--quick", "--budget", 20, "--out", out)
    assert code == 1 and (tmp_path / "file").read_text() == "mine"
    is_one_line(said, str(out))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_disk_that_refuses_in_the_middle_loses_nothing(call, made, tmp_path, monkeypatch, number):
    out = tmp_path / "out"
    words = ["random", "--dataset", "digits", "--quick", "--budget", 20, "--out", out]
    real = os.replace

    def replace(source, target):
        if Path(target).name == "set.json":
            raise OSError(number, os.strerror(number))
        real(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    code, said = call("select", *words)
    assert code == 1 and not (out / "done").exists()
    is_one_line(said, os.strerror(number))
    monkeypatch.undo()
    assert call("select", *words)[0] == 0
    assert (out / "set.safetensors").read_bytes() == (made / "set.safetensors").read_bytes()


def test_a_run_folder_of_another_configuration_is_left_alone(call, copied):
    before = {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()}
    code, said = call("select", "random", "--dataset", "digits", "--quick", "--budget", 30, "--out", copied)
    assert code == 2 and {path.name: path.read_bytes() for path in copied.iterdir() if path.is_file()} == before
    is_one_line(said, "budget was 20, now 30", "--fresh")
    assert (
        call("select", "random", "--dataset", "digits", "--quick", "--budget", 30, "--out", copied, "--fresh")[0] == 0
    )
    assert (copied.parent / "copy.old-1" / "set.safetensors").read_bytes() == before["set.safetensors"]


def test_a_loss_that_is_not_finite(call, copied, tmp_path):
    record = json.loads((copied / "set.json").read_text())
    del record["record_sha256"]
    for recipe in record["recipes"].values():
        recipe.update(lr=1e30, kernel_lr=1e30, warmup=0.0)
    (copied / "set.json").write_text(json.dumps(record))
    out = tmp_path / "out"
    words = ["--dataset", "digits", "--quick", "--set", copied, "--nets", "mlp", "--out", out]
    code, said = call("evaluate", *words)
    assert code == 1 and not (out / "done").exists() and not (out / "scores.json").exists()
    is_one_line(said, "loss", "learning rate")


def test_debug_shows_the_traceback(call, tmp_path):
    code, said = call("train", "--dataset", "stl10", "--debug", "--out", tmp_path / "out")
    assert code == 2 and "Traceback" in said and re.search(r"^error: unknown data set", said, re.M)
