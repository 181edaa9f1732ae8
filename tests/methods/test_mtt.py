from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from toys import ONE_VALIDATION, problem, session_in, started

from ddcore.draws import batches, generator
from ddcore.errors import UsageError
from ddcore.methods.mtt import MTT, Approach
from ddcore.options import changed
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.synthesis.contract import Shard
from ddcore.synthesis.outer_loop import distilled_set
from ddcore.training.experts import ExpertOptions, open_experts, train_experts
from ddcore.training.teacher import Teacher


@pytest.fixture
def folder(toy, tmp_path):
    how = ExpertOptions(net="mlp", points=5, stride=5, rate=0.05, batch_size=32)
    train_experts(how, 2, toy, 0, Session(Run(tmp_path / "experts")))
    return str(tmp_path / "experts")


def short(folder, **more):
    options = {"net": "mlp", "experts": folder, "max_start": 3, "ahead": 2, "inner_steps": 6, "inner_batch": 4}
    return changed(MTT(), {**options, "rate": 0.1, **ONE_VALIDATION, **more})


def teacher_of(toy):
    logits = torch.randn(len(toy.train), 2, generator=generator("logits"))
    return Teacher(logits, toy.inputs(toy.train.x).flatten(1), "made by hand", "nowhere")


def derived_plainly(run, shard):
    """The loss and its gradients, from autograd's graph of all steps, on plain layers."""
    key, path, student = (0, shard.step, shard.part), run.method.trajectory, run.method.student
    draws = generator("expert", *key)
    expert, begin = (int(torch.randint(n, (), generator=draws)) for n in (2, path.max_start + 1))
    experts = open_experts(run.experts.folder, "mlp", run.problem.task)
    start, goal = experts.point(expert, begin), experts.point(expert, begin + path.ahead)
    variables = run.learned
    x, log_rate = variables.x.clone().requires_grad_(), variables.log_rates.clone().requires_grad_()
    soft = None if variables.soft is None else variables.soft.clone().requires_grad_()
    targets = F.one_hot(variables.y, 2).float() if soft is None else soft.softmax(1)
    theta = start.clone().requires_grad_()
    for t, rows in enumerate(batches(len(x), student.batch, range(student.steps), "inner order", *key)):
        seen = x[rows]
        if student.augment:
            seen = experts.record.changed(seen, run.problem.task, generator("inner change", *key, t))
        logits = run.step.flat(theta, seen)
        loss = -(targets[rows] * logits.log_softmax(1)).sum(1).mean()
        (g,) = torch.autograd.grad(loss, theta, create_graph=True)
        theta = theta - log_rate.exp() * g
    far = (theta - goal).square().sum() / (start - goal).square().sum()
    leaves = {"x": x, "log_rates": log_rate} | ({} if soft is None else {"soft": soft})
    return far.detach(), dict(zip(leaves, torch.autograd.grad(far, list(leaves.values())), strict=True))


@pytest.mark.parametrize("unroll", ["states", "graph"])
@pytest.mark.parametrize("change", [{}, {"labels": "learned"}, {"augment": False, "inner_batch": 100}], ids=str)
def test_the_gradients_are_those_of_a_plain_derivation(toy, folder, change, unroll):
    run = started(short(folder, unroll=unroll, **change), toy, 8)
    for step in range(3):
        part = run.gradient(Shard(step, 0))
        loss, gradients = derived_plainly(run, Shard(step, 0))
        assert part.values["loss"] == pytest.approx(float(loss), rel=1e-5)
        assert part.gradients.keys() == gradients.keys()
        for name, right in gradients.items():
            assert float((part.gradients[name] - right).norm() / right.norm()) < 1e-5, name


def test_a_student_without_stored_states_learns_from_each_step_alone(toy, folder, tmp_path):
    made = short(folder, unroll="first-order", inner_steps=12)
    exact, alone = (started(each, toy, 8) for each in (changed(made, {"unroll": "states"}), made))
    a, b = (run.gradient(Shard(0, 0)) for run in (exact, alone))
    assert a.values["loss"] == pytest.approx(b.values["loss"], rel=1e-5)
    cosine = torch.nn.functional.cosine_similarity(*(part.gradients["x"].flatten() for part in (a, b)), dim=0)
    assert 0.3 < float(cosine) < 0.9999
    assert alone.mode == "first-order" and alone.forecast().bytes < exact.forecast().bytes
    alone.remember(alone.memory())
    assert alone.mode == "first-order"


def test_the_loss_is_one_where_a_student_stays_and_nothing_where_it_arrives():
    begin, goal = torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0])
    loss = Approach(begin, goal)
    assert float(loss(begin)) == 1.0 and float(loss(goal)) == 0.0
    assert float(loss(torch.tensor([4.0, 1.0]))) == 1.0


def test_students_begin_at_all_points_of_all_experts_up_to_the_last(toy, folder):
    run = started(short(folder, max_start=2, networks=3), toy, 4)
    points = {(e, t): run.experts.point(e, t) for e in range(2) for t in range(6)}
    seen = set()
    for step in range(20):
        shards = run.shards(step)
        assert len(shards) == 3
        for shard in shards:
            unroll = run._unroll(shard)
            expert, t = next(place for place, theta in points.items() if torch.equal(theta, unroll.start.theta))
            assert torch.equal(unroll.outer.goal, points[expert, t + 2])
            seen.add((expert, t))
    assert seen == {(e, t) for e in range(2) for t in range(3)}


def test_the_stretch_of_starting_points_grows(toy, folder):
    run = started(short(folder, min_start=1, first_max_start=1, max_start=3, networks=4, steps=100), toy, 4)
    points = {(e, t): run.experts.point(e, t) for e in range(2) for t in range(6)}

    def begun(steps):
        starts = [run._unroll(shard).start.theta for step in steps for shard in run.shards(step)]
        return {t for theta in starts for (_, t), point in points.items() if torch.equal(theta, point)}

    assert begun(range(5)) == {1} and begun(range(5, 10)) == {1, 2} and begun(range(10, 20)) == {1, 2, 3}
    whole = started(short(folder), toy, 4).method.trajectory
    assert [whole.last(step, 100) for step in (0, 99)] == [3, 3]


def test_labels_begin_as_what_the_experts_say_that_are_right(toy, folder):
    method = short(folder, labels="learned", right_experts=True)
    run = started(method, toy, 8)
    flat, chosen = run.step.flat, run.learned.chosen
    x, y = toy.inputs(toy.train.x[chosen]), toy.train.y[chosen]
    logits = [flat(run.experts.point(k, 5), x).detach() for k in range(2)]
    right = [each.argmax(1) == y for each in logits]
    assert right[0].all() and torch.equal(run.learned.y, y) and torch.isin(chosen, toy.fit).all()
    wanted = torch.stack(
        [
            torch.stack([said[i] for said, known in zip(logits, right, strict=True) if known[i]]).mean(0)
            for i in range(8)
        ]
    )
    torch.testing.assert_close(run.learned.soft, wanted, rtol=1e-5, atol=1e-6)
    assert run.gradient(Shard(0)).gradients["soft"].any()


def test_members_that_no_expert_recognises_are_not_begun_with(toy, folder, monkeypatch):
    wrong = toy.fit[:30]
    y = toy.train.y.clone()
    y[wrong] = 1 - y[wrong]
    task = replace(toy, train=replace(toy.train, y=y))
    monkeypatch.setattr("ddcore.methods.mtt.open_experts", lambda folder, net, task: open_experts(folder, net, toy))
    run = started(short(folder, labels="learned", right_experts=True), task, 8)
    assert not torch.isin(run.learned.chosen, wrong).any()


def test_the_student_comes_nearer_and_the_set_tells_its_step_size(toy, folder, tmp_path):
    seen = []
    method = short(folder, init="noise", steps=30, image_rate=0.1, step_rate=0.02, inner_steps=4)
    session = session_in(tmp_path / "run", lambda step, total, values: seen.append(values["loss"]))
    made = distilled_set(method, problem(toy, 8), session)
    assert sum(seen[-5:]) < 0.8 * sum(seen[:5])
    assert made.schedule is None and made.labels == "hard"
    assert made.provenance["step_size"] > 0 and made.provenance["experts"]["experts"] == 2
    assert made.options["experts"] == folder and made.options["rate"] == 0.1


def test_a_fresh_network_is_judged_as_evaluation_would(toy, folder):
    run = started(short(folder, labels="soft", validation_steps=60), toy, 8, teacher_of(toy))
    made = run.decode()
    torch.testing.assert_close(made.targets(), run.learned.targets)
    run.learned.soft = F.one_hot(run.learned.y, 2) * 8.0
    assert run.score(0) > 0.8
    run.learned.soft = F.one_hot(1 - run.learned.y, 2) * 8.0
    assert run.score(0) < 0.2


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"folder": ""}, "mtt needs --experts DIR: make them with scripts/train_experts.py"),
        ({"folder": "nowhere"}, "nowhere holds no finished experts"),
        ({"net": "convnet"}, "holds experts of mlp .* not of convnet"),
        ({"max_start": 4}, r"have 5 points, fewer than --max-start 4 and --ahead 2 need"),
        ({"ahead": 3}, "fewer than --max-start 3 and --ahead 3"),
        ({"init": "k-means"}, "needs --teacher"),
        ({"first_max_start": 4}, "between --min-start 0 and --first-max-start 4, which grows to --max-start 3"),
        ({"min_start": 4}, "between --min-start 4 and --first-max-start 3"),
        ({"right_experts": True}, "--labels hard learns none: add --labels learned"),
        ({"right_experts": True, "labels": "learned", "init": "noise"}, "leave --init noise out"),
        ({"net": "resnet18"}, "batch statistics"),
    ],
)
def test_bad_options_are_one_line(toy, folder, change, line):
    with pytest.raises(UsageError, match=line) as caught:
        started(short(**{"folder": folder, **change}), toy, 4)
    assert "\n" not in str(caught.value)


def test_experts_of_another_data_set_are_refused(toy, folder):
    with pytest.raises(UsageError, match=r"members of toy .* not of mlp .* of mnist"):
        started(short(folder), replace(toy, name="mnist"), 4)
