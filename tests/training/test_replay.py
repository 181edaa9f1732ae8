from dataclasses import replace

import pytest
import torch

from ddcore.data.examples import Examples
from ddcore.errors import DDCoreError, UsageError
from ddcore.nets.registry import build_net
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.origin import Origin
from ddcore.training.evaluation import follow, poisoned
from ddcore.training.protocol import shared_schedule
from ddcore.unroll.flat_params import Flat
from ddcore.unroll.schedule import Schedule
from kernels import Rule

CPU = torch.device("cpu")


def test_following_is_plain_sgd(toy):
    members = toy.train[torch.arange(4)]
    schedule = Schedule("mlp", torch.tensor([0.1, 0.2]), torch.tensor([[0, 1], [2, 3]]), Rule(momentum=0.9))
    ours = follow(build_net("mlp", toy, 0), toy, members, schedule, None, CPU).net
    theirs = build_net("mlp", toy, 0)
    optimiser = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9)
    for rate, row in zip((0.1, 0.2), ([0, 1], [2, 3]), strict=True):
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        x = toy.inputs(members.x[torch.tensor(row)])
        torch.nn.functional.cross_entropy(theirs(x), members.y[torch.tensor(row)]).backward()
        optimiser.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_it_begins_where_the_schedule_or_the_caller_says(toy):
    members = toy.train[torch.arange(2)]
    still = Schedule("mlp", torch.zeros(1), torch.tensor([[0, 1]]))
    own, other = (Flat(build_net("mlp", toy, seed)).start() for seed in (0, 1))
    known = Schedule("mlp", still.rates, still.order, start="known", weights=other)
    assert torch.equal(Flat(follow(build_net("mlp", toy, 0), toy, members, still, None, CPU).net).start(), own)
    assert torch.equal(Flat(follow(build_net("mlp", toy, 0), toy, members, known, None, CPU).net).start(), other)
    assert torch.equal(Flat(follow(build_net("mlp", toy, 0), toy, members, still, other, CPU).net).start(), other)


def test_weights_of_another_network_are_refused_in_one_line(toy):
    wrong = Schedule("mlp", torch.zeros(1), torch.tensor([[0, 1]]), start="known", weights=torch.zeros(7))
    with pytest.raises(
        DDCoreError, match=r"are 7 numbers, mlp on toy has [\d,]+: the set was made for another"
    ) as seen:
        follow(build_net("mlp", toy, 0), toy, toy.train[torch.arange(2)], wrong, None, CPU)
    assert "\n" not in str(seen.value)


def test_pooled_sets_must_have_been_made_for_one_kind_of_training():
    def made(schedule):
        return DistilledSet(
            "images",
            torch.zeros(2, 1, 8, 8),
            torch.tensor([0, 1]),
            Origin("toy", ("a", "b"), "dd"),
            schedule=schedule,
        )

    first = Schedule("mlp", torch.tensor([0.1]), torch.tensor([[0, 1]]))
    assert shared_schedule([made(first), made(replace(first, rates=torch.tensor([0.2])))]) is first
    assert shared_schedule([made(None)]) is None
    for other in (None, replace(first, net="lenet"), replace(first, start="given"), replace(first, rule=Rule("adam"))):
        with pytest.raises(UsageError, match="trainings of different kinds"):
            shared_schedule([made(first), made(other)])


def test_labels_as_probabilities():
    soft = torch.tensor([[0.0, 2.0]])
    assert Examples(soft, torch.tensor([1])).targets(2).tolist() == [[0.0, 1.0]]
    found = Examples(soft, torch.tensor([1]), soft, 2.0).targets(2)
    torch.testing.assert_close(found, torch.tensor([[0.0, 1.0]]).softmax(1))


def test_what_poison_did_by_hand():
    y = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
    before = torch.tensor([0, 0, 0, 1, 1, 1, 2, 0])
    after = torch.tensor([1, 1, 1, 0, 1, 0, 2, 0])
    assert poisoned(y, before, after, (0, 1)) == {"turned_before": 0.25, "turned": 0.75, "others_lose": 0.25}
