import dataclasses

import pytest
from toys import IMAGE_METHODS, prepared, problem, short_method, toy_teacher

from ddcore.methods.registry import METHODS
from ddcore.options import options_of
from ddcore.runtime.session import Session
from ddcore.selection.random_choice import RandomChoice
from ddcore.selection.registry import SELECTORS


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_reads_and_what_it_is(name):
    method = METHODS[name]
    assert set(method.kinds) <= {"images", "text"} and method.kinds
    assert (method.__doc__ or "").splitlines()[0] and dataclasses.is_dataclass(method)


@pytest.mark.parametrize("selector", ["rl-agent", "mutual-information", "margin"])
@pytest.mark.parametrize("name", [name for name in IMAGE_METHODS if name != "gan"])
def test_the_images_of_every_method_start_as_the_members_of_a_selector(name, selector, toy, tmp_path, monkeypatch):
    prepared(tmp_path)
    teacher, cls = toy_teacher(toy, tmp_path / "teacher"), SELECTORS[selector]
    chosen = RandomChoice().select(problem(toy, 8, seed=7), Session())
    monkeypatch.setattr(cls, "select", lambda self, asked, session: chosen)
    method = short_method(name, tmp_path, {"init": selector})
    assert "init" in {each.name for each in options_of(METHODS[name])}
    # The first stage of a set that grows has the first of the members.
    began = method.start(problem(toy, 8, teacher, 5), Session()).decode().provenance["began at"]
    assert set(began) <= set(chosen.tolist()) and len(set(began)) == len(began) == (2 if name == "boost-dd" else 8)
