import torch
from torch.nn.functional import one_hot

from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection.features import Blocks
from ddcore.selection.mutual_information import MutualInformation, informative
from ddcore.training.teacher import Teacher


def unit(degrees: list[float]) -> torch.Tensor:
    angle = torch.tensor(degrees).deg2rad()
    return torch.stack([angle.cos(), angle.sin()], 1)


def test_a_copy_is_not_taken_after_its_original():
    x = Blocks.of(unit([0, 0, 0, 120, 180]))
    information = torch.tensor([2.0, 1.9, 1.8, 1.5, 1.0], dtype=torch.float64)
    assert informative(information, x, 3, 0.0).tolist() == [0, 1, 2]
    # By hand, after row 0: 1.9 - 1, 1.8 - 1, 1.5 + 0.5, 1 + 1; the tie of 2 goes to row 3. Then the mean cosines are
    # 0.25, 0.25 and (-1 + 0.5) / 2, which gives 1.65, 1.55 and 1.25.
    assert informative(information, x, 2, 1.001).tolist() == [0, 4]
    assert informative(information, x, 3, 0.999).tolist() == [0, 3, 1]


def test_mislabelled_members_are_not_taken(toy):
    draws = torch.Generator().manual_seed(0)
    truth = toy.train.y.clone()
    wrong = toy.fit[:12]
    truth[wrong] = 1 - truth[wrong]
    features = 10 + 4 * one_hot(truth, 8).float() + torch.randn(len(truth), 8, generator=draws)
    teacher = Teacher(torch.zeros(len(truth), 2), features, "made by hand", "nowhere")
    chosen = MutualInformation().select(Problem(toy, 60, toy.fit, teacher, 0, torch.device("cpu")), Session())
    assert not torch.isin(wrong, chosen).any()
    unbalanced = MutualInformation(proportions="data").select(
        Problem(toy, 60, toy.fit, teacher, proportions="data"), Session()
    )
    assert len(unbalanced.unique()) == 60 and not torch.isin(wrong, unbalanced).any()


def test_the_first_members_of_a_longer_choice_are_the_shorter_choice(toy):
    features = torch.randn(len(toy.train), 6, generator=torch.Generator().manual_seed(3))
    teacher = Teacher(torch.zeros(len(toy.train), 2), features, "made by hand", "nowhere")
    short, long = (
        MutualInformation().select(Problem(toy, n, toy.fit, teacher, 0, torch.device("cpu")), Session())
        for n in (10, 20)
    )
    assert short.view(2, 5).tolist() == long.view(2, 10)[:, :5].tolist()
