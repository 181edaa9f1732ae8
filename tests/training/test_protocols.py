import pytest

from ddcore.errors import UsageError
from ddcore.nets import NETS
from ddcore.training.protocols import DDCORE, OWN, PROTOCOLS, protocol_name


def test_every_published_protocol_says_whose_it_is_and_on_which_network(toy):
    for name, protocol in PROTOCOLS.items():
        record = protocol.record()
        assert record["name"] == name and protocol.title and protocol.source and protocol.summary
        if protocol.recipe is None:
            assert set(record) == {"name", "title", "source"}
            continue
        assert NETS[protocol.net].kind == "images"
        assert (record["networks"] * record["sets"] > 1) == (name != "rded"), "RDED's program trains one network"
        recipe = protocol.published_recipe(toy, 10)
        assert 0 < recipe.turn < recipe.steps


def test_texts_are_refused(review_task):
    with pytest.raises(UsageError, match="protocol 'dc' is for images, imdb holds text"):
        PROTOCOLS["dc"].published_recipe(review_task, 10)


@pytest.mark.parametrize("members, steps", [(10, 1000), (11, 2000), (100, 2000), (500, 5000), (9999, 40000)])
def test_frepo_trains_larger_sets_for_longer(members, steps, toy):
    assert PROTOCOLS["frepo"].published_recipe(toy, members).steps == steps


def test_records_of_earlier_versions_name_the_recipe():
    assert protocol_name({}) == protocol_name({"recipe": "own"}) == OWN
    assert protocol_name({"recipe": "default"}) == DDCORE
    assert protocol_name({"evaluation": {"name": "dsa"}, "recipe": "own"}) == "dsa"
