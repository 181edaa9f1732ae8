"""The engine against autograd's graph of all steps, against differences, and against itself."""

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ddcore.data.augment import shift_and_flip
from ddcore.draws import generator
from ddcore.errors import UsageError
from ddcore.kernels import Rule, retreat
from ddcore.nets.cnn import TextCNN
from ddcore.nets.convnet import ConvNet
from ddcore.nets.resnet_gn import ResNetGN
from ddcore.unroll.flat_params import ALIGNED, Flat
from ddcore.unroll.inner_step import RealLoss, Step
from ddcore.unroll.meta_gradient import State, Training, Unroll, meta_gradient, train

T = 12
NETS = {
    "convnet": (lambda: ConvNet((1, 8, 8), 3, 3), (1, 8, 8)),
    "resnet-gn": (lambda: ResNetGN((1, 8, 8), 3, (4, 4, 6), 2), (1, 8, 8)),
    "text cnn on words": (lambda: TextCNN(3, 9, 4, 5), (6, 9)),
    "text cnn on vectors": (lambda: TextCNN(3, 9, 4, 5), (6, 4)),
}
RULES = {
    "sgd": Rule(),
    "sgd, decay": Rule(weight_decay=0.05),
    "momentum, decay": Rule(momentum=0.9, weight_decay=0.05),
    "adam": Rule("adam", 0.9),
    "adam, decay": Rule("adam", 0.8, 0.95, weight_decay=0.05),
}
PARTS = ("x", "y", "rates", "theta")


def draw(*shape, key=0):
    return torch.randn(*shape, generator=generator("unroll", key, *shape), dtype=torch.float64)


class Case:
    """A network, a set of 7 members and T steps on batches of 5."""

    def __init__(self, name="convnet", rule=None, micro=None, augment=None, each=True):
        net, shape = NETS[name]
        torch.manual_seed(0)
        self.flat = Flat(net().double())
        self.rule = rule or Rule()
        order = torch.stack([torch.randperm(7, generator=generator("order", t))[:5] for t in range(T)])
        self.training = Training(Step(self.flat, micro=micro), order, self.rule, augment)
        self.x, self.y = draw(7, *shape), draw(7, 3).softmax(1)
        if name == "text cnn on words":
            self.x = self.x.softmax(2)
        scale = 0.01 if self.rule.optimiser == "adam" else 0.1
        self.rates = scale * (1 + torch.arange(T, dtype=torch.float64) / T) if each else torch.tensor(scale).double()
        self.start = State.fresh(self.flat.start(), self.rule)
        self.real = draw(9, *shape, key=1), F.one_hot(torch.arange(9) % 3, 3).double()
        if name == "text cnn on words":
            self.real = self.real[0].softmax(2), self.real[1]

    def outer(self, theta):
        return F.cross_entropy(self.flat(theta, self.real[0]), self.real[1])

    def unroll(self, window=None):
        return Unroll(self.training, self.start, self.x, self.y, self.rates, self.outer, window)

    def found(self, mode="states", window=None):
        return meta_gradient(self.unroll(window), mode)

    def loss(self):
        return self.outer(train(self.training, self.start, self.x, self.y, self.rates).theta)


def assert_same(a, b, parts=PARTS, rtol=1e-10):
    torch.testing.assert_close(a.loss, b.loss)
    for part in parts:
        ours, theirs = getattr(a, part), getattr(b, part)
        assert float((ours - theirs).norm() / theirs.norm()) <= rtol, part


@pytest.mark.parametrize(("name", "rule"), list(itertools.product(NETS, RULES)))
def test_the_walk_is_the_gradient_of_the_stored_graph(name, rule):
    case = Case(name, RULES[rule])
    assert_same(case.found(), case.found(mode="graph"))


def test_stored_rows_are_aligned(monkeypatch):
    seen = []

    def watched(before, after, *others):
        seen.extend(row.storage_offset() for row in (*before, *after))
        return retreat(before, after, *others)

    monkeypatch.setitem(meta_gradient.__globals__, "retreat", watched)
    case = Case(rule=RULES["adam"])
    case.found()
    assert case.flat.size % ALIGNED and len(seen) == 6 * T
    assert not any(offset % ALIGNED for offset in seen)


@pytest.mark.parametrize("rule", RULES)
def test_one_shared_step_size(rule):
    case = Case(rule=RULES[rule], each=False)
    found = case.found()
    assert found.rates.shape == ()
    assert_same(found, case.found(mode="graph"))


@pytest.mark.parametrize("part", ["x", "y", "rates"])
@pytest.mark.parametrize(("name", "rule"), [("convnet", "momentum, decay"), ("text cnn on words", "adam, decay")])
def test_differences_say_the_same(name, rule, part):
    case = Case(name, RULES[rule])
    slope = getattr(case.found(), part)
    along = draw(*slope.shape, key=5)
    along = along / along.norm() * (0.01 if part == "rates" else 1)
    here, losses = getattr(case, part), []
    for side in (1e-7, -1e-7):
        setattr(case, part, here + side * along)
        losses.append(case.loss())
    difference = (losses[0] - losses[1]) / 2e-7
    torch.testing.assert_close((slope * along).sum(), difference, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("rule", ["sgd, decay", "adam"])
@pytest.mark.parametrize("window", [1, 5])
def test_a_window_is_that_of_the_stored_graph(rule, window):
    case = Case(rule=RULES[rule])
    found = case.found(window=window)
    assert_same(found, case.found(window=window, mode="graph"))
    assert (found.rates[: T - window] == 0).all() and (found.rates[T - window :] != 0).all()
    assert not torch.allclose(found.x, case.found().x)


def held(case, first):
    """The gradient of plain descent whose weights before each step are constants; None where nothing flows."""
    x, y, rates = (each.clone().requires_grad_() for each in (case.x, case.y, case.rates))
    theta, total = case.start.theta, 0.0
    for t, members in enumerate(case.training.order):
        point = theta.detach().requires_grad_()
        seen = case.training.augmented(x[members], t)
        loss = case.training.step.loss(case.flat(point, seen), y[members]).mean()
        (g,) = torch.autograd.grad(loss, point, create_graph=True)
        rate = rates[t] if rates.ndim else rates
        total = total + rate * g if t >= first else total
        theta = (theta - rate * g).detach()
    lam = theta.clone().requires_grad_()
    (lam,) = torch.autograd.grad(case.outer(lam), lam)
    return torch.autograd.grad(-(lam * total).sum(), [x, y, rates]), case.outer(theta)


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize("each", [True, False])
def test_first_order_differentiates_each_step_alone_and_stores_none(monkeypatch, each, window):
    case = Case(micro=2, augment=moved, each=each)
    (x, y, rates), loss = held(case, T - window if window else 0)
    monkeypatch.setitem(meta_gradient.__globals__, "aligned_rows", None)
    found = case.found("first-order", window)
    assert_same(found, replace(found, x=x, y=y, rates=rates, loss=loss), ("x", "y", "rates", "loss"))
    assert torch.equal(found.end.theta, train(case.training, case.start, case.x, case.y, case.rates).theta)


@pytest.mark.parametrize("rule", ["momentum, decay", "adam", "sgd, decay"])
def test_first_order_is_for_plain_descent(rule):
    with pytest.raises(UsageError, match="the unroll 'first-order' is for plain gradient descent"):
        Case(rule=RULES[rule]).found("first-order")


def moved(x, t):
    return shift_and_flip(x, 1, True, x.new_zeros(1, 1, 1), generator("moved", t))


@pytest.mark.parametrize("rule", ["momentum, decay", "adam"])
def test_micro_batches_and_augmentation_change_nothing(rule):
    whole = Case(rule=RULES[rule], augment=moved)
    right = whole.found(mode="graph")
    for micro in (None, 7, 2, 1):
        assert_same(Case(rule=RULES[rule], augment=moved, micro=micro).found(), right)
    assert not torch.allclose(Case(rule=RULES[rule]).found().x, right.x)


def test_augmentation_may_mix_members():
    def mixed(x, t):
        return 0.7 * x + 0.3 * x.flip(0)

    case = Case(augment=mixed, micro=2)
    assert_same(case.found(), case.found(mode="graph"))


def test_several_outer_losses_add_up():
    case = Case()
    real = RealLoss(case.training.step, *case.real)
    twice = meta_gradient(replace(case.unroll(), outer=[real, case.outer]))
    once = case.found()
    torch.testing.assert_close(twice.x, 2 * once.x)
    torch.testing.assert_close(twice.loss, 2 * once.loss)


@pytest.mark.parametrize("rule", ["momentum, decay", "adam"])
def test_it_goes_on_where_it_ended(rule):
    case = Case(rule=RULES[rule])
    whole = case.found(window=5)
    first = Training(case.training.step, case.training.order[:7], case.rule)
    rest = Training(case.training.step, case.training.order[7:], case.rule)
    middle = train(first, case.start, case.x, case.y, case.rates[:7])
    last = meta_gradient(Unroll(rest, middle, case.x, case.y, case.rates[7:], case.outer))
    assert middle.taken == 7 and last.end.taken == whole.end.taken == T
    assert_same(last, whole, ("x", "y", "theta"), 1e-12)
    for a, b in zip(last.end.rows, train(case.training, case.start, case.x, case.y, case.rates).rows, strict=True):
        torch.testing.assert_close(a, b)


def test_labels_as_logits():
    case = Case()
    step = Step(case.flat, lambda logits, y: F.cross_entropy(logits, y.softmax(1), reduction="none"))
    case.training, case.y = Training(step, case.training.order), draw(7, 3)
    assert_same(case.found(), case.found(mode="graph"))


def test_members_drawn_twice_in_a_step_count_twice():
    case = Case()
    case.training = Training(case.training.step, torch.tensor([[0, 0, 1], [2, 1, 1]]))
    case.rates = case.rates[:2]
    assert_same(case.found(), case.found(mode="graph"))
    assert (case.found().x[3:] == 0).all()


def test_contradictions_are_refused():
    case = Case()
    with pytest.raises(UsageError, match="window of 13 steps must lie between 1 and the unroll's 12"):
        case.found(window=13)
    case.y = torch.arange(7) % 3
    with pytest.raises(UsageError, match="not class numbers"):
        case.found()
    case = Case()
    case.rates = case.rates[:5]
    with pytest.raises(UsageError, match=r"\(5,\) step sizes for 12 steps"):
        case.found()


def test_batch_norm_is_refused_before_anything_runs():
    with pytest.raises(UsageError, match="batch statistics"):
        Flat(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)))


def test_an_unroll_of_no_steps_is_refused():
    case = Case()
    with pytest.raises(UsageError, match="no steps"):
        meta_gradient(case.unroll().first(0))


def test_the_first_steps_are_an_unroll_of_their_own():
    case = Case()
    short = case.unroll(window=2).first(4)
    assert short.length == 4 and short.differentiated == range(4) and torch.equal(short.rates, case.rates[:4])
    assert case.unroll(window=2).differentiated == range(T - 2, T)


@pytest.mark.parametrize("labels", [torch.arange(9) % 3, F.one_hot(torch.arange(9) % 3, 3).double()])
def test_a_network_a_set_and_real_members_are_enough(labels):
    case = Case()
    unroll = Unroll.of(case.flat.net, case.x, case.y, (case.real[0], labels), steps=4, rate=0.1)
    order = torch.arange(7).expand(4, -1)
    whole = Unroll(Training(Step(case.flat), order), case.start, case.x, case.y, unroll.rates, case.outer)
    assert unroll.rates.tolist() == [0.1] * 4 and unroll.rates.dtype == torch.float64
    assert_same(meta_gradient(unroll), meta_gradient(whole, "graph"))
    own = Unroll.of(case.flat.net, case.x, case.y, case.outer, steps=4, rate=0.1)
    assert_same(meta_gradient(own), meta_gradient(unroll))


def test_the_example_of_the_page_runs():
    page = (Path(__file__).parents[2] / "docs" / "unrolling.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (example,) = (each for each in examples if "from ddcore.unroll import" in each)
    names = {}
    exec(example, names)
    gradient = names["gradient"]
    assert gradient.x.shape == (20, 1, 28, 28) and gradient.rates.shape == (12,) and bool((gradient.rates != 0).all())
    short = names["short"]
    assert short.y.shape == (20, 10) and short.rates.shape == (20,)


def test_a_parameter_that_nothing_depends_on_stays_put_and_finite_under_adam():
    class WithSpare(nn.Module):
        def __init__(self):
            super().__init__()
            self.out, self.spare = nn.Linear(64, 3), nn.Parameter(torch.ones(1))

        def forward(self, x):
            return self.out(x.flatten(1)) + 0 * self.spare

    case = Case(rule=Rule("adam", 0.9))
    flat = Flat(WithSpare().double())
    case.flat, case.training = flat, Training(Step(flat), case.training.order, case.rule)
    case.start = State.fresh(flat.start(), case.rule)
    found = case.found()
    at = list(flat.shapes).index("spare")
    place = sum(flat.sizes[:at])
    assert flat.sizes[at] == 1 and found.end.theta[place] == 1 and found.theta[place] == 0
    assert all(bool(part.isfinite().all()) for part in (found.x, found.y, found.rates, found.theta))
    assert_same(found, case.found(mode="graph"))
