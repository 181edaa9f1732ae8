from statistics import mean

import pytest
import torch
from torch.nn import functional as F
from toys import ONE_VALIDATION, problem, session_in, started, striped

from ddcore.data.images import image_task
from ddcore.errors import UsageError
from ddcore.methods.features import FeatureMatching
from ddcore.methods.ncfm import NCFM, STRENGTH, difference
from ddcore.nets.registry import build_net
from ddcore.options import changed, options_of
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.synthesis.outer_loop import distilled_set
from ddcore.training.experts import ExpertOptions, train_experts
from ddcore.unroll.flat_params import Flat

SHORT = {"net": "mlp", "real_batch": 8, "frequencies": 40, **ONE_VALIDATION}


@pytest.fixture(scope="module")
def ten():
    """Ten classes of the toy's images."""
    return image_task("ten", tuple("abcdefghij"), striped(300, classes=10), lambda: striped(40, classes=10), "made")


@pytest.fixture(scope="module")
def experts(ten, tmp_path_factory):
    """Two trained networks of each kind."""
    home = tmp_path_factory.mktemp("experts")
    for net in ("mlp", "convnet"):
        train_experts(ExpertOptions(net=net, points=3, stride=2), 2, ten, 0, Session(Run(home / net)))
    return home


@pytest.fixture
def short(experts):
    def made(**more):
        options = {**SHORT, **more}
        return changed(NCFM(), {"experts": str(experts / options["net"]), **options})

    return made


def whole(run, step):
    """The loss and the gradient of a step, as the outer loop puts its shards together."""
    parts = [run.gradient(shard) for shard in run.shards(step)]
    return mean([part.values["loss"] for part in parts]), torch.stack([part.gradients["x"] for part in parts]).mean(0)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_the_difference_by_amplitude_and_phase(share):
    draws = torch.Generator().manual_seed(0)
    p, q = (torch.complex(*torch.randn(2, 3, 7, generator=draws, dtype=torch.float64)) for _ in "pq")
    amplitude = (p.abs() - q.abs()) ** 2
    phase = 2 * (p.abs() * q.abs() - (p * q.conj()).real)
    right = (share * amplitude + (1 - share) * phase).sqrt().mean(1)
    found = difference((p.real, p.imag), (q.real, q.imag), share)
    torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-8)


def test_equal_functions_have_a_slope():
    p = (torch.zeros(2, 5), torch.zeros(2, 5))
    own = tuple(each.clone().requires_grad_() for each in p)
    for share in (0.2, 0.5, 0.9):
        slopes = torch.autograd.grad(difference(p, own, share).sum(), own)
        assert all(bool(slope.isfinite().all()) for slope in slopes)


@pytest.mark.parametrize("calibration", [0.0, 2.0])
@pytest.mark.parametrize("shards", [1, 8])
def test_a_steps_gradient_is_that_of_a_plain_loop(ten, short, shards, calibration):
    run = started(short(augment="none", shards=shards, calibration=calibration), ten, 20)
    value, slope = whole(run, 3)
    key = (3, 0)
    net, waves = run._network(*key), run.frequencies
    x, loss = run.x.clone().requires_grad_(), 0
    for k, pair in enumerate(pair for shard in run.shards(3) for pair in run.pairs(x, shard)):
        assert pair.real_y.tolist() == [k] * 8
        real, own = (
            torch.exp(1j * (F.normalize(net.features(each).flatten(1)) @ waves.T)).mean(0)
            for each in (pair.real, pair.x)
        )
        loss = loss + STRENGTH * (0.5 * (real - own).abs().square()).sqrt().mean()
        if calibration:
            loss = loss + calibration * F.cross_entropy(run.matching.trained(pair.x), pair.y)
    assert value == pytest.approx(float(loss.detach()), rel=1e-5)
    torch.testing.assert_close(slope, torch.autograd.grad(loss, x)[0], rtol=1e-3, atol=1e-5)


def test_a_network_lies_between_the_start_and_the_end_of_one_expert(ten, short):
    run = started(short(), ten, 20)
    begin, end = run.ends[:, 0], run.ends[:, 1]
    assert torch.equal(begin[1], Flat(build_net("mlp", ten, 0, "expert", 1)).start())
    shares = set()
    for step in range(12):
        theta = Flat(run._network(step, 0)).start()
        fits = []
        for expert in range(2):
            way = end[expert] - begin[expert]
            share = float((theta - begin[expert]) @ way / (way @ way))
            near = torch.allclose(theta, begin[expert] + share * way, atol=1e-5)
            fits += [(expert, round(share, 3))] if near and 0 <= share <= 1 else []
        ((expert, share),) = fits
        assert torch.equal(Flat(run.matching.trained).start(), end[expert])
        shares.add((expert, share))
    assert {expert for expert, _ in shares} == {0, 1} and len(shares) == 12


def test_the_frequencies_of_a_step_are_drawn_by_its_key(ten, short):
    run, again = (started(short(), ten, 20) for _ in range(2))
    seen = []
    for step in (0, 1):
        run._network(step, 0)
        seen.append(run.frequencies)
        assert torch.equal(run.frequencies.abs().sort(1).values, run.waves.abs().sort(1).values)
    again._network(1, 0)
    assert torch.equal(again.frequencies, seen[1]) and not torch.equal(seen[0], seen[1])
    assert not torch.equal(started(short(), ten, 20, seed=1).waves, run.waves)


@pytest.mark.parametrize("net", ["mlp", "convnet"])
def test_batches_of_shards_give_what_single_shards_give(ten, short, monkeypatch, net):
    run = started(short(net=net, augment="none", networks=2, shards=3), ten, 20)
    mine = run.shards(2)
    alone = run.gradients(mine)
    monkeypatch.setattr(FeatureMatching, "_joined", lambda self, net: True)
    together = run.gradients(mine)
    assert len(together) == 6
    for ours, right in zip(together, alone, strict=True):
        assert ours.values["loss"] == pytest.approx(right.values["loss"], rel=1e-5)
        torch.testing.assert_close(ours.gradients, right.gradients, rtol=1e-3, atol=1e-5)
    for first in range(2):
        for ours, right in zip(run.gradients(mine[first::2]), together[first::2], strict=True):
            assert ours.values == right.values and torch.equal(ours.gradients["x"], right.gradients["x"])


def test_chunks_change_the_rounding_only(ten, short):
    run, parts = (started(short(net="convnet", augment="rotate", shards=2), ten, 40) for _ in range(2))
    parts.use_chunk(3)
    for ours, right in zip(parts.gradients(parts.shards(0)), run.gradients(run.shards(0)), strict=True):
        assert ours.values["loss"] == pytest.approx(right.values["loss"], rel=1e-4)
        torch.testing.assert_close(ours.gradients, right.gradients, rtol=2e-3, atol=1e-4)


def test_the_loss_falls(ten, short, tmp_path):
    method = short(steps=30, image_rate=0.1, augment="none")
    seen = []
    session = session_in(tmp_path, lambda step, total, values: seen.append(values["loss"]))
    made = distilled_set(method, problem(ten, 20), session)
    assert sum(seen[-5:]) < 0.9 * sum(seen[:5])
    assert made.method == "ncfm" and made.provenance["experts"]["experts"] == 2


def test_presets_are_options(ten):
    for name, steps in (("paper", 20000), ("short", 2000)):
        options = changed(NCFM(), NCFM.preset(name, ten, 100))
        assert options.steps == steps and options.factor == 2 and options.validation.networks == 0
    assert not {"embedding", "places"} & {each.name for each in options_of(NCFM)}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"experts": ""}, "ncfm needs --experts DIR: make them with scripts/train_experts.py"),
        ({"experts": "nowhere"}, "nowhere holds no finished experts: train them with"),
        ({"net": "lenet"}, "holds experts of mlp"),
    ],
)
def test_missing_experts_are_one_line(ten, short, change, line):
    with pytest.raises(UsageError, match=line) as caught:
        started(changed(short(), change), ten, 20)
    assert "\n" not in str(caught.value)
