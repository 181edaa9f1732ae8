import json
import statistics
from pathlib import Path

import pytest

from ddcore.errors import DDCoreError
from ddcore.training.scores import (
    Score,
    above,
    accuracy,
    loss_against,
    meets,
    points,
    read_scores,
    score_of,
    score_rows,
    spreads,
)


def score(values: list[float], seeds: list[int]) -> Score:
    mean = sum(values) / len(values)
    return Score(
        dataset="toy",
        asked="default",
        net="mlp",
        members=10,
        test_members=20,
        tested_on="test",
        method="random",
        labels="hard",
        tokens=None,
        mean=mean,
        std=0.5,
        values=values,
        seeds=seeds,
        seconds=1.0,
    )


def test_values_of_equal_seeds_are_subtracted():
    loss = loss_against(score([0.90, 0.92, 0.94], [0, 1, 2]), score([0.93, 0.89], [2, 0]))
    assert loss["paired"] and loss["n"] == 2
    assert loss["mean"] == pytest.approx(0.01)
    assert loss["std"] == pytest.approx(0.0, abs=1e-12)


def test_several_sets_are_each_paired_with_the_baseline_of_their_seed():
    loss = loss_against(score([0.92], [0]), score([0.90, 0.91, 0.92], [0]))
    assert loss["paired"] and loss["n"] == 3
    assert loss["mean"] == pytest.approx(0.01) and loss["std"] == pytest.approx(0.01)


@pytest.mark.parametrize("seeds", [[0, 5], [0], []])
def test_other_seeds_are_compared_by_their_means(seeds):
    values = [0.8, 0.9] if len(seeds) != 1 else [0.85]
    baseline = score([0.95, 0.97], [1, 2])
    loss = loss_against(baseline, score(values, seeds))
    assert not loss["paired"] and loss["mean"] == pytest.approx(0.11)


def test_bars_hold_at_their_very_value():
    reached = score([0.88], [0])
    loss = loss_against(score([0.882], [0]), reached)
    assert meets({"kind": "at_least", "value": 0.88}, reached, None) is True
    assert meets({"kind": "at_least", "value": 0.8801}, reached, None) is False
    assert meets({"kind": "loses_less_than", "value": 0.002}, reached, loss) is True
    assert meets({"kind": "loses_less_than", "value": 0.0019}, reached, loss) is False
    assert meets({}, reached, None) is None
    assert meets({"kind": "at_least", "value": 0.88}, None, None) is None
    assert meets({"kind": "loses_less_than", "value": 0.01}, reached, None) is None


SPREAD = {"mean": 0.9, "std": 0.0, "n": 1, "values": [0.9]}
NET = {"net": "mlp", "accuracy": SPREAD, "seconds": 1.0, "confusion": [[5, 0], [1, 4]]}
PROTOCOL = {"dataset": "toy", "set": {"members": 5, "path": "runs/small"}, "test_members": 10, "seeds": [0]}
MORE = {
    "balanced_accuracy": SPREAD | {"mean": 0.7},
    "log_loss": SPREAD | {"mean": 0.3},
    "recall": {"a": 1.0, "b": None},
}


def scores_file(folder: Path, protocol: dict, net: dict) -> Path:
    (folder / "scores.json").write_text(json.dumps({"protocol": protocol, "nets": {"default": net}}))
    return folder / "scores.json"


@pytest.mark.parametrize("factor", [1, 2])
def test_a_score_on_a_set_by_multi_formation_says_so(tmp_path, factor):
    path = scores_file(tmp_path, {**PROTOCOL, "set": {**PROTOCOL["set"], "factor": factor}}, NET)
    found = score_of(path, read_scores(path), "default")
    assert found.get("factor") == (2 if factor == 2 else None)


@pytest.mark.parametrize(
    ("protocol", "net", "said"),
    [
        ({}, {"accuracy": {}}, "'nets.default.accuracy.mean' is missing"),
        ({}, {"accuracy": 0.9}, "'nets.default.accuracy' is not an object"),
        ({}, {"accuracy": SPREAD | {"mean": "0.9"}}, "'nets.default.accuracy.mean' is not a number"),
        ({}, {"accuracy": SPREAD | {"mean": 1e19}}, "'nets.default.accuracy.mean' is not a number"),
        ({}, {"accuracy": SPREAD | {"n": 0}}, "'nets.default.accuracy.n' is not a whole number of 1 or more"),
        ({}, {"accuracy": SPREAD | {"values": 0.9}}, "'nets.default.accuracy.values' is not a list"),
        ({}, {"seconds": None}, "'nets.default.seconds' is not a number"),
        ({}, {"confusion": [[1, 2], [3]]}, "'nets.default.confusion' is not square"),
        ({}, {"recall": [1.0]}, "'nets.default.recall' is not an object"),
        ({"dataset": 3}, {}, "'protocol.dataset' is not a text"),
        ({"set": {"members": 0}}, {}, "'protocol.set.members' is not a whole number of 1 or more"),
        ({"set": {"members": -5}}, {}, "'protocol.set.members' is not a whole number of 1 or more"),
        ({"set": None}, {}, "it holds no networks or members"),
        ({"test_members": 1e30}, {}, "'protocol.test_members' is not a whole number of 1 or more"),
        ({"seeds": "0"}, {}, "'protocol.seeds' is not a list"),
        ({"schedule": {"rule": 3}}, {}, "'protocol.schedule.rule' is not an object"),
        ({"recipes": {"default": 3}}, {}, "'protocol.recipes.default' is not an object"),
    ],
)
def test_a_field_of_the_wrong_type_is_named_in_one_line(tmp_path, protocol, net, said):
    with pytest.raises(DDCoreError) as error:
        read_scores(scores_file(tmp_path, PROTOCOL | protocol, NET | net))
    assert str(error.value) == f"{tmp_path}/scores.json is damaged: {said}"


def test_scores_without_a_network_are_refused(tmp_path):
    path = scores_file(tmp_path, PROTOCOL, NET)
    with pytest.raises(DDCoreError, match="holds no network 'cnn'; it holds default"):
        score_of(path, read_scores(path), "cnn")
    path.write_text(json.dumps({"protocol": PROTOCOL, "nets": {}}))
    with pytest.raises(DDCoreError, match="holds no networks"):
        read_scores(path)


def test_the_measure_of_the_protocol_is_the_score_and_is_named(tmp_path):
    path = scores_file(tmp_path, PROTOCOL | {"measure": "balanced_accuracy"}, NET | MORE)
    balanced = score_of(path, read_scores(path), "default")
    assert balanced["mean"] == 0.7 and accuracy(balanced) == "70.00 (1) balanced accuracy"
    assert {name: each["mean"] for name, each in balanced["measures"].items()} == {
        "accuracy": 0.9,
        "balanced_accuracy": 0.7,
        "log_loss": 0.3,
    }
    assert balanced["recall"] == {"a": 1.0, "b": None}
    path = scores_file(tmp_path, PROTOCOL | {"measure": "accuracy"}, NET | MORE)
    assert accuracy(score_of(path, read_scores(path), "default")) == "90.00 (1)"


def test_scores_of_earlier_versions_have_the_accuracy_alone(tmp_path):
    path = scores_file(tmp_path, PROTOCOL, NET)
    old = score_of(path, read_scores(path), "default")
    assert old["mean"] == 0.9 and not {"measure", "measures", "recall"} & set(old)


def test_above_is_by_more_than_both_spreads_together():
    def change(mean: float, std: float) -> dict:
        return {"mean": mean, "std": std, "n": 3}

    assert above(change(0.9, 0.01), change(0.87, 0.01)) and not above(change(0.89, 0.01), change(0.87, 0.01))
    assert not above(change(0.8, 0.0), change(0.8, 0.0))


def test_scores_and_losses_as_text():
    one, two = score([0.9012], [0]), score([0.89, 0.91], [0, 1])
    assert accuracy(one) == "90.12 (1)" and accuracy(two) == "90.00 ± 50.00 (2)"
    assert points(loss_against(score([0.91], [0]), one)) == "−0.88" and points(None) == ""
    assert points(loss_against(one, score([0.95], [3]))) == "+4.88 (unpaired)"


def several(values, seeds=(0, 1)):
    std = statistics.stdev(values) if len(values) > 1 else 0.0
    score = {"mean": statistics.fmean(values), "std": std, "values": values, "seeds": list(seeds)}
    return {**score, "measure": "accuracy"}


def test_the_spread_between_sets_stands_beside_that_between_networks():
    assert spreads(several([0.80, 0.82])) == pytest.approx((0.02 / 2**0.5, 0.0))
    drawn = several([0.80, 0.82, 0.90, 0.92])
    assert spreads(drawn) == pytest.approx((0.02 / 2**0.5, 0.1 / 2**0.5))
    assert accuracy(drawn) == "86.00 ± 7.07 between sets, ± 1.41 between networks (4)"
    assert accuracy(several([0.80, 0.90], seeds=[0])) == "85.00 ± 7.07 (2)"
    assert accuracy(several([0.80, 0.90])) == "85.00 ± 7.07 (2)"


def test_a_gain_is_above_both_spreads():
    low = several([0.70, 0.70, 0.72, 0.72])
    assert above(several([0.80, 0.80, 0.82, 0.82]), low)
    assert not above(several([0.80, 0.80, 0.60, 0.90]), low)  # sets differ by more than the gain
    assert not above(several([0.60, 0.90, 0.60, 0.90]), low)  # networks differ by more than the gain
    assert not above(low, low)
    plain = {"mean": 0.8, "std": 0.04, "n": 3}
    assert above(plain, {**plain, "mean": 0.71}) and not above(plain, {**plain, "mean": 0.73})


@pytest.mark.parametrize("asked, shown", [(None, "soft"), ("soft", "soft"), ("hard", "hard")])
def test_labels_are_those_of_the_set_unless_hard_ones_were_asked_for(tmp_path, asked, shown):
    protocol = PROTOCOL | {"set": PROTOCOL["set"] | {"labels": "soft"}} | ({"labels": asked} if asked else {})
    path = scores_file(tmp_path, protocol, NET)
    assert score_of(path, read_scores(path), "default")["labels"] == shown


def test_the_rows_of_a_page_name_network_recipe_and_labels():
    path = Path(__file__).parents[2] / "results" / "fashion_mnist-600" / "scores.json"
    rows = score_rows(path)
    assert len(rows) == len(json.loads(path.read_text())["nets"])
    assert all("own recipe, soft labels" in what and "±" in reached for what, reached in rows)
