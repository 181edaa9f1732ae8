from dataclasses import replace

import pytest
from toys import problem, saved_networks, toy_teacher

from ddcore.comparison.terms import FRESH, Terms, networks, price
from ddcore.errors import UsageError
from ddcore.runtime import Session
from ddcore.selection import SELECTORS, selected_set
from ddcore.training import PROTOCOLS
from ddcore.training.recipes import recipes_for


def test_networks_are_the_usual_three_or_those_asked_for(toy, review_task):
    assert networks(toy, "default", "") == ("resnet-s2d", ("mlp", "lenet", "resnet-gn"))
    assert networks(toy, "mlp", "") == ("mlp", ("lenet", "resnet-gn", "convnet"))
    assert networks(toy, "mlp", "lenet,mlp,lenet") == ("mlp", ("lenet",))
    assert networks(review_task, "default", "") == ("linear", ("bag", "cnn", "attention"))
    three = replace(review_task, classes=("a", "b", "c"), default_net="bag")
    assert networks(three, "default", "") == ("bag", ("cnn", "attention"))
    with pytest.raises(UsageError, match="does not read images"):
        networks(toy, "mlp", "bag")


def test_a_published_protocol_has_its_own_network_and_one_recipe(toy):
    assert networks(toy, "default", "", "frepo") == ("convnet-frepo", ())
    assert networks(toy, "default", "mlp", "dc") == ("convnet-128", ("mlp",))
    terms = Terms(problem(toy, 4, seed=7), 1.0, "mlp", ("lenet",), 2, 4.0, "cpu", True, protocol="dc")
    recipe = PROTOCOLS["dc"].published_recipe(toy, 4).shortened(100)
    assert terms.recipes == {"mlp": recipe, "lenet": recipe} and terms.named.title == "DC"
    line = price(terms, toy.load_test())
    assert line.startswith("protocol dc: 4 networks, 1,600 images to train on and 160 to test on")


def test_recipes_are_the_protocols_and_seeds_are_fresh(toy):
    terms = Terms(problem(toy, 4, seed=7), 1.0, "mlp", ("lenet",), 3, 4.0, "cpu", False)
    whole = recipes_for(toy, 4, "cpu", False)
    assert terms.recipes == {"mlp": whole["mlp"], "lenet": whole["lenet"]}
    assert list(terms.fresh_seeds) == [FRESH + 7, FRESH + 8, FRESH + 9]


def test_under_labels_by_crop_both_kinds_of_labels_are_crops(toy, tmp_path):
    asked = problem(toy, 4, toy_teacher(toy, saved_networks(toy, tmp_path)))
    small = selected_set(SELECTORS["random"](), asked, Session())
    terms = Terms(asked, 1.0, "mlp", (), 1, 4.0, "cpu", True, protocol="rded")
    kinds = terms.labelled(small)
    assert {name: labels.hard for name, (_, labels) in kinds.items()} == {"hard": True, "soft": False}
    assert all(examples.soft is None for examples, _ in kinds.values())
    assert price(terms, toy.load_test()).startswith("protocol rded: 1 network, 400 images to train on")
    alone = replace(terms, problem=replace(asked, teacher=None))
    assert list(alone.labelled(small)) == ["hard"]
    usual = replace(terms, protocol="ddcore").labelled(small)
    assert [labels for _, labels in usual.values()] == [None, None] and usual["soft"][0].soft is not None
