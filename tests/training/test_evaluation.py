import json

import pytest
import torch

from ddcore.kernels import Rule
from ddcore.nets.registry import build_net
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.training.evaluation import Cell, confusion, evaluate, summary
from ddcore.training.loop import predict
from ddcore.training.recipes import Recipe
from ddcore.unroll.flat_params import Flat
from ddcore.unroll.schedule import Schedule

RECIPE = Recipe(steps=30, batch_size=20)


def session(folder) -> Session:
    return Session(Run(folder))


def cells_of(toy, seeds=(0, 1)) -> list[Cell]:
    return [Cell(toy.train, net, RECIPE, seed, f"{net}-{seed}") for net in ("default", "mlp") for seed in seeds]


def test_scores_hold_every_network_and_seed(toy, tmp_path):
    scores = evaluate(cells_of(toy), toy, toy.load_test(), session(tmp_path))
    assert scores["default"]["net"] == toy.default_net and set(scores) == {"default", "mlp"}
    for score in scores.values():
        accuracy = score["accuracy"]
        assert accuracy["n"] == 2 and accuracy["mean"] == pytest.approx(sum(accuracy["values"]) / 2)
        assert torch.tensor(score["confusion"]).sum() == 80
    assert scores["mlp"]["accuracy"]["mean"] > 0.9
    json.dumps(scores, allow_nan=False)


def test_a_finished_cell_is_never_computed_again(toy, tmp_path):
    first = evaluate(cells_of(toy, (0,)), toy, toy.load_test(), session(tmp_path))
    cell = tmp_path / "cells" / "mlp-0.json"
    cell.write_text(json.dumps(json.loads(cell.read_text()) | {"accuracy": 0.125}))
    again = evaluate(cells_of(toy, (0,)), toy, toy.load_test(), session(tmp_path))
    assert again["mlp"]["accuracy"]["values"] == [0.125]
    assert again["default"] == first["default"]


def test_the_same_seed_gives_the_same_score(toy, tmp_path):
    cell = [Cell(toy.train, "default", RECIPE, 3, "cell")]
    a, b = (evaluate(cell, toy, toy.load_test(), session(tmp_path / name)) for name in "ab")
    assert a["default"]["confusion"] == b["default"]["confusion"]


def test_trained_networks_can_be_kept(toy, tmp_path):
    kept = []
    evaluate(cells_of(toy, (5,)), toy, toy.load_test(), session(tmp_path), keep=lambda c, net: kept.append(c.name))
    assert kept == ["default-5", "mlp-5"]


def test_confusion_counts_true_rows_and_predicted_columns():
    table = confusion(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 2, 1, 1]), 3)
    assert table.tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 0]]


def test_the_spread_of_a_summary_is_the_samples(toy):
    results = [{"accuracy": a, "seconds": 1.0, "confusion": [[1, 0], [0, 1]]} for a in (0.8, 0.9)]
    accuracy = summary("default", toy, results)["accuracy"]
    assert accuracy["std"] == pytest.approx(0.0707107, abs=1e-6)
    assert summary("default", toy, results[:1])["accuracy"]["std"] == 0


def test_a_cell_can_follow_a_schedule_from_given_weights_and_tell_what_changed(toy, tmp_path):
    members = toy.train[torch.arange(4)]
    still = Schedule("mlp", torch.zeros(1), torch.tensor([[0, 1]]), start="given", poison=(0, 1))
    given = Flat(build_net("mlp", toy, 7)).start()
    cells = [Cell(members, "mlp", Recipe(), seed, f"mlp-{seed}", still, given) for seed in (0, 1)]
    test = toy.load_test()
    score = evaluate(cells, toy, test, session(tmp_path))["mlp"]
    own = predict(build_net("mlp", toy, 7), toy, test.x, device="cpu").argmax(1)
    right = float((own == test.y).double().mean())
    assert score["accuracy"]["values"] == score["before"]["values"] == [right, right]
    turned = float((own[test.y == 0] == 1).double().mean())
    assert score["turned"]["mean"] == score["turned_before"]["mean"] == turned and score["others_lose"]["mean"] == 0.0


def test_fresh_networks_that_follow_a_schedule_differ_by_seed(toy, tmp_path):
    members = toy.train[torch.arange(60)]
    schedule = Schedule("mlp", torch.full((30,), 0.05), torch.arange(60).view(3, 20).repeat(10, 1), Rule(momentum=0.9))
    cells = [Cell(members, "mlp", Recipe(), seed, f"mlp-{seed}", schedule) for seed in (0, 1)]
    score = evaluate(cells, toy, toy.load_test(), session(tmp_path))["mlp"]
    assert score["accuracy"]["mean"] > 0.8 and "before" not in score and score["seconds"] > 0
