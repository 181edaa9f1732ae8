"""Every program that reads an earlier run, or data, notices that these have changed since its own run was made."""

import json
import shutil
import sys
from typing import ClassVar

import compare
import distill
import evaluate
import pytest
import select_subset
import torch
import train_baseline
import train_experts
import train_generator
from PIL import Image

from ddcore.api import load_task
from ddcore.comparison.comparison import Comparison
from ddcore.comparison.draws import draws_of
from ddcore.comparison.entries import entries
from ddcore.errors import UsageError
from ddcore.problem import Problem
from ddcore.runtime.files import save_tensors, write_json
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.selection.random_choice import RandomChoice
from ddcore.selection.selected import selected_set
from ddcore.sets.origin import Origin
from ddcore.training.protocol import SetEvaluation
from ddcore.training.teacher import Teacher

DIGITS = ("--dataset", "digits")


def call(program, *words) -> int:
    return program.main([*map(str, words), "--quick"])


class Nothing(list):
    """What a program that makes a set gets from the work that is left out."""

    provenance: ClassVar[dict] = {}
    origin = Origin("", (), "")


@pytest.fixture(autouse=True)
def idle(monkeypatch):
    """Leave out the work of every program: each only opens and finishes its run."""

    def finished(answer):
        def work(*words, **options):
            session = next(each for each in (*words, *options.values()) if isinstance(each, Session))
            session.finish({})
            return answer

        return work

    monkeypatch.setattr(select_subset, "select", finished(Nothing()))
    monkeypatch.setattr(distill, "distill", finished(Nothing()))
    monkeypatch.setattr(SetEvaluation, "run", finished({}))
    monkeypatch.setattr(Comparison, "run", lambda *words: {"cells": [], "failed": {}})
    monkeypatch.setattr(compare, "write_comparison", lambda *words: [])
    for program in (train_baseline, train_experts, train_generator):
        monkeypatch.setattr(program, program.__name__, finished(None))


def make(name, seed, folder) -> None:
    """Write what an earlier run would have left in a folder, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    value = torch.full((1437, 10), float(seed))
    if name == "set":
        task = load_task("digits")
        selected_set(RandomChoice(), Problem(task, 20, task.fit, seed=seed), Session()).save(folder)
    elif name == "teacher":
        Teacher(value, None, "mlp", "teacher").save(folder)
    elif name in ("experts", "generator"):
        write_json(folder / f"{name}.json", {"score": seed})
    else:
        save_tensors(folder / "weights-0.safetensors", {"x": value})


BUDGET = ("--budget", 20)
COMPARED = ("--methods", "random", "--minutes", 1, *BUDGET)
READERS = {
    "select_subset": (select_subset, ["random", *BUDGET, "--labels", "soft"], "teacher"),
    "distill": (distill, ["dm", *BUDGET, "--labels", "soft"], "teacher"),
    "distill words": (distill, ["dm", *BUDGET], "embedding"),
    "distill experts": (distill, ["mtt", *BUDGET], "experts"),
    "distill generator": (distill, ["gan", *BUDGET], "generator"),
    "distill weights": (distill, ["dd", *BUDGET, "--objective", "adapt"], "weights"),
    "evaluate": (evaluate, ["--nets", "mlp"], "set"),
    "compare": (compare, COMPARED, "teacher"),
}


@pytest.mark.parametrize("reader", READERS)
def test_an_earlier_run_that_was_made_again_is_noticed(reader, tmp_path, capsys):
    program, words, name = READERS[reader]
    place, out = tmp_path / name, tmp_path / "out"
    words = [program, *words, *DIGITS, f"--{name}", place, "--out", out]
    make(name, 0, place)
    assert call(*words) == 0
    make(name, 1, place)
    for state in ("finished", "unfinished"):
        (out / "done").unlink() if state == "unfinished" and (out / "done").exists() else None
        assert call(*words) == 2, state
        said = capsys.readouterr().err.splitlines()[-1]
        assert (
            f"holds a run with other inputs (changed since: {name} {place}): choose another --out, or --fresh" in said
        )
    make(name, 0, place)  # the same bits again
    assert call(*words) == 0 and (out / "done").exists()
    make(name, 1, place)
    assert call(*words, "--fresh") == 0 and (tmp_path / "out.old-1").exists() and call(*words) == 0


NET = """
from torch import nn

def build(task):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear({width}), nn.ReLU(), nn.LazyLinear(len(task.classes)))
"""
BUILDERS = {
    "train_baseline": (train_baseline, "--net", []),
    "select_subset": (select_subset, "--net", ["el2n", *BUDGET]),
    "evaluate": (evaluate, "--nets", ["--set", "small"]),
    "compare": (compare, "--nets", COMPARED),
}


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_source_file_of_a_custom_network_is_an_input(builder, tmp_path, capsys, monkeypatch):
    program, option, words = BUILDERS[builder]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    source = tmp_path / f"net_of_{builder}.py"
    source.write_text(NET.format(width=8))
    make("set", 0, tmp_path / "small")
    named = f"{source.stem}:build" if option == "--net" else f"mlp,{source.stem}:build"
    words = [program, *words, *DIGITS, option, named, "--out", "out"]
    assert call(*words) == 0 == call(*words)
    source.write_text(NET.format(width=16))
    capsys.readouterr()
    assert call(*words) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"out holds a run with other inputs (changed since: {option.strip('-')} " in said and source.stem in said
    source.write_text(NET.format(width=8))
    assert call(*words) == 0


def test_each_cell_of_a_comparison_notices_what_its_own_options_name(tmp_path):
    make("experts", 0, tmp_path / "experts")
    (entry,) = entries("mtt", {"experts": str(tmp_path / "experts")})
    (draw,) = draws_of(entry, 1)
    session = Session(Run(tmp_path / "out"))
    cells = Comparison(None, session, None)
    cells._open(draw).finish({})
    assert cells._open(draw).finished
    make("experts", 1, tmp_path / "experts")
    with pytest.raises(UsageError, match=r"cells/mtt holds a run with other inputs \(changed since: experts\): "):
        cells._open(draw)


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
        "whole": (train_baseline, []),
        "experts": (train_experts, []),
        "generator": (train_generator, []),
        "set": (select_subset, ["random", "--budget", 4]),
        "small": (distill, ["dm", "--budget", 4]),
        "compared": (compare, [*COMPARED, "--budget", 4]),
    }
    for name, (program, words) in calls.items():
        assert call(program, *words, "--dataset", f"images:{split_pets}", "--out", tmp_path / name) == 0
    task = load_task(f"images:{split_pets}")
    selected_set(RandomChoice(), Problem(task, 4, task.fit), Session()).save(tmp_path / "made")
    scores = [evaluate, "--set", tmp_path / "made", "--nets", "mlp", "--dataset", f"images:{split_pets}"]
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
    words = ["--net", "mlp", "--steps", 2, "--dataset", "fashion_mnist", "--data", idx_data, "--out", tmp_path / "out"]
    assert call(train_baseline, *words) == 0
    labels = torch.arange(200).flip(0) % 10
    write_idx(idx_data / "FashionMNIST" / "raw", "train-labels-idx1-ubyte", labels)
    capsys.readouterr()
    assert call(train_baseline, *words) == 2
    assert "(changed since: data fashion_mnist)" in capsys.readouterr().err


def test_test_members_of_a_named_data_set_are_inputs_of_what_reads_them(idx_data, tmp_path, write_idx, capsys):
    words = ["--dataset", "fashion_mnist", "--data", idx_data, "--out"]
    task = load_task("fashion_mnist", idx_data)
    selected_set(RandomChoice(), Problem(task, 20, task.fit), Session()).save(tmp_path / "made")
    readers = {
        "all": [train_baseline, "--net", "mlp"],
        "scores": [evaluate, "--set", tmp_path / "made", "--nets", "mlp"],
        "compared": [compare, *COMPARED],
    }
    others = {"teacher": [train_baseline, "--net", "mlp", "--part", "fit"], "set": [select_subset, "random", *BUDGET]}
    for name, program in {**readers, **others}.items():
        assert call(*program, *words, tmp_path / name) == 0
    config = tmp_path / "all" / "config.json"
    write_idx(idx_data / "FashionMNIST" / "raw", "t10k-labels-idx1-ubyte", torch.arange(50).flip(0) % 10)
    for name, program in {**readers, **others}.items():
        capsys.readouterr()
        assert call(*program, *words, tmp_path / name) == (2 if name in readers else 0), name
        assert ("(changed since: test fashion_mnist)" in capsys.readouterr().err) == (name in readers)
    before = json.loads(config.read_text())
    del before["inputs"]["test"]  # as earlier versions wrote it
    config.write_text(json.dumps(before))
    assert call(*readers["all"], *words, tmp_path / "all") == 0


def test_folders_of_before_are_read_without_a_word(tmp_path, capsys):
    place, out = tmp_path / "set", tmp_path / "out"
    make("set", 0, place)
    words = [evaluate, "--set", place, "--nets", "mlp", *DIGITS, "--out", out]
    assert call(*words) == 0
    config = json.loads((out / "config.json").read_text())
    assert set(config.pop("inputs")) == {"data", "test", "set"}
    (out / "config.json").write_text(json.dumps(config))
    make("set", 1, place)
    capsys.readouterr()
    assert call(*words) == 0
    said = capsys.readouterr()
    assert said.out == f"{out} is finished\n" and not said.err


def test_an_option_that_differs_is_named_rather_than_what_it_names(tmp_path, capsys):
    for seed in (0, 1):
        make("set", seed, tmp_path / f"set-{seed}")
    words = [evaluate, "--nets", "mlp", *DIGITS, "--out", tmp_path / "out"]
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
