from dataclasses import replace

import pytest
import torch

from ddcore.nets.bag import Bag
from ddcore.nets.cnn import TextCNN
from ddcore.nets.registry import NETS, build_net
from ddcore.nets.words import WordVectors, mean_over_words
from ddcore.training.loop import Setting, predict, train
from ddcore.training.recipes import small_recipe

TRAINED = sorted(name for name, net in NETS.items() if net.kind == "text" and name != "linear")


@pytest.mark.parametrize("name", TRAINED)
def test_every_net_reads_padded_ids_and_empty_texts(name, review_task):
    net = build_net(name, review_task, 0).eval()
    ids = torch.tensor([[4, 5, 6, 0], [0, 0, 0, 0], [4, 5, 6, 7]])
    logits = net(ids)
    assert logits.shape == (3, 2) and bool(logits.isfinite().all()) and len(net.features(ids)) == 3
    torch.testing.assert_close(net(torch.tensor([[4, 5, 6]]))[0], logits[0])


@pytest.mark.parametrize("name", TRAINED)
def test_every_net_reads_word_vectors_as_the_words_they_stand_for(name, review_task):
    net = build_net(name, review_task, 0).eval()
    net.words.seen[:] = True
    ids = torch.tensor([[4, 5, 6], [4, 6, 7]])
    torch.testing.assert_close(net(net.words.table(ids)), net(ids))


@pytest.mark.parametrize("name", TRAINED)
def test_every_net_learns_and_the_seed_decides(name, review_task):
    recipe = replace(small_recipe(review_task, name, "cpu"), steps=60, batch_size=32, lr=0.02)
    test = review_task.load_test()
    answers = []
    for _ in range(2):
        net = build_net(name, review_task, 0)
        train(net, review_task, review_task.train, recipe, Setting(seed=0, device="cpu"))
        answers.append(predict(net, review_task, test.x, device="cpu"))
    assert (answers[0].argmax(1) == test.y).float().mean() >= 0.9
    assert torch.equal(*answers)


def test_attention_can_be_differentiated_twice(review_task):
    net = build_net("attention", review_task, 0).eval()
    weight = net.inward.weight
    loss = net(torch.tensor([[4, 5, 6]])).square().sum()
    (first,) = torch.autograd.grad(loss, weight, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), weight)
    assert bool(second.isfinite().all()) and float(second.abs().sum()) > 0


def test_words_that_training_never_showed_are_unknown():
    words = WordVectors(10, 4, dropped=0.0).requires_grad_(False)
    words(torch.tensor([[5, 0]]))
    words.eval()
    found = words(torch.tensor([[5, 6, 1, 12, 0]]))[0]
    assert torch.equal(found[1], found[2]) and torch.equal(found[3], found[2])
    assert not torch.equal(found[0], found[2]) and bool((found[4] == 0).all())


def test_the_mean_leaves_padding_out():
    x = torch.tensor([[[2.0], [4.0], [9.0]], [[1.0], [1.0], [1.0]]])
    assert mean_over_words(x, torch.tensor([[5, 5, 0], [0, 0, 0]])).tolist() == [[3.0], [0.0]]


@pytest.mark.parametrize("kind", [Bag, TextCNN])
def test_synthetic_texts_are_distributions_over_words_or_vectors(kind):
    net = kind(3, 9, 16, 32).eval()  # wide enough that no text is cut off by ReLU
    net.words.seen[:] = True
    ids = torch.tensor([[4, 5, 8, 1], [2, 2, 7, 6]])
    sure = torch.nn.functional.one_hot(ids, 9).float().requires_grad_()
    vectors = net.words.table.weight.detach()[ids].requires_grad_()
    for x in (sure, vectors):
        logits = net(x)
        torch.testing.assert_close(logits, net(ids))
        (slope,) = torch.autograd.grad(logits.square().sum(), x)
        assert slope.shape == x.shape and bool((slope.abs().sum(2) > 0).all())


def test_a_distribution_gives_the_mean_vector_of_its_words_and_seen_words_do_not_matter():
    words = WordVectors(6, 4, dropped=0.5)
    mixed = torch.tensor([[[0.0, 0.0, 0.25, 0.0, 0.75, 0.0]]])
    expected = 0.25 * words.table.weight[2] + 0.75 * words.table.weight[4]
    torch.testing.assert_close(words(mixed)[0, 0], expected)
    assert words.seen.tolist() == [True, True, False, False, False, False]


def test_all_places_of_a_synthetic_text_count():
    x = torch.tensor([[[2.0], [4.0], [0.0]]])
    assert mean_over_words(x, x).tolist() == [[2.0]]


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 9)])
def test_synthetic_texts_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(N, L, 9\) or vectors \(N, L, 4\)"):
        WordVectors(9, 4, dropped=0.0)(torch.zeros(shape))
