import pytest

from ddcore.errors import DDCoreError
from ddcore.training.scores import Score, accuracy, loss_against, meets, points, score_of


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


def test_a_score_without_its_values_is_named(tmp_path):
    protocol = {"dataset": "toy", "set": {"members": 5}, "test_members": 10}
    with pytest.raises(DDCoreError, match=r"scores\.json is damaged"):
        score_of(tmp_path / "scores.json", {"protocol": protocol, "nets": {"default": {"accuracy": {}}}}, "default")
    with pytest.raises(DDCoreError, match="holds no network 'cnn'; it holds default"):
        score_of(tmp_path / "scores.json", {"protocol": protocol, "nets": {"default": {}}}, "cnn")


def test_scores_and_losses_as_text():
    one, two = score([0.9012], [0]), score([0.89, 0.91], [0, 1])
    assert accuracy(one) == "90.12 (1)" and accuracy(two) == "90.00 ± 50.00 (2)"
    assert points(loss_against(score([0.91], [0]), one)) == "−0.88" and points(None) == ""
    assert points(loss_against(one, score([0.95], [3]))) == "+4.88 (unpaired)"
