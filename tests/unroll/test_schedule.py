import json
from dataclasses import replace

import pytest
import torch

from ddcore.data.task import Scale
from ddcore.errors import DDCoreError, UsageError
from ddcore.kernels import Rule
from ddcore.runtime.files import load_tensors, save_tensors
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.origin import Origin
from ddcore.unroll.schedule import Schedule

SCHEDULE = Schedule(
    "mlp",
    torch.tensor([0.1, 0.2, 0.3]),
    torch.tensor([[0, 1], [2, 3], [0, 1]]),
    Rule("adam", 0.8, weight_decay=0.1),
    "known",
    torch.arange(5.0),
    (1, 0),
)


def made(schedule, ordered=True):
    x = torch.arange(4.0).view(4, 1, 1, 1)
    return DistilledSet(
        "images",
        x,
        torch.tensor([0, 1, 0, 1]),
        Origin("toy", ("a", "b"), "dd"),
        Scale((0.0,), (1.0,)),
        schedule=schedule,
        ordered=ordered,
    )


def test_it_travels_with_its_set(tmp_path):
    made(SCHEDULE).save(tmp_path)
    found = DistilledSet.load(tmp_path)
    assert found.ordered and found.schedule.record() == SCHEDULE.record()
    assert found.schedule.rule == SCHEDULE.rule and found.schedule.poison == (1, 0)
    for name, tensor in SCHEDULE.tensors().items():
        assert torch.equal(found.schedule.tensors()[name], tensor)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"rates": torch.tensor([0.1, float("nan"), 0.3])}, "finite"),
        ({"rates": torch.tensor([0.1, 0.2])}, "one row for each of 2 steps"),
        ({"order": torch.tensor([[0, 1], [2, 4], [0, 1]])}, "outside the 4"),
        ({"weights": None}, "known weights are missing"),
        ({"weights": torch.tensor([1.0, float("inf")])}, "known weights are not a vector of finite"),
        ({"start": "somewhere"}, "start 'somewhere' is unknown"),
        ({"start": "given"}, "present for another start"),
        ({"order": torch.zeros(3, 0, dtype=torch.int64)}, "the steps have no members"),
        ({"rates": torch.tensor(0.1), "order": torch.zeros(0, 2, dtype=torch.int64)}, "not a vector"),
        ({"order": torch.tensor(1)}, "one row for each of 3 steps"),
        ({"weights": torch.arange(5)}, "known weights are not a vector"),
        ({"rule": Rule("lion")}, "optimiser 'lion' is unknown"),
        ({"poison": (1, 2)}, "not two of the 2"),
        ({"poison": (1, 1)}, "not two of the 2"),
    ],
)
def test_contradictions_are_found_when_a_set_is_read(tmp_path, change, fault):
    made(replace(SCHEDULE, **change)).save(tmp_path)
    with pytest.raises(DDCoreError, match=fault):
        DistilledSet.load(tmp_path)


def test_more_steps_than_anyone_can_train_for_are_refused_before_they_are_read():
    many = replace(SCHEDULE, rates=torch.zeros(1).expand(10**9))
    assert many.fault(4, 2).startswith("1,000,000,000 steps with 6 members are more than")
    wide = replace(SCHEDULE, order=torch.zeros(1, dtype=torch.int64).expand(3, 10**8))
    assert wide.fault(4, 2).startswith("3 steps with 300,000,000 members are more than")


def test_a_prefix_keeps_the_steps_that_have_members_left():
    cut = made(SCHEDULE).prefix(2)
    assert len(cut) == 2 and cut.x.flatten().tolist() == [0.0, 1.0] and cut.provenance["prefix of"] == 4
    assert cut.schedule.order.tolist() == [[0, 1], [0, 1]]
    torch.testing.assert_close(cut.schedule.rates, torch.tensor([0.1, 0.3]))
    assert made(None).prefix(3).schedule is None


def test_a_prefix_within_a_batch_loses_no_member_and_no_step():
    schedule = replace(SCHEDULE, order=torch.tensor([[0, 1, 2], [3, 4, 5], [5, 2, 1]]))
    cut = schedule.for_members(torch.arange(5))
    assert cut.order.tolist() == [[0, 1, 2], [3, 4, 3], [2, 1, 2]] and cut.rates is not schedule.rates
    assert cut.rates.tolist() == schedule.rates.tolist() and cut.rule == schedule.rule
    late = replace(SCHEDULE, order=torch.tensor([[2, 3], [3, 2], [2, 3]])).for_members(torch.arange(2))
    assert len(late.rates) == len(late.order) == 0 and late.fault(2, 2) == ""


def test_a_whole_prefix_is_the_set_itself():
    whole = made(SCHEDULE).prefix(4)
    assert torch.equal(whole.schedule.order, SCHEDULE.order) and torch.equal(whole.schedule.rates, SCHEDULE.rates)


@pytest.mark.parametrize(
    "damage",
    [
        {"rule": {"speed": 1}},
        {"net": None, "start": 3},
        {"poison": [1]},
        {"rule": None},
        {"rule": {"momentum": "much"}},
    ],
)
def test_a_damaged_record_gives_one_line(tmp_path, damage):
    made(SCHEDULE).save(tmp_path)
    record = json.loads((tmp_path / "set.json").read_text())
    del record["record_sha256"]
    record["schedule"] |= damage
    (tmp_path / "set.json").write_text(json.dumps(record))
    with pytest.raises(DDCoreError) as caught:
        DistilledSet.load(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_tensor_gives_one_line(tmp_path):
    made(SCHEDULE).save(tmp_path)
    tensors, _ = load_tensors(tmp_path / "set.safetensors")
    del tensors["schedule.order"]
    save_tensors(tmp_path / "set.safetensors", tensors)
    with pytest.raises(DDCoreError, match="not a distilled set of this format"):
        DistilledSet.load(tmp_path)


def test_only_an_ordered_set_has_prefixes():
    with pytest.raises(UsageError, match="have no order"):
        made(SCHEDULE, ordered=False).prefix(2)
    with pytest.raises(UsageError, match="prefix of 5 members"):
        made(SCHEDULE).prefix(5)


def test_random_members_are_as_many_of_each_class_and_keep_their_steps():
    schedule = replace(SCHEDULE, order=torch.tensor([[0, 1, 2, 3]] * 3))
    whole = made(schedule, ordered=False)
    cut = whole.subset(len(whole.classes), 0)
    assert sorted(cut.y.tolist()) == list(range(len(whole.classes))) and cut.provenance["random members of"] == 4
    assert [sorted(row) for row in cut.schedule.order.tolist()] == [[0, 1]] * 3
    assert torch.equal(cut.x, whole.subset(len(whole.classes), 0).x)
    with pytest.raises(UsageError, match="cannot be drawn from 4"):
        whole.subset(3, 0)


def test_members_are_numbered_anew():
    schedule = replace(SCHEDULE, order=torch.tensor([[0, 1], [2, 3], [0, 3]]))
    assert schedule.for_members(torch.tensor([3, 0])).order.tolist() == [[1, 1], [0, 0], [1, 0]]
