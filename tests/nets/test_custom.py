"""A user's own network: found beside the caller, tried before it is used, built from keyed draws."""

import sys

import pytest
import torch

from ddcore.errors import UsageError
from ddcore.nets.custom import need_features
from ddcore.nets.registry import build_net, net_name, net_of_file
from ddcore.training.recipes import recipe_for

MODULE = """
import torch
from torch import nn

class Tiny(nn.Module):
    def __init__(self, task, width=6):
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.LazyLinear(width), nn.BatchNorm1d(width), nn.ReLU())
        self.out = nn.Linear(width, len(task.classes))

    def features(self, x):
        return self.hidden(x)

    def forward(self, x):
        return self.out(self.hidden(x))

class Words(nn.Module):
    def __init__(self, task):
        super().__init__()
        self.table = nn.Embedding(task.tokeniser.get_vocab_size(), len(task.classes))

    def forward(self, ids):
        return self.table(ids).mean(1)

def plain(task):
    return nn.Sequential(nn.Flatten(), nn.Linear(task.shape[0] * task.shape[1] * task.shape[2], len(task.classes)))

def wide(task):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(7))

class Pair(nn.Module):
    def __init__(self, task):
        super().__init__()
        self.out = nn.LazyLinear(2)

    def forward(self, x):
        return self.out(x.flatten(1)), x

def nothing(task):
    return None

def fails(task):
    return nn.Linear(3, task.width)

def narrow(task):
    return nn.Linear(3, len(task.classes))

def empty(task):
    return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(len(task.classes)))

class Tied(nn.Module):
    def __init__(self, task):
        super().__init__()
        width = task.shape[0] * task.shape[1] * task.shape[2]
        self.first, self.second, self.out = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 2)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.out(self.second(self.first(x.flatten(1))))

def leaves(task):
    raise SystemExit("bye")

class Leaves(nn.Linear):
    def __init__(self, task):
        super().__init__(3, 2)

    def forward(self, x):
        raise SystemExit(3)

number = 3
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a module of networks in it."""
    (tmp_path / "custom_nets_of_test.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("custom_nets_of_test", None)


def test_a_network_beside_the_caller_is_built_from_its_key(here, toy):
    before = list(sys.path)
    name = net_name("custom_nets_of_test:Tiny", toy)
    first, again, other = (build_net(name, toy, seed) for seed in (0, 0, 1))
    states = [net.state_dict() for net in (first, again, other)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(states[0]["hidden.1.weight"], states[2]["hidden.1.weight"])
    assert first.training and float(first.hidden[2].running_mean.abs().sum()) == 0, "the trial leaves no trace"
    assert sys.path == before


def test_building_draws_nothing_from_the_callers_generator(here, toy):
    before = torch.get_rng_state()
    build_net("custom_nets_of_test:Tiny", toy, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_text_network_reads_ids(here, review_task):
    net = build_net("custom_nets_of_test:Words", review_task, 0)
    assert net(review_task.inputs(review_task.train.x[torch.arange(3)])).shape == (3, 2)


def test_it_has_a_recipe_of_every_size(here, toy, review_task):
    for task in (toy, review_task):
        for members in (10, 10000):
            assert recipe_for(task, "custom_nets_of_test:Tiny", members, "cpu", toy=True).steps <= 100


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_such_module_at_all:build", r"there is no module 'no_such_module_at_all' on Python's path or in /"),
        ("custom_nets_of_test:build", r"'build' does not exist in .*custom_nets_of_test\.py"),
        ("custom_nets_of_test:number", "'number' is not callable"),
        ("custom_nets_of_test.py:Tiny", "write module:builder"),
        ("custom_nets_of_test:", "write module:builder"),
        ("./custom_nets_of_test:Tiny", "write module:builder"),
    ],
)
def test_a_builder_that_is_not_there_is_one_line(here, toy, name, told):
    with pytest.raises(UsageError, match=told) as caught:
        net_name(name, toy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("leaves", r"the builder failed \(SystemExit: bye\)"),
        ("Leaves", r"fails on images \(2, 1, 8, 8\) \(SystemExit: 3\)"),
        ("Tied", r"ties first\.weight and second\.weight to one tensor: give each its own"),
        ("fails", r"the builder failed \(AttributeError: .*width"),
        ("nothing", r"returned a NoneType, not a torch\.nn\.Module"),
        ("wide", r"returns \(2, 7\) for 2 members; expected are logits \(2, 2\)"),
        ("Pair", "returns a tuple for 2 members"),
        ("narrow", r"fails on images \(2, 1, 8, 8\) \(RuntimeError: "),
        ("empty", "no parameters to train"),
    ],
)
def test_a_network_that_does_not_fit_is_one_line(here, toy, name, told):
    with pytest.raises(UsageError, match=rf"^network 'custom_nets_of_test:{name}'.*{told}") as caught:
        build_net(f"custom_nets_of_test:{name}", toy, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nothing_like_this", "cannot be imported .No module named 'nothing_like_this'"),
        ("1 / 0", "cannot be imported .ZeroDivisionError"),
        ("def f(:", "cannot be imported .SyntaxError"),
    ],
)
def test_a_module_that_breaks_is_one_line(here, toy, text, told):
    (here / "broken_nets_of_test.py").write_text(text)
    with pytest.raises(UsageError, match=told) as caught:
        net_name("broken_nets_of_test:f", toy)
    assert "\n" not in str(caught.value)


def test_a_method_that_wants_features_says_so(here, toy):
    with pytest.raises(UsageError, match=r"dm uses features, and network 'x:y' has no features\(x\)"):
        need_features(build_net("custom_nets_of_test:plain", toy, 0), "x:y", "dm")


@pytest.mark.parametrize("name", ["evil_nets_of_test:build", "os:system", "evil_nets_of_test:", ":x", "./evil:b"])
def test_a_custom_network_that_only_a_file_names_is_not_run(here, toy, name):
    (here / "evil_nets_of_test.py").write_text("raise SystemExit('it was run')")
    with pytest.raises(UsageError, match=f"runs/small names the network '{name}', .* with --nets {name}") as caught:
        net_of_file(name, toy, ["default", "mlp"], "runs/small", "--nets")
    assert "\n" not in str(caught.value) and "evil_nets_of_test" not in sys.modules


def test_a_custom_network_that_the_user_names_too_is_used(here, toy):
    assert net_of_file("mlp", toy, [], "x") == "mlp" and net_of_file("default", toy, [], "x") == toy.default_net
    name = "custom_nets_of_test:Tiny"
    assert net_of_file(name, toy, ["default", name], "x") == name
    with pytest.raises(UsageError, match="unknown network 'vgg'"):
        net_of_file("vgg", toy, ["vgg"], "x")
