"""Every program that reads an earlier run, or data, notices that these have changed since its own run was made."""

import json
import shutil

import compare
import distill
import evaluate
import pytest
import select_subset
import train_baseline
import train_experts
import train_generator
from PIL import Image

DIGITS = ("--dataset", "digits")


def call(program, *words) -> int:
    return program.main([*map(str, words), "--quick"])


SOURCES = {
    "teacher": (train_baseline, ["--part", "fit", "--net", "mlp", "--steps", 5]),
    "set": (select_subset, ["random", "--budget", 20]),
    "experts": (train_experts, ["--experts", 1, "--net", "mlp", "--points", 2]),
    "generator": (train_generator, ["--steps", 2, "--validations", 1, "--validation-steps", 2]),
}
SOURCES["weights"] = SOURCES["teacher"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Put an earlier run in place of another one; each is made once."""
    home = tmp_path_factory.mktemp("sources")

    def put(name, seed, place) -> None:
        program, words = SOURCES[name]
        folder = home / f"{program.__name__}-{seed}"
        if not folder.exists():
            assert call(program, *words, "--seed", seed, *DIGITS, "--out", folder) == 0
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder, place)

    return put


SHORT = ("--steps", 1, "--validations", 1, "--validation-steps", 2)
COMPARED = ("--budget", 20, "--minutes", 0.001, "--net", "mlp", "--nets", "mlp", "--seeds", 1)
POISON = ("--objective", "poison", "--from-class", 3, "--to-class", 8, "--batches", 1, "--epochs", 1)
READERS = {
    "select_subset": (select_subset, ["random", "--budget", 20, "--labels", "soft"], "teacher"),
    "distill": (distill, ["dm", "--budget", 20, "--net", "mlp", "--labels", "soft", *SHORT], "teacher"),
    "distill experts": (distill, ["mtt", "--budget", 20, "--net", "mlp", *SHORT], "experts"),
    "distill generator": (distill, ["gan", "--budget", 20, "--net", "mlp", *SHORT], "generator"),
    "distill weights": (distill, ["dd", "--budget", 20, "--net", "mlp", *POISON], "weights"),
    "evaluate": (evaluate, ["--nets", "mlp", "--recipe", "default"], "set"),
    "compare": (compare, ["--methods", "random", *COMPARED], "teacher"),
    "compare experts": (compare, ["--methods", "mtt:net=mlp", *COMPARED], "experts"),
}


@pytest.mark.parametrize("reader", READERS)
def test_an_earlier_run_that_was_made_again_is_noticed(reader, source, tmp_path, capsys):
    program, words, name = READERS[reader]
    place, out = tmp_path / name, tmp_path / "out"
    words = [*words, *DIGITS, f"--{name}", place, "--out", out]
    source(name, 0, place)
    assert call(program, *words) == 0
    done = out / "done"
    kept = {path: path.read_bytes() for path in out.rglob("*.json") if path.name in ("set.json", "scores.json")}
    source(name, 1, place)
    for state in ("finished", "unfinished"):
        done.unlink() if state == "unfinished" and done.exists() else None
        assert call(program, *words) == 2, state
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"holds a run with other inputs (changed since: {name} {place}): choose another --out, or --" in said
    assert all(path.read_bytes() == content for path, content in kept.items())
    source(name, 0, place)  # the same bits again
    assert call(program, *words) == 0 and done.exists()


def test_fresh_makes_a_run_again_from_what_is_there_now(source, tmp_path):
    words = [evaluate, "--set", tmp_path / "set", "--nets", "mlp", "--recipe", "default", *DIGITS]
    configs = []
    for seed in (0, 1):
        source("set", seed, tmp_path / "set")
        assert call(*words, "--fresh", "--out", tmp_path / "out") == 0
        configs.append(json.loads((tmp_path / "out" / "config.json").read_text())["inputs"])
    assert (tmp_path / "out.old-1" / "done").exists() and configs[0]["set"] != configs[1]["set"]


@pytest.fixture
def split_pets(tmp_path, write_pictures):
    """Images with a test folder of their own."""
    write_pictures(tmp_path / "pets" / "train", {"cat": 30, "dog": 30})
    write_pictures(tmp_path / "pets" / "test", {"cat": 6, "dog": 6})
    return tmp_path / "pets"


def paint(pets) -> None:
    Image.new("L", (12, 12), 9).save(pets / "test" / "cat" / "000.png")


def move(pets) -> None:
    """Move the last cat of the test set to the dogs, of which it becomes the first."""
    (pets / "test" / "cat" / "005.png").rename(pets / "test" / "dog" / "!.png")


def add(pets) -> None:
    shutil.copy(pets / "test" / "cat" / "000.png", pets / "train" / "cat" / "new.png")


@pytest.mark.parametrize("change", [paint, move, add])
def test_data_that_have_changed_are_noticed_by_every_program(change, split_pets, tmp_path, capsys):
    calls = {
        "whole": (train_baseline, ["--net", "mlp", "--steps", 2]),
        "experts": (train_experts, ["--experts", 1, "--net", "mlp", "--points", 2]),
        "generator": (train_generator, ["--steps", 2, "--validation-steps", 2]),
        "set": (select_subset, ["random", "--budget", 4]),
        "small": (distill, ["dm", "--budget", 4, "--net", "mlp", *SHORT]),
        "compared": (compare, ["--methods", "random", *COMPARED[2:], "--budget", 4]),
    }
    for name, (program, words) in calls.items():
        assert call(program, *words, "--dataset", f"images:{split_pets}", "--out", tmp_path / name) == 0
    scores = [evaluate, "--set", tmp_path / "set", "--nets", "mlp", "--dataset", f"images:{split_pets}"]
    assert call(*scores, "--out", tmp_path / "scores") == 0
    change(split_pets)
    capsys.readouterr()
    for name, (program, words) in calls.items():
        assert call(program, *words, "--dataset", f"images:{split_pets}", "--out", tmp_path / name) == 2, name
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"{name} holds a run with other inputs (changed since: data images:{split_pets}): " in said
    assert call(*scores, "--out", tmp_path / "scores") == 2
    assert "another content" in capsys.readouterr().err


def test_a_named_data_set_that_has_changed_is_noticed(idx_data, tmp_path, write_idx, capsys):
    import torch

    words = ["--net", "mlp", "--steps", 2, "--dataset", "fashion_mnist", "--data", idx_data, "--out", tmp_path / "out"]
    assert call(train_baseline, *words) == 0
    labels = torch.arange(200).flip(0) % 10
    write_idx(idx_data / "FashionMNIST" / "raw", "train-labels-idx1-ubyte", labels)
    capsys.readouterr()
    assert call(train_baseline, *words) == 2
    assert "(changed since: data fashion_mnist)" in capsys.readouterr().err


def test_folders_of_before_are_read_without_a_word(source, tmp_path, capsys):
    place, out = tmp_path / "set", tmp_path / "out"
    source("set", 0, place)
    words = [evaluate, "--set", place, "--nets", "mlp", "--recipe", "default", *DIGITS, "--out", out]
    assert call(*words) == 0
    config = json.loads((out / "config.json").read_text())
    assert set(config.pop("inputs")) == {"data", "set"}
    (out / "config.json").write_text(json.dumps(config))
    source("set", 1, place)
    capsys.readouterr()
    assert call(*words) == 0
    said = capsys.readouterr()
    assert said.out == f"{out} is finished\n" and not said.err


def test_an_option_that_differs_is_named_rather_than_what_it_names(source, tmp_path, capsys):
    for seed in (0, 1):
        source("set", seed, tmp_path / f"set-{seed}")
    words = [evaluate, "--nets", "mlp", "--recipe", "default", *DIGITS, "--out", tmp_path / "out"]
    assert call(*words, "--set", tmp_path / "set-0") == 0
    assert call(*words, "--set", tmp_path / "set-1") == 2
    assert f"other options (set was {tmp_path}/set-0, now {tmp_path}/set-1)" in capsys.readouterr().err


def test_another_commit_is_said_and_not_refused(tmp_path, monkeypatch, capsys):
    out = tmp_path / "set"
    words = [select_subset, "random", "--budget", 20, *DIGITS, "--out", out]
    monkeypatch.setenv("DDCORE_COMMIT", "1" * 40)
    assert call(*words) == 0
    monkeypatch.setenv("DDCORE_COMMIT", "2" * 40)
    capsys.readouterr()
    assert call(*words) == 0
    assert f"warning: {out} was begun by ddcore at commit 1111111; this is commit 2222222\n" in capsys.readouterr().err
    (out / "done").unlink()
    assert call(*words) == 0
    environment = json.loads((out / "environment.json").read_text())
    assert (environment["commit"], environment["earlier_commits"]) == ("2" * 40, ["1" * 40])
