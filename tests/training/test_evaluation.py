import json
import math

import pytest
import torch

from ddcore.kernels import Rule
from ddcore.nets.registry import build_net
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.training.evaluation import (
    Cell,
    balanced_accuracy,
    confusion,
    evaluate,
    headline,
    log_loss,
    recalls,
    summary,
)
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
    counts = torch.eye(len(toy.classes), dtype=torch.int64).tolist()
    results = [{"accuracy": a, "seconds": 1.0, "confusion": counts} for a in (0.8, 0.9)]
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


def test_balanced_accuracy_and_recall_come_from_the_confusion_counts():
    counts = [[90, 0, 0], [5, 5, 0], [0, 0, 0]]
    assert recalls(counts) == [1.0, 0.5, None] and balanced_accuracy(counts) == 0.75


def test_log_loss_is_that_of_the_true_class_and_finite():
    logits = torch.tensor([[0.0, 0.0], [0.0, torch.log(torch.tensor(3.0))], [0.0, 200.0]])
    y = torch.tensor([0, 1, 0])
    expected = (math.log(2) - math.log(0.75) - math.log(1e-15)) / 3
    assert log_loss(logits, y) == pytest.approx(expected, abs=1e-6)
    assert log_loss(torch.full((1, 2), math.nan), y[:1]) == pytest.approx(-math.log(1e-15))


@pytest.mark.parametrize(
    ("counts", "measure"),
    [((5, 5), "accuracy"), ((10, 5), "accuracy"), ((11, 5), "balanced_accuracy"), ((5, 0), "balanced_accuracy")],
)
def test_balanced_accuracy_stands_for_a_score_where_the_largest_class_is_over_twice_the_smallest(counts, measure):
    assert headline(torch.arange(2).repeat_interleave(torch.tensor(counts)), 2) == measure


def test_scores_hold_every_measure_and_the_recall_of_each_class(toy, tmp_path):
    score = evaluate(cells_of(toy), toy, toy.load_test(), session(tmp_path))["mlp"]
    assert list(score["recall"]) == list(toy.classes)
    # The toy's test classes are equally large: both accuracies are the mean recall.
    recall = sum(score["recall"].values()) / len(toy.classes)
    assert score["balanced_accuracy"]["mean"] == pytest.approx(recall) == pytest.approx(score["accuracy"]["mean"])
    assert 0 <= score["log_loss"]["mean"] < 1 and score["log_loss"]["n"] == 2


def test_cells_of_an_earlier_version_have_no_log_loss(toy, tmp_path):
    evaluate(cells_of(toy, (0,)), toy, toy.load_test(), session(tmp_path))
    cell = tmp_path / "cells" / "mlp-0.json"
    cell.write_text(
        json.dumps({name: each for name, each in json.loads(cell.read_text()).items() if name != "log_loss"})
    )
    again = evaluate(cells_of(toy, (0,)), toy, toy.load_test(), session(tmp_path))
    assert "log_loss" not in again["mlp"] and "balanced_accuracy" in again["mlp"] and "log_loss" in again["default"]
