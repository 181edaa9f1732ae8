import pytest
import torch
from sklearn.linear_model import Ridge
from torch.nn.functional import one_hot

from ddcore.problem import Problem
from ddcore.selection.rewards import RIDGE, ClosedForm, ShortTraining

CPU = torch.device("cpu")


def test_the_regression_is_scikit_learns(toy):
    closed = ClosedForm(Problem(toy, 2, toy.fit), toy.fit, "mlp")
    chosen, asked = toy.fit[:40], toy.fit[40:]
    x = closed.x.double().numpy()
    penalty = RIDGE * (x[:40] ** 2).sum(0).mean()
    target = one_hot(toy.train.y[chosen], 2).double() - 0.5
    fitted = Ridge(alpha=penalty, fit_intercept=False).fit(x[:40], target.numpy())
    expected = torch.from_numpy(fitted.predict(x[40:])).float()
    found = closed.answers(chosen[None], asked)[0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    right = (expected.argmax(1) == toy.train.y[asked]).double().mean().item()
    assert closed.accuracies(chosen[None], asked).tolist() == pytest.approx([right])


def test_choices_are_judged_one_by_one(toy):
    closed = ClosedForm(Problem(toy, 2, toy.fit), toy.fit, "mlp")
    good, wrong = toy.fit[:30], toy.fit[30:60]
    closed.y = closed.y.clone()
    closed.y[wrong] = 1 - closed.y[wrong]
    both = closed.accuracies(torch.stack([good, wrong]), toy.fit[60:])
    assert both[0] > 0.8 > 0.2 > both[1]
    assert both[1:].tolist() == closed.accuracies(wrong[None], toy.fit[60:]).tolist()


def test_short_trainings_compare_choices_on_the_same_weights(toy):
    trained = ShortTraining(Problem(toy, 2, toy.fit, seed=3), "mlp", 40, 2)
    good, one_class = toy.fit[:30], toy.fit[toy.train.y[toy.fit] == 0][:30]
    found = trained.accuracies(torch.stack([good, one_class, good]), toy.validation)
    assert found[0] == found[2] and found[0] > found[1]
    assert found[1].item() == pytest.approx(0.5, abs=0.1)
