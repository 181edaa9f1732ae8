import torch

from ddcore.selection.ccs import stratified


def test_strata_share_the_count_and_small_ones_give_all():
    score = torch.cat([torch.zeros(10), torch.full((2,), 0.5), torch.ones(10)])
    chosen = stratified(torch.arange(22), score, 2, 12)
    of = score[chosen]
    assert len(chosen.unique()) == 12
    assert int((of == 0).sum()) == 6 and int((of > 0).sum()) == 6
    few = score[stratified(torch.arange(22), score, 3, 14)]
    assert [int((few == level).sum()) for level in (0.0, 0.5, 1.0)] == [6, 2, 6]


def test_members_keep_the_order_in_which_they_came_and_equal_scores_are_one_stratum():
    assert stratified(torch.tensor([7, 3, 5]), torch.ones(3), 10, 2).tolist() == [7, 3]


def test_all_can_be_asked_for():
    score = torch.tensor([0.0, 0.1, 0.2, 0.9, 1.0])
    assert sorted(stratified(torch.arange(5), score, 4, 5).tolist()) == [0, 1, 2, 3, 4]
