import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import KernelCenterer
from toys import problem, session_in, started

from ddcore.errors import UsageError
from ddcore.methods.krr import KRR, kernel_ridge
from ddcore.options import changed
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.synthesis import outer_loop
from ddcore.synthesis.contract import Shard
from ddcore.training.teacher import Teacher

SHORT = {
    "net": "convnet",
    "real_batch": 8,
    "networks": 2,
    "validation_steps": 10,
    "validations": 1,
    "validation_networks": 1,
}


def short(**more) -> KRR:
    return changed(KRR(), {**SHORT, **more})


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def teacher_of(task, features=None):
    return Teacher(torch.randn(len(task.train), 2, generator=torch.Generator().manual_seed(0)), features, "mlp", "here")


@pytest.fixture(params=["features", "ntk"])
def run(request, toy):
    """A run in float64, for differences."""
    torch.set_default_dtype(torch.float64)
    made = started(short(kernel=request.param), toy, 4, teacher_of(toy))
    made.x, made.soft = made.x.double(), made.soft.double()
    made.answers = made.answers.double()
    yield made
    torch.set_default_dtype(torch.float32)


def test_predictions_are_those_of_scikit_learn():
    x, real, labels = random(7, 4), random(5, 4, seed=1), random(7, 3, seed=2)
    k_ss, k_rs = np.exp(-torch.cdist(x, x).square().numpy()), np.exp(-torch.cdist(real, x).square().numpy())
    centre = KernelCenterer().fit(k_ss)
    centred = centre.transform(k_ss)
    theirs = KernelRidge(alpha=0.1 * np.trace(centred) / 7, kernel="precomputed")
    theirs.fit(centred, (labels - labels.mean(0)).numpy())
    wanted = theirs.predict(centre.transform(k_rs)) + labels.mean(0).numpy()
    found = kernel_ridge(torch.from_numpy(k_ss), torch.from_numpy(k_rs), labels, 0.1)
    torch.testing.assert_close(found, torch.from_numpy(wanted))


def test_the_gradient_of_the_regression_is_right():
    k_rs, labels, root = random(3, 5, seed=1), random(5, 2, seed=2), random(5, 4)

    def answers(root, k_rs, labels):
        return kernel_ridge(root @ root.T, k_rs, labels, 0.3)

    assert torch.autograd.gradcheck(answers, tuple(each.requires_grad_() for each in (root, k_rs, labels)))


def test_a_step_follows_the_error_into_images_and_labels(run):
    part = run.gradient(Shard(3))
    directions = {"x": random(*run.x.shape, seed=5), "soft": random(*run.soft.shape, seed=6)}
    size = 1e-5
    for name, direction in directions.items():
        variable = getattr(run, name)
        values = []
        for sign in (1, -1):
            variable += sign * size * direction
            values.append(run.gradient(Shard(3)).values["loss"])
            variable -= sign * size * direction
        slope = (part.gradients[name] * direction).sum().item()
        assert slope != 0 and slope == pytest.approx((values[0] - values[1]) / (2 * size), rel=1e-4), name


def test_the_parts_of_a_step_have_networks_and_members_of_their_own(run):
    assert run.shards(2) == [Shard(2, 0)]
    first, second = (run.gradient(Shard(2, part)).values["loss"] for part in (0, 1))
    assert first != second


def test_members_are_taken_some_at_a_time_without_a_difference(run, monkeypatch):
    whole = run.gradient(Shard(1))
    monkeypatch.setattr("ddcore.methods.krr.MICRO", 3)
    parts = run.gradient(Shard(1))
    torch.testing.assert_close(parts.gradients["x"], whole.gradients["x"])
    assert parts.values["loss"] == pytest.approx(whole.values["loss"], rel=1e-9)


@pytest.fixture
def made(toy, tmp_path, monkeypatch):
    """Run the method without drawing grids; the progress callback sees every step's values."""
    monkeypatch.setattr(outer_loop, "grid_png", lambda made: b"")
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)

    def make(folder, progress=None, **more):
        method = short(net="mlp", **more)
        return outer_loop.distilled_set(method, problem(toy, 4), session_in(tmp_path / folder, progress))

    return make


@pytest.mark.parametrize("kernel", ["features", "ntk"])
def test_the_error_falls(made, kernel):
    seen = []
    made(
        "falls",
        lambda step, total, values: seen.append(values["loss"]),
        kernel=kernel,
        steps=20,
        image_rate=0.1,
        real_batch=40,
    )
    assert sum(seen[-5:]) < 0.6 * sum(seen[:5])


def test_a_stopped_run_ends_with_the_same_bytes(made):
    def stop(step, total, values):
        if step == 4:
            raise KeyboardInterrupt

    whole = made("whole", steps=6)
    with pytest.raises(KeyboardInterrupt):
        made("cut", stop, steps=6)
    seen = []
    again = made("cut", lambda step, *_: seen.append(step), steps=6)
    assert seen == [4, 5, 6]
    assert torch.equal(whole.x, again.x) and torch.equal(whole.soft, again.soft)
    assert whole.method == "krr" and whole.temperature == 1.0 and whole.targets().argmax(1).equal(whole.y)


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_labels_that_are_not_learned_stay(toy, labels):
    teacher = teacher_of(toy)
    run = started(short(labels=labels, temperature=3.0), toy, 4, teacher)
    assert set(run.groups) == {"images"} and set(run.gradient(Shard(0)).gradients) == {"x"}
    made = run.decode()
    assert made.labels == labels
    if labels == "soft":
        own = teacher.logits[torch.tensor(made.provenance["began at"])]
        torch.testing.assert_close(made.targets(), (own / 3.0).softmax(1))


def test_a_teacher_that_has_features_chooses_where_the_images_begin(toy):
    features = toy.inputs(toy.train.x).flatten(1)
    with_teacher = started(short(), toy, 4, teacher_of(toy, features))
    without = started(short(), toy, 4)
    assert with_teacher.chosen.tolist() != without.chosen.tolist()
    assert torch.isin(with_teacher.chosen, toy.fit).all()


@pytest.mark.parametrize(
    "change, budget, line",
    [
        ({"labels": "soft"}, 4, "needs --teacher"),
        ({"init": "k-means"}, 4, "needs --teacher"),
        ({}, 5, "cannot be shared evenly"),
        ({"net": "resnet"}, 4, "network"),
        ({"net": "resnet-s2d", "kernel": "ntk"}, 4, "batch statistics"),
    ],
)
def test_bad_options_are_one_line(toy, change, budget, line):
    with pytest.raises(UsageError, match=line) as caught:
        started(short(**change), toy, budget)
    assert "\n" not in str(caught.value)
