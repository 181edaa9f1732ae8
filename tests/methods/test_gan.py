from dataclasses import replace
from statistics import mean

import pytest
import torch
from toys import ONE_VALIDATION, problem, session_in, started

from ddcore.errors import UsageError
from ddcore.methods.gan import GAN, GANRun
from ddcore.nets.generator import build_generator, generated, save_generator
from ddcore.nets.registry import build_net
from ddcore.options import changed
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.runtime.files import save_tensors
from ddcore.synthesis import outer_loop
from ddcore.training.teacher import Teacher, load_teacher

SHORT = {"net": "mlp", "real_batch": 8, "augment": "none", **ONE_VALIDATION}


def short(folder, **more) -> GAN:
    return changed(GAN(), {**SHORT, "generator": folder, **more})


@pytest.fixture
def folder(toy, tmp_path):
    """A generator of contrasts, whose classes differ a little."""
    net = build_generator(toy, 16, 4, 0)
    net.norms[2].offset.weight.data[1] += 0.3
    net.end.weight.data *= 10
    save_generator(net, toy, tmp_path / "generator", score=0.7, step=20)
    return str(tmp_path / "generator")


@pytest.fixture
def teacher(toy, tmp_path):
    """A teacher of two networks with batch statistics, in its run folder."""
    there = tmp_path / "teacher"
    Teacher(torch.zeros(len(toy.train), 2), None, "resnet-s2d", "").save(there)
    for seed in range(2):
        save_tensors(there / f"weights-{seed}.safetensors", dict(build_net("resnet-s2d", toy, seed).state_dict()))
    return load_teacher(there, toy)


def test_a_steps_gradient_is_that_of_a_plain_loop_through_the_generator(toy, folder):
    run = started(short(folder), toy, 4)
    parts = [run.gradient(shard) for shard in run.shards(3)]
    net = build_net("mlp", toy, 0, "embed", 3, 0)
    z = run.z.clone().requires_grad_()
    x, loss = run.generator(z, run.y), 0
    for k, pair in enumerate(run.real.pairs(x, run.y, range(2), 3, 0)):
        assert pair.real_y.tolist() == [k] * 8
        loss = loss + (net.features(pair.real).mean(0) - net.features(x[run.y == k]).mean(0)).square().sum()
    assert mean(part.values["loss"] for part in parts) == pytest.approx(float(loss.detach()), rel=1e-5)
    slope = torch.stack([part.gradients["z"] for part in parts]).mean(0)
    torch.testing.assert_close(slope, torch.autograd.grad(loss, z)[0], rtol=1e-4, atol=1e-7)
    assert slope.abs().max() > 0


def test_the_set_is_what_the_generator_makes_of_codes_and_classes(toy, folder):
    run = started(short(folder), toy, 6)
    made = run.decode()
    assert made.y.tolist() == [0, 0, 0, 1, 1, 1] and made.labels == "hard"
    assert torch.equal(made.x, generated(run.generator, run.z, run.y))
    assert made.provenance["generator"] == {"name": "generator", "score": 0.7, "step": 20}
    assert not torch.equal(made.x, started(short(folder), toy, 6, seed=1).decode().x)


def test_soft_labels_are_the_teachers_answers_on_the_images_as_they_are(toy, folder, teacher):
    run = started(short(folder, labels="soft", temperature=3.0), toy, 4, teacher)
    run.z += 1.0
    made = run.decode()
    nets = [build_net("resnet-s2d", toy, seed).eval() for seed in range(2)]
    with torch.no_grad():
        wanted = sum(net(made.x) for net in nets) / 2
    torch.testing.assert_close(made.soft, wanted)
    assert made.temperature == 3.0 and made.provenance["teacher"] == "resnet-s2d"


@pytest.fixture
def make(toy, folder, tmp_path, monkeypatch):
    """Run the method without drawing grids, with a checkpoint every step."""
    monkeypatch.setattr(outer_loop, "grid_png", lambda made: b"")
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)

    def made(name, progress=None, **more):
        method = short(folder, **more)
        return outer_loop.distilled_set(method, problem(toy, 4), session_in(tmp_path / name, progress))

    return made


def test_the_distance_falls_and_the_random_samples_are_on_record(make, monkeypatch):
    # The last state wins, so that it is what is measured.
    scores = iter(range(100))
    monkeypatch.setattr(GANRun, "score", lambda self, seed: next(scores) / 100)
    distances = []

    def measure(step, total, values):
        if step in (1, total):
            run = runs[0]
            distances.append(sum(run.gradient(s).values["loss"] for k in range(6) for s in run.shards(1000 + k)))

    runs = []
    start = GAN.start
    monkeypatch.setattr(GAN, "start", lambda *given: runs.append(start(*given)) or runs[0])
    made = make("falls", measure, steps=30, latent_rate=0.2, real_batch=40)
    assert distances[1] < 0.95 * distances[0]
    assert made.provenance["began at"] == "random samples"
    assert (made.provenance["validation_accuracy_at_start"], made.provenance["validation_accuracy"]) == (0.0, 0.01)


def test_a_stopped_run_ends_with_the_same_bytes(make):
    def stop(step, total, values):
        if step == 4:
            raise KeyboardInterrupt

    whole = make("whole", steps=6)
    with pytest.raises(KeyboardInterrupt):
        make("cut", stop, steps=6)
    again = make("cut", steps=6)
    assert torch.equal(whole.x, again.x) and whole.provenance == again.provenance


@pytest.mark.parametrize(
    "change, line",
    [
        ({"folder": ""}, "gan needs --generator RUN_DIR of train_generator.py --dataset toy"),
        ({"folder": "nowhere"}, "nowhere holds no generator"),
        ({"labels": "soft"}, "needs --teacher"),
        ({"augment": "mirror"}, "'mirror' is unknown"),
        ({"net": "resnet"}, "network"),
    ],
)
def test_bad_options_are_one_line(toy, folder, change, line):
    with pytest.raises(UsageError, match=line) as caught:
        started(short(**{"folder": folder, **change}), toy, 4)
    assert "\n" not in str(caught.value)


def test_a_teacher_without_its_networks_is_refused(toy, folder, teacher):
    (teacher.folder / "weights-0.safetensors").unlink()
    (teacher.folder / "weights-1.safetensors").unlink()
    with pytest.raises(UsageError, match="holds no networks"):
        started(short(folder, labels="soft"), toy, 4, teacher)


def test_a_teacher_names_no_code_to_run(toy, folder, teacher):
    method = short(folder, labels="soft")
    with pytest.raises(UsageError, match=r"names the network 'os:system'.*--net os:system"):
        started(method, toy, 4, replace(teacher, net="os:system"))
