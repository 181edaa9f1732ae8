import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import jvp, vjp
from torch.nn import functional as F

from ddcore.kernels import soft_cross_entropy, soft_cross_entropy_backward, soft_cross_entropy_tangent
from ddcore.kernels.soft_cross_entropy import SoftCrossEntropy

SHAPES = [(1, 2), (5, 10), (33, 3), (16, 100)]


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(n, k):
    """Return c, c', logits, logits', labels, labels' in float64."""
    labels = draw(n, k, seed=2).softmax(1)
    return draw(n), draw(n, seed=1), 4 * draw(n, k, seed=3), draw(n, k, seed=4), labels, draw(n, k, seed=5)


def by_autograd(c, c_t, z, z_t, y, y_t, temperature):
    def loss(z, y):
        return -(y * F.log_softmax(z / temperature, 1)).sum(1)

    losses, loss_t = jvp(loss, (z, y), (z_t, y_t))
    (z_c, y_c), (z_ct, y_ct) = jvp(lambda c, z, y: vjp(loss, z, y)[1](c), (c, z, y), (c_t, z_t, y_t))
    return (losses, z_c, y_c), (loss_t, z_c, z_ct, y_ct)


def test_hard_labels_give_torchs_loss():
    z, y = draw(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    right = F.cross_entropy(z, y, reduction="none")
    torch.testing.assert_close(soft_cross_entropy(z, F.one_hot(y, 4).double()), right)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_formulas_are_autograds(shape, temperature):
    given = case(*shape)
    first, second = by_autograd(*given, temperature)
    c, c_t, z, z_t, y, y_t = given
    torch.testing.assert_close(soft_cross_entropy_backward(c, z, y, temperature), first)
    torch.testing.assert_close(soft_cross_entropy_tangent(c, c_t, z, z_t, y, y_t, temperature), second)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernels_are_the_formulas(kernels_run, poisoned, off, shape, temperature):
    given = case(*shape)
    first, second = by_autograd(*given, temperature)
    c, c_t, z, z_t, y, y_t = (each.to(kernels_run, torch.float32) for each in given)
    for ours, right in zip(soft_cross_entropy_backward(c, z, y, temperature), first, strict=True):
        assert off(ours, right) <= 2e-6
    for ours, right in zip(soft_cross_entropy_tangent(c, c_t, z, z_t, y, y_t, temperature), second, strict=True):
        assert off(ours, right) <= 2e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_are_summed_in_single_precision(kernels_run, off, dtype):
    _, _, z, _, y, _ = case(16, 100)
    z, y = z.to(dtype), y.to(dtype)
    right = soft_cross_entropy(z.double(), y.double())
    assert off(soft_cross_entropy(z.to(kernels_run), y.to(kernels_run)), right) <= torch.finfo(dtype).eps


def test_kernels_on_strided_rows_are_the_same_twice(kernels_run):
    _, _, z, _, y, _ = (each.float().to(kernels_run) for each in case(7, 10))
    wide = torch.stack([z, z + 1], 2)[..., 0]
    runs = [soft_cross_entropy(wide, y) for _ in range(2)]
    assert not wide.is_contiguous() and torch.equal(*runs) and torch.equal(runs[0], soft_cross_entropy(z, y))


def test_the_function_that_autograd_sees_has_both_derivatives():
    _, _, z, _, y, _ = case(4, 5)
    leaves = (z.requires_grad_(), y.detach().requires_grad_())
    assert gradcheck(lambda z, y: SoftCrossEntropy.apply(z, y, 2.0), leaves, check_forward_ad=True)
    assert gradgradcheck(lambda z, y: SoftCrossEntropy.apply(z, y, 2.0), leaves)


def test_hessian_vector_products_agree_forward_over_reverse_and_twice_reverse():
    _, _, z, z_t, y, _ = case(4, 5)

    def gradient(z):
        return torch.func.grad(lambda z: SoftCrossEntropy.apply(z, y, 1.0).square().sum())(z)

    torch.testing.assert_close(jvp(gradient, (z,), (z_t,))[1], vjp(gradient, z)[1](z_t)[0])


@pytest.mark.parametrize(
    "logits, y, temperature, named",
    [
        (torch.zeros(3), torch.zeros(3), 1.0, "logits"),
        (torch.zeros(0, 2), torch.zeros(0, 2), 1.0, "logits"),
        (torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3), 1.0, "logits"),
        (torch.zeros(2, 3), torch.zeros(2, 4), 1.0, "y"),
        (torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), 1.0, "y"),
        (torch.zeros(2, 3), torch.zeros(2, 3), 0.0, "temperature"),
    ],
)
def test_bad_input_is_named(logits, y, temperature, named):
    with pytest.raises(ValueError, match=f"^{named} must be"):
        soft_cross_entropy(logits, y, temperature)


@pytest.mark.parametrize("named", ["c", "c_t", "logits_t", "y_t"])
def test_bad_cotangents_and_tangents_are_named(named):
    c, c_t, z, z_t, y, y_t = case(3, 4)
    given = {"c": c, "c_t": c_t, "logits": z, "logits_t": z_t, "y": y, "y_t": y_t}
    with pytest.raises(ValueError, match=f"^{named} must be"):
        soft_cross_entropy_tangent(**given | {named: given[named][:2]})
    with pytest.raises(ValueError, match=r"^c must be"):
        soft_cross_entropy_backward(c.float(), z, y)
