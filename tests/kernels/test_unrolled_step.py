from pathlib import Path

import pytest
import torch

from ddcore.kernels import Rule, advance, retreat

RULES = [
    Rule(),
    Rule(weight_decay=0.3),
    Rule(momentum=0.8),
    Rule(momentum=0.8, weight_decay=0.3),
    Rule("adam", 0.9),
    Rule("adam", 0.5, 0.9, weight_decay=0.3),
]


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def begun(rule, size=6):
    return tuple(draw(size + k).abs()[:size] if k == 2 else draw(size + k)[:size] for k in range(rule.rows))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_steps_are_those_of_torch_optim(rule):
    p = torch.nn.Parameter(draw(6))
    if rule.optimiser == "adam":
        theirs = torch.optim.Adam([p], betas=(rule.momentum, rule.second), eps=rule.eps, weight_decay=rule.weight_decay)
    else:
        theirs = torch.optim.SGD([p], lr=0.1, momentum=rule.momentum, weight_decay=rule.weight_decay)
    state = (p.detach().clone(), *(torch.zeros(6, dtype=torch.float64) for _ in range(rule.rows - 1)))
    for step in range(5):
        g = draw(6 + step)[:6]
        theirs.param_groups[0]["lr"] = 0.1 / (step + 1)
        p.grad = g.clone()
        theirs.step()
        state = advance(state, g, 0.1 / (step + 1), step, rule)
    torch.testing.assert_close(state[0], p.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("count", [0, 7])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_adjoint_is_autograds(rule, count):
    before = tuple(row.requires_grad_() for row in begun(rule))
    rate = torch.tensor(0.07, dtype=torch.float64, requires_grad=True)
    g = draw(20)[:6].requires_grad_()
    after = advance(before, g, rate, count, rule)
    adjoints = tuple(draw(30 + k)[:6] for k in range(rule.rows))
    *rows, d_g, d_rate = torch.autograd.grad(after, (*before, g, rate), adjoints)
    still = [tuple(row.detach() for row in rows) for rows in (before, after)]
    asked, ours = retreat(*still, adjoints, rate.detach(), count, rule)
    scale = 1.0 if asked.scale is None else asked.scale
    torch.testing.assert_close(scale * asked.along, d_g)
    decayed = rule.weight_decay * scale * asked.along
    torch.testing.assert_close(ours[0] + decayed, rows[0])
    for a, b in zip(ours[1:], rows[1:], strict=True):
        torch.testing.assert_close(a, b)
    slope = torch.dot(g.detach() + rule.weight_decay * still[0][0], asked.along)
    torch.testing.assert_close(-slope if asked.moved is None else -asked.moved.sum(), d_rate)


def test_a_parameter_that_never_had_a_gradient_stays_and_is_finite():
    rule = Rule("adam", 0.9)
    zero = torch.zeros(2, dtype=torch.float64)
    before = (torch.ones(2, dtype=torch.float64), zero, zero)
    after = advance(before, torch.tensor([0.0, 1.0], dtype=torch.float64), 0.1, 0, rule)
    assert after[0][0] == 1.0 and after[0][1] < 1.0
    asked, adjoints = retreat(before, after, (torch.ones(2, dtype=torch.float64), zero, zero), 0.1, 0, rule)
    assert all(row.isfinite().all() for row in (asked.along, *adjoints))


@pytest.mark.parametrize("size", [6, 2048, 2500])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_kernels_are_the_reference(kernels_run, poisoned, off, rule, size):
    before, g, rate = begun(rule, size), draw(size + 9)[:size], torch.tensor(0.07, dtype=torch.float64)
    adjoints = tuple(draw(30 + k + size)[:size] for k in range(rule.rows))

    def single(tensors):
        return tuple(each.to(kernels_run, torch.float32) for each in tensors)

    right = advance(before, g, rate, 4, rule)
    ours = advance(single(before), *single((g, rate)), 4, rule)
    assert all(off(a, b) <= 2e-6 for a, b in zip(ours, right, strict=True))
    wanted, rows = retreat(before, right, adjoints, rate, 4, rule)
    found, our_rows = retreat(single(before), single(right), single(adjoints), *single((rate,)), 4, rule)
    assert off(found.along, wanted.along) <= 2e-6
    assert all(off(a, b) <= 2e-6 for a, b in zip(our_rows, rows, strict=True))
    if wanted.moved is not None:
        # A dot product that may cancel: by the size of its terms.
        terms = (adjoints[0] * (before[0] - right[0]) / rate).abs().sum()
        assert abs(float(found.moved.sum()) - float(wanted.moved.sum())) <= 2e-6 * float(terms)
    assert (found.scale is None) == (wanted.scale is None)


def test_kernels_leave_a_parameter_without_gradients_alone(kernels_run):
    rule, zero = Rule("adam", 0.9), torch.zeros(2, device=kernels_run)
    before = (torch.ones_like(zero), zero, zero)
    after = advance(before, torch.tensor([0.0, 1.0], device=kernels_run), 0.1, 0, rule)
    assert after[0][0] == 1.0 and after[0][1] < 1.0
    asked, adjoints = retreat(before, after, (torch.ones_like(zero), zero, zero), 0.1, 0, rule)
    assert all(row.isfinite().all() for row in (asked.along, *adjoints))


def test_the_same_bits_twice(kernels_run):
    rule = Rule("adam", 0.9)
    rows = tuple(row.float().to(kernels_run) for row in begun(rule, 2500))
    (one, _), (two, _) = (retreat(rows, rows, rows, 0.1, 2, rule) for _ in range(2))
    assert torch.equal(one.along, two.along) and torch.equal(one.moved, two.moved)


def test_the_order_of_programs_does_not_matter(kernels_run, poisoned, backwards):
    rule = Rule("adam", 0.9)
    rows = tuple(row.float().to(kernels_run) for row in begun(rule, 2500))
    found = []
    for turn in (lambda: None, backwards):
        turn()
        asked, adjoints = retreat(rows, rows, rows, 0.1, 2, rule)
        found.append((*advance(rows, rows[1], 0.1, 2, rule), asked.along, asked.moved, *adjoints))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_kernels_take_complements_of_betas_from_double_precision(kernels_run):
    # In single precision 1 - 0.9999 is off by 1e-4 of itself.
    rule, zero = Rule("adam", 0.9, 0.9999), torch.zeros(1, device=kernels_run)
    _, _, square = advance((zero, zero, zero), torch.ones_like(zero), 0.1, 0, rule)
    assert float(square) == pytest.approx(1e-4, rel=1e-6)
    # The interpreter computes scalars in double precision, and the assertion above can fail on a GPU alone.
    source = (Path(__file__).parents[2] / "kernels" / "unrolled_step_triton.py").read_text()
    assert "1 - " not in source[source.index("@triton.jit") :]


def test_rows_that_do_not_fit_are_named():
    rule, row = Rule(momentum=0.9), torch.zeros(3)
    with pytest.raises(ValueError, match=r"^state must be 2 vectors"):
        advance((row,), row, 0.1, 0, rule)
    with pytest.raises(ValueError, match=r"^g must be"):
        advance((row, row), row[:2], 0.1, 0, rule)
    with pytest.raises(ValueError, match=r"^adjoints must be"):
        retreat((row, row), (row, row), (row, row.double()), 0.1, 0, rule)
    with pytest.raises(ValueError, match=r"^before must be 2 vectors"):
        retreat((row[:0], row[:0]), (row, row), (row, row), 0.1, 0, rule)


def test_strided_rows_are_read_where_they_lie(kernels_run):
    rule = Rule("adam", 0.9)
    rows = tuple(row.float().to(kernels_run) for row in begun(rule, 2500))
    strided = tuple(torch.stack([row, row + 1], 1)[:, 0] for row in rows)
    ours, right = (advance(each, each[0], 0.1, 2, rule) for each in (strided, rows))
    assert all(torch.equal(a, b) for a, b in zip(ours, right, strict=True))
    (ours, _), (right, _) = (retreat(each, each, each, 0.1, 2, rule) for each in (strided, rows))
    assert torch.equal(ours.along, right.along) and torch.equal(ours.moved, right.moved)
