import json

import pytest

from ddcore.errors import UsageError
from ddcore.runtime.older import current
from ddcore.runtime.run_folder import Run


def test_options_of_the_version_before_are_read_by_their_old_meaning():
    old = {"stage": "distill", "options": {"method": "dd", "images": "noise", "init": "known", "checks": 5}}
    assert current(old)["options"] == {"method": "dd", "init": "noise", "start_weights": "known", "validations": 5}
    assert current(current(old)) == current(old)
    frepo = {"stage": "distill", "options": {"method": "frepo", "check_steps": 400}}
    assert current(frepo)["options"] == {"method": "frepo", "init": "k-means", "validation_steps": 400}


def test_a_folder_of_the_version_before_is_resumed_or_refused_in_one_line(tmp_path):
    options = {"method": "dm", "images": "random", "check_networks": 2, "budget": 10}
    (tmp_path / "config.json").write_text(json.dumps({"stage": "distill", "options": options, "command": ""}))
    (tmp_path / "checkpoint.safetensors").write_text("made")
    now = {"method": "dm", "init": "random", "validation_networks": 2, "budget": 10, "proportions": "balanced"}
    assert not Run.start(tmp_path, "distill", now).finished
    with pytest.raises(UsageError, match=r"init was random, now herding\).*--fresh to put it aside"):
        Run.start(tmp_path, "distill", {**now, "init": "herding"})


def test_sets_of_the_version_before_had_as_many_members_of_each_class():
    def now(**options) -> dict:
        return current({"format": 2, "stage": "any", "options": options})["options"]

    assert now(budget=10, balanced=True) == now(budget=10) == {"budget": 10, "proportions": "balanced"}
    assert now(budget=10, balanced=False) == {"budget": 10, "balanced": False}  # another choice of members: refused
    assert now(way="dm", options={"net": "mlp"}) == {"way": "dm", "options": {"net": "mlp", "proportions": "balanced"}}
    assert now(budget=10, minutes=1.0) == {"budget": 10, "minutes": 1.0} and now(net="mlp") == {"net": "mlp"}


def test_a_folder_without_an_option_that_came_later_is_resumed(tmp_path):
    before = {"method": "dm", "options": {"steps": 3}}
    (tmp_path / "config.json").write_text(json.dumps({"format": 3, "stage": "distill", "options": before}))
    (tmp_path / "checkpoint.safetensors").write_text("made")
    now = {"method": "dm", "classes_per_step": 100, "options": {"steps": 3, "classes_per_step": 100}}
    assert not Run.start(tmp_path, "distill", now).finished
    with pytest.raises(UsageError, match="classes_per_step was 100, now 5"):
        Run.start(tmp_path, "distill", {**now, "classes_per_step": 5})


def test_the_recipe_of_an_evaluation_is_its_protocol(tmp_path):
    def now(recipe) -> dict:
        return current({"format": 3, "stage": "evaluate", "options": {"nets": "mlp", "recipe": recipe}})["options"]

    assert now("own") == {"nets": "mlp", "protocol": "own"} and now("default") == {"nets": "mlp", "protocol": "ddcore"}
    before = {"format": 3, "stage": "evaluate", "options": {"nets": "mlp", "recipe": "default"}}
    (tmp_path / "config.json").write_text(json.dumps(before))
    (tmp_path / "scores.json").write_text("made")
    assert not Run.start(tmp_path, "evaluate", {"nets": "mlp", "protocol": "ddcore"}).finished
    with pytest.raises(UsageError, match="protocol was ddcore, now dc"):
        Run.start(tmp_path, "evaluate", {"nets": "mlp", "protocol": "dc"})
