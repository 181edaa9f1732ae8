from dataclasses import replace

import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.training import gan as gan_training
from ddcore.training.gan import GANRecipe, GANTraining

TINY = GANRecipe(steps=6, batch_size=8, latent=4, width=4, validations=2, validation_members=5, validation_steps=5)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    monkeypatch.setattr(gan_training, "REPORT_STEPS", 1)


def made(task, path, recipe=TINY, seed=0, progress=None):
    return GANTraining(task, recipe, seed, CPU).run(path, progress)


def same(first, second):
    return all(
        torch.equal(one, other)
        for one, other in zip(first.net.state_dict().values(), second.net.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("stop", [2, 5])
def test_a_killed_training_ends_with_the_same_bits(toy, tmp_path, stop):
    def kill(step, steps, values):
        if step == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(toy, tmp_path / "cut", progress=kill)
    seen = []
    again = made(toy, tmp_path / "cut", progress=lambda step, *_: seen.append(step))
    whole = made(toy, tmp_path / "whole")
    assert seen == list(range(stop, 7)) and same(again, whole)
    assert (again.score, again.step) == (whole.score, whole.step)
    assert not same(whole, made(toy, tmp_path / "other", seed=1))


def test_a_step_by_hand(toy):
    training = GANTraining(toy, TINY, 0, CPU)
    seen = {}

    def judge(x, y):
        seen.setdefault("calls", []).append((x.detach().clone(), y))
        return plain(x, y)

    plain = training.discriminator.forward
    training.discriminator.forward = judge
    losses = training._advance()
    (both, y), (fake, fake_y) = seen["calls"]
    assert torch.equal(both[8:], fake) and torch.equal(y[8:], fake_y)
    members = [next(i for i, m in enumerate(toy.inputs(toy.train.x)) if torch.equal(m, x)) for x in both[:8]]
    assert not torch.isin(torch.tensor(members), toy.validation).any()
    assert torch.equal(toy.train.y[members], y[:8])
    assert losses["discriminator_loss"] > 0
    # The first running mean is nine tenths of the way to the new weights: (1 + 0) / (10 + 0) of the old ones stay.
    fresh = GANTraining(toy, TINY, 0, CPU).generator.end.weight
    wanted = 0.1 * fresh + 0.9 * training.generator.end.weight
    torch.testing.assert_close(training.smoothed.end.weight, wanted)


def test_the_best_generator_is_kept_not_the_last(toy, tmp_path, monkeypatch):
    scores = iter([0.9, 0.4])
    monkeypatch.setattr(gan_training, "validated", lambda *_, **__: next(scores))
    found = made(toy, tmp_path / "a")
    assert (found.score, found.step) == (0.9, 3)
    monkeypatch.setattr(gan_training, "validated", lambda *_, **__: 0.9)
    short = made(toy, tmp_path / "b", replace(TINY, steps=3, validations=1))
    assert same(found, short)


def test_it_learns_where_the_stripes_are(toy, tmp_path):
    recipe = replace(
        TINY,
        steps=60,
        batch_size=32,
        width=8,
        validations=1,
        validation_steps=40,
        validation_members=20,
        generator_rate=0.002,
        discriminator_rate=0.002,
    )
    assert made(toy, tmp_path / "a", recipe).score > 0.9


def test_losses_that_are_not_finite_and_foreign_checkpoints(toy, tmp_path):
    with pytest.raises(DDCoreError, match="lower --generator-rate"):
        made(toy, tmp_path / "a", replace(TINY, generator_rate=1e30, discriminator_rate=1e30))
    made(toy, tmp_path / "b")
    with pytest.raises(DDCoreError, match="another run"):
        made(toy, tmp_path / "b", replace(TINY, steps=7))
    for name in ("b", "older-b"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:99])
    with pytest.raises(DDCoreError, match="not a readable"):
        made(toy, tmp_path / "b")


def test_a_generator_is_not_gone_on_with_on_other_members(toy, tmp_path):
    made(toy, tmp_path / "state")
    with pytest.raises(DDCoreError, match="state was made from other members"):
        made(replace(toy, train=replace(toy.train, y=1 - toy.train.y)), tmp_path / "state")
