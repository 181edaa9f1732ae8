import pytest
import torch
from toys import prepared, problem, session_in, toy_teacher

from ddcore.comparison.controls import Start, controls_of
from ddcore.comparison.entries import one_entry
from ddcore.options import flat
from ddcore.synthesis import begun, synthesise


@pytest.fixture
def asked(toy, tmp_path):
    prepared(tmp_path)
    return problem(toy, 4, toy_teacher(toy, tmp_path / "teacher"))


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("random", []),
        ("k-means:labels=soft", []),
        ("rded:factor=2", ["rded:factor=2:keep=random", "k-means"]),
        ("rded:keep=random", []),
        ("cover", ["cover:candidates=1:strongest=1", "k-means"]),
        ("dm", ["k-means"]),
        ("dm:init=noise", ["k-means"]),
        ("dm:init=k-means", ["start of dm:init=k-means", "k-means"]),
        ("dm:factor=2", ["start of dm:factor=2", "k-means"]),
        ("gan", ["start of gan", "k-means"]),
        ("boost-dd:blocks=1,2:init=k-means", ["k-means"]),
        ("cim:augment=none", ["start of cim:augment=none", "start of cim:augment=none:keep=random", "k-means"]),
        ("sre2l:keep=random", ["start of sre2l:keep=random", "k-means"]),
        ("sre2l:init=noise", ["k-means"]),
    ],
)
def test_controls_of_entries(text, titles, asked):
    controls = controls_of(one_entry(text, {}), asked)
    assert [each.title for each in controls] == titles
    assert not any(each.timed for each in controls)
    by_chance = [each for each in controls if "keep=random" in each.title]
    assert all(flat(getattr(each.maker, "inner", each.maker))["keep"] == "random" for each in by_chance)


@pytest.mark.parametrize("text", ["dm:init=k-means", "cim"])
def test_the_start_of_a_method_is_what_its_first_step_begins_with(text, asked, tmp_path):
    entry = one_entry(text, {})
    [control, *_] = controls_of(entry, asked)
    small = synthesise(control.method, asked, session_in(tmp_path / "start"))
    first = begun(entry.method, asked, session_in(tmp_path / "other")).decode()
    assert torch.equal(small.x, first.x) and torch.equal(small.y, first.y) and small.provenance == first.provenance
    assert small.method == f"start of {entry.method.name}" and small.origin.factor == first.origin.factor


def test_a_start_needs_what_its_method_needs():
    assert Start(inner=one_entry("cim", {}).method).needs_teacher("images")
    assert not Start(inner=one_entry("dm", {}).method).needs_teacher("images")
