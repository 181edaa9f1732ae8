"""The plan of a job on one data set that the user names."""

import importlib
from pathlib import Path

import pytest
import torch
from PIL import Image

from ddcore.data import validation_part
from ddcore.data.custom import parse
from ddcore.errors import DDCoreError, UsageError
from ddcore.job import custom
from ddcore.job.custom import per_class, plan_for
from ddcore.job.outline import Outline, custom_outline
from ddcore.job.plan import Choices, plan
from ddcore.job.table import FASHION_MNIST, IMDB


def commands(each, seeds=None, quick=False):
    return {
        stage.name.split("/")[1]: [stage.program, *stage.arguments(Path())]
        for stage in plan([each], Choices("cpu", quick, 0, seeds), 2)
    }


def after(words, flag):
    return words[words.index(flag) + 1]


def test_the_jobs_own_data_sets_keep_their_plans_unless_a_budget_is_given():
    assert plan_for("fashion_mnist", None) is FASHION_MNIST and plan_for("imdb", None) is IMDB
    each = plan_for("fashion_mnist", 100)
    assert each.members == (60000, 30000, 100) and each.results[2].name == "Fashion-MNIST, 100 members"
    assert [stage.options for stage in each.stages] == [stage.options for stage in FASHION_MNIST.stages]
    assert not any(line.goal or line.aim for result in each.results for line in result.lines)


@pytest.mark.parametrize("words", ["mnist", "cifar100", "images:", "text:", "hf:", "many"])
@pytest.mark.parametrize("quick", [False, True])
def test_the_programs_understand_every_stage_and_every_line_has_one(request, tmp_path, words, quick):
    write_table, write_saved = (request.getfixturevalue(f"write_{each}") for each in ("table", "saved"))
    words = {
        "images:": lambda: f"images:{request.getfixturevalue('pets')}",
        "text:": lambda: f"text:{request.getfixturevalue('remarks')}",
        "hf:": lambda: f"hf:{write_saved(tmp_path / 'pets', 'image', 60)}",
        "many": lambda: f"text:{write_table(tmp_path / 'many.csv', 90, ('bad', 'good', 'odd'))}",
    }.get(words, lambda: words)()
    each = plan_for(words, None)
    stages = {stage.name: stage for stage in [*each.stages, *each.comparisons]}
    for stage in plan([each], Choices("cpu", quick, 3, 2), 2):
        program = importlib.import_module(stage.program)
        assert program.options().parse_args(stage.arguments(tmp_path)).dataset == words
    for result in each.results:
        for line in result.lines:
            if line.stage in stages:
                assert line.net in stages[line.stage].options.get("nets", ("default",))
        assert result.lines[0].stage in {stage.name for stage in each.stages}


def test_own_images_get_small_budgets_that_all_classes_can_share(pets, write_pictures, tmp_path):
    each = plan_for(f"images:{pets}", None)
    assert each.dataset == "images-pets" and each.members == (48, 24, 8)
    assert "--proportions" not in commands(each)["half"]
    odd = plan_for(f"images:{write_pictures(tmp_path / 'odd', {'a': 60, 'b': 20})}", None)
    assert "--proportions" in commands(odd)["half"] and "--proportions" not in commands(odd, seeds=2)["random-small"]
    assert after(commands(odd, quick=True)["half"], "--budget") == "32"


def test_few_texts_get_a_random_half_and_more_clauses_to_choose_from(remarks):
    words = commands(plan_for(f"text:{remarks}", None), seeds=2)
    assert words["half"][1] == "random" and "random-half" not in words
    assert after(words["small"], "--strongest") == "0.3" and after(words["small"], "--rarest") == "2"
    assert after(words["random-packs"], "--strongest") == "1" and words["random-packs"].count("--strongest") == 1
    assert commands(plan_for("imdb", 100))["half"][1] == "margin"


def test_texts_of_many_classes_are_not_sent_to_the_linear_model(write_table, tmp_path):
    words = commands(plan_for(f"text:{write_table(tmp_path / 'many.csv', 90, ('bad', 'good', 'odd'))}", None), seeds=2)
    assert not any(word in ("cover", "linear") or "linear," in word for line in words.values() for word in line)


@pytest.mark.parametrize(
    ("words", "budget", "message"),
    [
        ("mnist", 15, "take 10 or 20"),
        ("mnist", 5, "take 10$"),
        ("mnist", 60000, "6000 members of each class, and the smallest class has"),
        ("video:clips", None, r"unknown data set 'video:clips'; known: cifar10, .*images:DIR"),
        ("images:nowhere", None, "nowhere is missing"),
        ("hf:/no/such/nowhere", None, "nowhere is missing"),
    ],
)
def test_what_cannot_be_planned_is_one_line(words, budget, message):
    with pytest.raises(UsageError, match=message) as caught:
        plan_for(words, budget)
    assert "\n" not in str(caught.value)


def test_a_budget_larger_than_a_class_of_ones_own(pets):
    seen = custom_outline(parse(f"images:{pets}"))
    assert seen.smallest == 22 and per_class(seen, 44) == 22
    with pytest.raises(UsageError, match="smallest class has 22"):
        per_class(seen, 46)


def test_an_odd_sized_image_is_message_before_anything_runs(pets):
    Image.new("L", (13, 13)).save(pets / "cat" / "000.png")
    with pytest.raises(DDCoreError, match=r"cat/000\.png has 13x13"):
        plan_for(f"images:{pets}", None)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("quick", [False, True])
def test_classes_of_any_equal_size_can_share_every_budget(classes, quick, pets, monkeypatch):
    for each in (1, 2, 3, 19, 20, 21, 22, 80, 333, 1001):
        whole = each * classes
        y = torch.arange(whole) % classes
        fit = torch.bincount(y, minlength=classes) - torch.bincount(y[validation_part(y)], minlength=classes)
        outline = Outline("images-pets", "pets", "images", classes, whole, int(fit.min()), True, 144)
        monkeypatch.setattr(custom, "custom_outline", lambda _, outline=outline: outline)
        if outline.smallest == 0:
            with pytest.raises(UsageError, match="a class of pets has no members outside the validation split"):
                plan_for(f"images:{pets}", None)
            continue
        for words in commands(plan_for(f"images:{pets}", None), seeds=2, quick=quick).values():
            if "--budget" in words and "--no-balanced" not in words:
                budget = int(after(words, "--budget"))
                assert budget > 0 and budget % classes == 0, (each, words)


def test_26_cats_and_26_dogs_have_a_plan(tmp_path, write_pictures):
    plan = plan_for(f"images:{write_pictures(tmp_path / 'pets', {'cat': 26, 'dog': 26})}", None)
    assert plan.members == (42, 20, 6) and plan.quick[1] == 20
    assert after(commands(plan)["half"], "--budget") == "20"
    assert plan.results[1].name == "pets, 20 members"
