import math

import pytest
import torch
from sklearn.svm import LinearSVC

from ddcore.data.examples import Examples
from ddcore.data.tokens import Tokens
from ddcore.errors import UsageError
from ddcore.nets.linear import LinearRecipe, NgramLinear
from ddcore.nets.registry import build_net
from ddcore.nets.squared_hinge import Entries, fit_squared_hinge
from ddcore.training import loop
from ddcore.training.loop import Setting, predict, train

EXAMPLES = Examples(Tokens.of([[2, 3], [2, 4], [5, 3], [5, 4], [5, 6]]), torch.tensor([1, 1, 0, 0, 0]))


def sparse(dense):
    column, row = dense.T.nonzero().T
    return Entries(row, column, dense[row, column], dense.shape[1])


def test_the_solver_agrees_with_liblinear():
    draws = torch.Generator().manual_seed(1)
    x = torch.randn(60, 8, generator=draws) * (torch.rand(60, 8, generator=draws) < 0.6)
    y = (x[:, 0] + 0.5 * torch.randn(60, generator=draws) > 0.2).long()
    w, b = fit_squared_hinge(sparse(x), y.float(), 0.7, 500, 1e-6, intercept=False)
    other = LinearSVC(C=0.7, fit_intercept=False, tol=1e-8, max_iter=100000).fit(x.numpy(), y.numpy())
    torch.testing.assert_close(w, torch.from_numpy(other.coef_[0]).float(), atol=1e-3, rtol=1e-3)
    assert float(b) == 0


def test_without_regularisation_the_score_is_twice_the_probability_less_one():
    x = torch.ones(2, 1)
    w, _ = fit_squared_hinge(sparse(x), torch.tensor([0.9, 0.7]), 1e6, 200, 1e-9, intercept=False)
    assert float(w) == pytest.approx(0.6, abs=1e-4)


def test_the_ratio_is_naive_bayes():
    net = NgramLinear(2)
    net.solve(EXAMPLES, LinearRecipe(ngrams=1, min_members=1))
    # Word 2 is in 2 positive and 0 negative members; with one added, 3 of 9 against 1 of 11.
    assert net.vocabulary.tolist() == [2, 3, 4, 5, 6] and net.members.tolist() == [2, 2, 2, 3, 1]
    assert float(net.ratio[0]) == pytest.approx(math.log((3 / 9) / (1 / 11)), abs=1e-5)
    assert float(net.evidence()[0]) > 0 > float(net.evidence()[3])


def test_rare_ngrams_are_dropped():
    net = NgramLinear(2)
    net.solve(EXAMPLES, LinearRecipe(ngrams=2, min_members=2))
    assert net.vocabulary.tolist() == [2, 3, 4, 5]


def test_it_learns_hard_and_soft_labels_through_the_training_loop(review_task, monkeypatch):
    monkeypatch.setattr(loop, "BATCH", 7)
    hard = review_task.train
    soft = Examples(hard.x, 1 - hard.y, torch.nn.functional.one_hot(hard.y, 2).float() * 8, 2.0)
    for examples in (hard, soft):
        net = build_net("linear", review_task, 0)
        train(net, review_task, examples, LinearRecipe(), Setting(seed=0, device="cpu"))
        test = review_task.load_test()
        assert (predict(net, review_task, test.x, device="cpu").argmax(1) == test.y).all()


def test_texts_without_known_words_get_the_intercept():
    net = NgramLinear(2)
    net.solve(EXAMPLES, LinearRecipe(ngrams=1, min_members=1))
    logits = net(Tokens.of([[], [99]]))
    torch.testing.assert_close(logits, torch.stack([-net.bias, net.bias]).expand(2, 2))


def test_what_it_cannot_do_is_refused():
    with pytest.raises(UsageError, match="two classes"):
        NgramLinear(3)
    with pytest.raises(UsageError, match="reads words, not images or word vectors"):
        NgramLinear(2).solve(Examples(torch.zeros(2, 1, 8, 8), torch.tensor([0, 1])), LinearRecipe())
    with pytest.raises(UsageError, match="ids below"):
        NgramLinear(2).solve(Examples(Tokens.of([[2**17], [3]]), torch.tensor([0, 1])), LinearRecipe())
