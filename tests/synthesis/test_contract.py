from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from toys import IMAGE_METHODS, prepared, problem, session_in, short_method, toy_teacher

from ddcore.methods.registry import METHODS
from ddcore.runtime.session import Session
from ddcore.synthesis.contract import Finished, Group, Method, Shard, Synthesis
from ddcore.synthesis.outer_loop import distilled_set


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_one_contract(name):
    cls = METHODS[name]
    assert issubclass(cls, Method) and cls.name == name
    assert cls.start is not Method.start, "a method starts a synthesis"
    staged = cls.stages is not Method.stages
    assert staged == (cls.start_stage is not Method.start_stage) == (cls.of_stage is not Method.of_stage)
    follows = cls().steps > 0
    assert cls().validation.validations > 0 and isinstance(cls().quick(), cls) and follows == (cls().quick().steps > 0)


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_a_synthesis_gives_the_state_it_takes(name, toy, tmp_path):
    prepared(tmp_path)
    asked = problem(toy, 8, toy_teacher(toy, tmp_path / "teacher"), 5)
    first, second = (short_method(name, tmp_path, {}).start(asked, Session()) for _ in range(2))
    for shard in first.shards(0):
        part = first.gradient(shard)
        assert part.gradients.keys() == first.variables.keys() and "loss" in part.values
        first.absorb(shard, part.update)
    for variable in first.variables.values():
        variable += 0.5
    state = first.state_dict()
    assert set(first.variables) <= set(state) and set(first.memory()) <= set(state)
    second.load_state_dict({name: tensor.clone() for name, tensor in state.items()})
    assert all(torch.equal(tensor, state[name]) for name, tensor in second.state_dict().items())
    assert torch.equal(first.decode().x, second.decode().x)


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_a_set_says_what_it_was_made_by_and_of(name, toy, tmp_path):
    prepared(tmp_path)
    asked = problem(toy, 8, toy_teacher(toy, tmp_path / "teacher"), 5)
    made = short_method(name, tmp_path, {}).start(asked, Session()).decode({"note": 7})
    assert (made.method, made.dataset, made.classes) == (name, toy.name, toy.classes)
    assert made.options["seed"] == 5 and made.options["budget"] == len(made) and "mlp" in made.recipes
    assert made.provenance["source"] == toy.source and made.provenance["note"] == 7


@pytest.mark.parametrize("name", IMAGE_METHODS)
def test_every_method_keeps_the_proportions_of_the_data(name, toy, tmp_path):
    prepared(tmp_path)
    pool = toy.fit[(toy.train.y[toy.fit] == 0) | (torch.arange(len(toy.fit)) < 40)]
    asked = replace(problem(toy, 8, toy_teacher(toy, tmp_path / "teacher"), 5), pool=pool, proportions="data")
    started = replace(short_method(name, tmp_path, {}), proportions="data").start(asked, Session())
    part = started.gradient(started.shards(0)[0])
    assert all(bool(gradient.isfinite().all()) for gradient in part.gradients.values())
    made = started.decode()
    counts = torch.bincount(made.y, minlength=2).tolist()
    assert asked.counts == [6, 2] and made.options["proportions"] == "data"
    if len(made) == asked.budget:
        assert counts == asked.counts
    else:  # several images of a slot, or the first of several blocks, in which the classes take turns
        assert counts[0] >= counts[1] > 0


@dataclass(frozen=True)
class Least(Method):
    """A method that says as little as it may."""

    name: ClassVar[str] = "least"

    def start(self, problem, session):
        return Synthesis(self, problem, session)


def test_what_a_synthesis_does_not_give_has_a_plain_meaning(toy):
    run = Least().start(problem(toy, 4), Session())
    assert run.groups == run.variables == run.memory() == run.state_dict() == {} and run.forecast() is None
    assert run.shards(3) == [Shard(3, 0)] and run.absorb(Shard(3), {}) is None
    for call in (lambda: run.gradient(Shard(0)), lambda: run.score(0), run.decode):
        with pytest.raises(TypeError):
            call()


def test_a_method_without_stages_has_one(toy):
    method, asked = Least(), problem(toy, 4)
    assert method.stages(asked) == [4] and method.of_stage(4, 4) is method and method.quick() is method
    assert type(method.start_stage(0, None, asked, Session())) is Synthesis
    assert torch.equal(method.pool_of(toy), toy.fit)
    with pytest.raises(TypeError, match="Method cannot start"):
        Method().start(asked, Session())


class Pair(Synthesis):
    """Two variables in two groups."""

    x, y = torch.zeros(2), torch.ones(1)

    @property
    def groups(self):
        return {"images": Group({"x": self.x}, 0.1), "labels": Group({"y": self.y}, 0.2)}


def test_variables_are_those_of_all_groups_and_all_state(toy):
    run = Pair(Least(), problem(toy, 4), Session())
    assert run.variables.keys() == run.state_dict().keys() == {"x", "y"}
    run.load_state_dict({"x": torch.tensor([3.0, 4.0]), "y": torch.tensor([5.0])})
    assert run.x.tolist() == [3.0, 4.0] and run.y.tolist() == [5.0]
    with pytest.raises(KeyError):
        run.load_state_dict({"x": torch.zeros(2)})


@dataclass(frozen=True)
class AtOnce(Method):
    """A method that follows no gradient: it gives its set at once."""

    name: ClassVar[str] = "at-once"

    def start(self, problem, session):
        run = Synthesis(self, problem, session)
        y = torch.arange(problem.budget) % 2
        return Finished(run.image_set(torch.zeros(problem.budget, 1, 8, 8), y, None, 1.0, {"by": "hand"}))


def test_a_set_that_is_finished_takes_no_steps(toy, tmp_path):
    made = distilled_set(AtOnce(), problem(toy, 4), session_in(tmp_path))
    assert made.method == "at-once" and made.provenance == {"source": toy.source, "by": "hand"}
    assert not list(tmp_path.glob("*checkpoint*"))
    assert AtOnce().start(problem(toy, 4), Session()).decode({"more": 1}).provenance["more"] == 1
