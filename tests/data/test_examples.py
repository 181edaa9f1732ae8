from dataclasses import replace

import torch

from ddcore.data.examples import Examples, logits_of


def test_members_are_taken_with_their_soft_labels_and_hard_forgets_those():
    soft = torch.arange(6.0).view(3, 2)
    whole = Examples(torch.zeros(3, 1, 2, 2), torch.tensor([0, 1, 0]), soft, 4.0)
    part = whole[torch.tensor([2, 0])]
    assert len(whole) == 3 and part.y.tolist() == [0, 0] and part.temperature == 4.0
    assert torch.equal(part.soft, soft[[2, 0]])
    assert whole.hard().soft is None and whole.hard().temperature == 1.0 and len(whole.to("cpu")) == 3


def test_regression_targets_go_with_their_members():
    targets = torch.arange(6.0).view(3, 2)
    whole = Examples(torch.zeros(3, 1, 2, 2), torch.tensor([0, 1, 0]), logits_of(targets), regression=targets)
    assert torch.equal(whole[torch.tensor([2, 0])].regression, targets[[2, 0]])
    assert torch.equal(whole.to("cpu").regression, targets) and whole.hard().regression is None


def test_the_digest_depends_on_every_member_and_hard_label(toy, review_task):
    for examples in (toy.train, review_task.train):
        turned = torch.arange(len(examples)).flip(0)
        others = [examples[turned], replace(examples, y=1 - examples.y), examples[turned[1:]]]
        assert len({each.digest for each in (examples, *others)}) == 4
    soft = replace(toy.train, soft=torch.zeros(120, 2))
    assert soft.digest == toy.train.digest == toy.fingerprint.content
