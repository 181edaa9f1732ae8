"""The plan for one data set that the user names."""

import importlib

import pytest
from PIL import Image

from ddcore.data.custom import parse
from ddcore.data.digits import digits
from ddcore.data.registry import DATASETS
from ddcore.errors import DDCoreError, UsageError
from ddcore.job.own import KNOWN, outlined, part_for, per_class
from ddcore.job.plan import Choices, plan
from ddcore.job.table import FASHION_MNIST, IMDB


def commands(part, seeds=None, quick=False):
    return {stage.name.split("/")[1]: list(stage.words) for stage in plan([part], Choices("cpu", quick, 0, seeds), 2)}


def after(words, flag):
    return words[words.index(flag) + 1]


def test_every_known_data_set_has_an_outline(tmp_path):
    assert set(KNOWN) == set(DATASETS)
    task = digits(tmp_path)
    assert (KNOWN["digits"].members, KNOWN["digits"].size) == (len(task.train), 64)
    assert KNOWN["digits"].smallest <= min(int((task.train.y[task.fit] == k).sum()) for k in range(10))


def test_the_jobs_own_data_sets_keep_their_plans_unless_a_budget_is_given():
    assert part_for("fashion_mnist", None) is FASHION_MNIST and part_for("imdb", None) is IMDB
    part = part_for("fashion_mnist", 100)
    assert part.members == (60000, 30000, 100) and part.results[2].name == "Fashion-MNIST, 100 members"
    assert [stage.words for stage in part.stages] == [stage.words for stage in FASHION_MNIST.stages]
    assert not any(line.goal or line.aim for result in part.results for line in result.lines)


@pytest.mark.parametrize("words", ["mnist", "cifar100", "own images", "own texts", "many"])
@pytest.mark.parametrize("quick", [False, True])
def test_the_programs_understand_every_stage_and_every_line_has_one(words, quick, pets, remarks, write_table, tmp_path):
    many = write_table(tmp_path / "many.csv", 90, ("bad", "good", "odd"))
    words = {"own images": f"images:{pets}", "own texts": f"text:{remarks}", "many": f"text:{many}"}.get(words, words)
    part = part_for(words, None)
    stages = {stage.name: stage for stage in [*part.stages, *part.comparisons]}
    for stage in plan([part], Choices("cpu", quick, 3, 2), 2):
        program = importlib.import_module(stage.words[0].removesuffix(".py"))
        assert program.options().parse_args(stage.arguments(tmp_path)).dataset == words
    for result in part.results:
        for line in result.lines:
            if line.stage in stages:
                found = stages[line.stage].words.split()
                assert line.net in (after(found, "--nets").split(",") if "--nets" in found else ["default"])
        assert result.lines[0].stage in {stage.name for stage in part.stages}


def test_own_images_get_small_budgets_that_all_classes_can_share(pets, write_pictures, tmp_path):
    part = part_for(f"images:{pets}", None)
    assert part.dataset == "images-pets" and part.members == (48, 24, 8)
    assert "--no-balanced" not in commands(part)["half"]
    odd = part_for(f"images:{write_pictures(tmp_path / 'odd', {'a': 60, 'b': 20})}", None)
    assert "--no-balanced" in commands(odd)["half"] and "--no-balanced" not in commands(odd, seeds=2)["random-small"]
    assert after(commands(odd, quick=True)["half"], "--budget") == "32"


def test_few_texts_get_a_random_half_and_more_clauses_to_choose_from(remarks):
    found = commands(part_for(f"text:{remarks}", None), seeds=2)
    assert found["half"][1] == "random" and "random-half" not in found
    assert after(found["small"], "--strongest") == "0.3" and after(found["small"], "--rarest") == "2"
    assert after(found["random-packs"], "--strongest") == "1" and found["random-packs"].count("--strongest") == 1
    assert commands(part_for("imdb", 100))["half"][1] == "margin"


def test_texts_of_many_classes_are_not_sent_to_the_linear_model(write_table, tmp_path):
    found = commands(part_for(f"text:{write_table(tmp_path / 'many.csv', 90, ('bad', 'good', 'odd'))}", None), seeds=2)
    assert not any(word in ("cover", "linear") or "linear," in word for words in found.values() for word in words)


@pytest.mark.parametrize(
    ("words", "budget", "told"),
    [
        ("mnist", 15, "take 10 or 20"),
        ("mnist", 5, "take 10$"),
        ("mnist", 60000, "6000 members of each class, and the smallest class has"),
        ("video:clips", None, r"unknown data set 'video:clips'; known: cifar10, .*images:DIR"),
        ("images:nowhere", None, "nowhere is missing"),
    ],
)
def test_what_cannot_be_planned_is_one_line(words, budget, told):
    with pytest.raises(UsageError, match=told) as caught:
        part_for(words, budget)
    assert "\n" not in str(caught.value)


def test_a_budget_larger_than_a_class_of_ones_own(pets):
    seen = outlined(parse(f"images:{pets}"))
    assert seen.smallest == 22 and per_class(seen, 44) == 22
    with pytest.raises(UsageError, match="smallest class has 22"):
        per_class(seen, 46)


def test_an_odd_sized_image_is_told_before_anything_runs(pets):
    Image.new("L", (13, 13)).save(pets / "cat" / "000.png")
    with pytest.raises(DDCoreError, match=r"cat/000\.png has 13x13"):
        part_for(f"images:{pets}", None)
