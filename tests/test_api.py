"""The public functions, as a notebook calls them."""

import doctest
import tempfile
from dataclasses import replace

import pytest
import torch
from toys import ONE_VALIDATION, toy_teacher

import ddcore
from ddcore import api
from ddcore.errors import DDCoreError, UsageError
from ddcore.methods.dm import DM
from ddcore.options import changed
from ddcore.runtime.bar import Bar
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.selection.random_choice import RandomChoice
from ddcore.sets.distilled_set import DistilledSet
from ddcore.training import evaluation, loop
from ddcore.training.protocol import Evaluation
from ddcore.training.teacher import Labels

SHORT = changed(DM(net="mlp", steps=4, real_batch=8), ONE_VALIDATION)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.fixture(autouse=True)
def brief_trainings(monkeypatch):
    """Networks are trained for a few steps: what counts here is that they are."""

    def train(net, task, examples, recipe, setting):
        return real(net, task, examples, replace(recipe, steps=min(recipe.steps, 20)), setting)

    real = loop.train
    for module in (loop, evaluation):
        monkeypatch.setattr(module, "train", train)


@pytest.mark.parametrize("function", [api.distill, api.select, api.evaluate, api.load_task], ids=lambda f: f.__name__)
def test_the_examples_run(function, capsys):
    (example,) = doctest.DocTestFinder().find(function, function.__name__, globs={})
    assert example.examples
    found = doctest.DocTestRunner().run(example)
    assert found.failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", ddcore.__all__)
def test_the_face_has_all_its_names(name):
    assert getattr(ddcore, name) is not None and name in dir(ddcore)


def test_a_name_that_the_face_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'ddcore' has no attribute 'shrink'"):
        _ = ddcore.shrink


def test_a_method_is_a_name_or_a_dataclass(toy, tmp_path):
    named = ddcore.distill(toy, 4, "dm", out=Session(Run.start(tmp_path / "named", "distill", {}), quick=True))
    given = ddcore.distill(toy, 4, DM().quick())
    assert torch.equal(named.x, given.x) and named.options == given.options and named.method == "dm"
    other = ddcore.distill(toy, 4, DM().quick(), seed=1)
    assert not torch.equal(named.x, other.x) and other.options["seed"] == 1


def test_a_selector_is_a_name_or_a_dataclass(toy):
    named, given = ddcore.select(toy, 6), ddcore.select(toy, 6, RandomChoice())
    assert torch.equal(named.indices, given.indices) and named.method == "random" and named.labels == "hard"
    assert not torch.equal(named.indices, ddcore.select(toy, 6, seed=1).indices)
    odd = ddcore.select(toy, 7, RandomChoice(proportions="data"))
    assert len(odd) == 7
    assert len(ddcore.distill(toy, 7, replace(DM().quick(), proportions="data"))) == 7


def test_a_selector_sees_all_members_and_a_method_those_outside_the_validation_split(toy):
    assert sorted(ddcore.select(toy, 120).indices.tolist()) == list(range(120))
    with pytest.raises(UsageError, match="--budget 110 is more than the 108 members of toy to choose from"):
        ddcore.distill(toy, 110, SHORT)
    began = torch.tensor(ddcore.distill(toy, 20, SHORT).provenance["began at"])
    assert torch.isin(began, toy.fit).all()


def test_a_teacher_is_given_itself_or_as_its_folder(toy, tmp_path):
    teacher = toy_teacher(toy)
    teacher.save(tmp_path / "teacher")
    soft = RandomChoice(labels=Labels("soft", 3.0))
    sets = [ddcore.select(toy, 6, soft, teacher=each) for each in (teacher, tmp_path / "teacher")]
    sets.append(ddcore.select(toy, 6, soft, teacher=str(tmp_path / "teacher")))
    assert all(torch.equal(each.soft, teacher.logits[sets[0].indices]) and each.temperature == 3.0 for each in sets)


@pytest.mark.parametrize("broken", [False, True])
def test_a_temporary_folder_is_removed(toy, temporary, monkeypatch, broken):
    seen = []
    real = DistilledSet.save

    def save(self, folder):
        seen.append(folder)
        real(self, folder)
        if broken:
            raise DDCoreError("the disk is full")

    monkeypatch.setattr(DistilledSet, "save", save)
    for call in (lambda: ddcore.distill(toy, 4, SHORT), lambda: ddcore.select(toy, 4)):
        if broken:
            with pytest.raises(DDCoreError, match="full"):
                call()
        else:
            assert len(call()) == 4
    assert [folder.name for folder in seen] == ["dm", "random"]
    assert all(folder.is_relative_to(temporary) for folder in seen) and not list(temporary.iterdir())


def test_a_folder_that_is_named_stays_and_its_finished_run_is_not_repeated(toy, tmp_path, monkeypatch):
    made = ddcore.distill(toy, 4, SHORT, out=tmp_path / "dm")
    chosen = ddcore.select(toy, 4, out=str(tmp_path / "random"))
    for name, small in (("dm", made), ("random", chosen)):
        assert (tmp_path / name / "done").exists() and (tmp_path / name / "grid.png").exists()
        assert torch.equal(DistilledSet.load(tmp_path / name).x, small.x)
    monkeypatch.setattr(DM, "start", lambda *_: pytest.fail("it was finished"))
    monkeypatch.setattr(RandomChoice, "select", lambda *_: pytest.fail("it was finished"))
    assert torch.equal(ddcore.distill(toy, 4, SHORT, out=tmp_path / "dm").x, made.x)
    assert torch.equal(ddcore.select(toy, 4, out=tmp_path / "random").x, chosen.x)


def test_an_interrupted_run_is_resumed_in_its_folder(toy, tmp_path, monkeypatch):
    steps = []

    def stop(self, step, total, values):
        if self.title != "dm":
            return
        steps.append(step)
        if len(steps) == 2:
            raise KeyboardInterrupt

    straight = ddcore.distill(toy, 4, SHORT)
    monkeypatch.setattr(Checkpoints, "due", lambda self, step: True)
    monkeypatch.setattr(Bar, "__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        ddcore.distill(toy, 4, SHORT, out=tmp_path / "run")
    resumed = ddcore.distill(toy, 4, SHORT, out=tmp_path / "run")
    assert steps == [1, 2, 2, 3, 4] and torch.equal(resumed.x, straight.x)


def test_another_run_in_the_folder_is_left_alone(toy, tmp_path):
    first = ddcore.select(toy, 4, out=tmp_path / "run")
    for call in (
        lambda: ddcore.select(toy, 6, out=tmp_path / "run"),
        lambda: ddcore.select(toy, 4, seed=1, out=tmp_path / "run"),
        lambda: ddcore.select(toy, 4, "forgetting", out=tmp_path / "run"),
        lambda: ddcore.distill(toy, 4, SHORT, out=tmp_path / "run"),
    ):
        with pytest.raises(UsageError, match="holds a run with other options"):
            call()
    assert torch.equal(DistilledSet.load(tmp_path / "run").x, first.x)


def test_a_session_hears_what_the_run_says(toy, tmp_path):
    lines, steps = [], []
    run = Run.start(tmp_path / "run", "distill", {})
    session = Session(run, progress=lambda *step: steps.append(step), say=lines.append)
    ddcore.distill(toy, 4, SHORT, out=session)
    assert [step for step, _, _ in steps] == [1, 2, 3, 4] and any("of disk are free" in line for line in lines)
    assert session.finished


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda toy: ddcore.distill(toy, 4, "dx"), "unknown method 'dx'; known: boost-dd"),
        (lambda toy: ddcore.select(toy, 4, "best"), "unknown selector 'best'; known: ccs"),
        (lambda toy: ddcore.distill(toy, 5, SHORT), "--budget 5 cannot be shared evenly by 2 classes: take 4 or 6"),
        (lambda toy: ddcore.select(toy, 200), "--budget 200 is more than the 120 members"),
        (lambda toy: ddcore.distill(toy, 4, "cover"), "'cover' does not read images"),
        (lambda toy: ddcore.distill(toy, 4, "frepo"), "frepo needs --teacher"),
        (lambda toy: ddcore.select(toy, 4, "k-means"), "needs --teacher"),
        (lambda toy: ddcore.select(toy, 4, RandomChoice(labels=Labels("soft"))), "needs --teacher"),
        (lambda toy: ddcore.select(toy, 4, teacher="nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line_before_a_folder_is_opened(toy, temporary, call, line):
    with pytest.raises(UsageError, match=line) as caught:
        call(toy)
    assert "\n" not in str(caught.value) and not list(temporary.iterdir())


def test_an_evaluation_takes_a_set_or_its_folder(toy, tmp_path, temporary):
    small, how = ddcore.select(toy, 10, out=tmp_path / "random"), Evaluation(nets="mlp", seeds=2)
    scores = [
        ddcore.evaluate(each, toy, how, seed=3) for each in (small, tmp_path / "random", str(tmp_path / "random"))
    ]
    assert scores[0]["protocol"]["seeds"] == [3, 4] and scores[0]["nets"]["mlp"]["accuracy"]["n"] == 2
    assert len({each["nets"]["mlp"]["accuracy"]["mean"] for each in scores}) == 1 and not list(temporary.iterdir())
    ddcore.evaluate(small, toy, how, out=tmp_path / "scores")
    assert (tmp_path / "scores" / "scores.json").exists() and (tmp_path / "scores" / "done").exists()
    assert set(ddcore.evaluate(small, replace(toy, default_net="mlp"))["nets"]) == {"default"}
    with pytest.raises(UsageError, match=r"scores holds a run with other inputs \(changed since: set random\)"):
        ddcore.evaluate(ddcore.select(toy, 10, seed=1), toy, how, out=tmp_path / "scores")


def test_a_data_set_is_read_from_the_folder_that_is_named_or_the_usual_one(idx_data, pets, monkeypatch):
    monkeypatch.setenv("DDCORE_DATA", str(idx_data))
    named, usual = ddcore.load_task("fashion_mnist", str(idx_data)), ddcore.load_task("fashion_mnist")
    assert torch.equal(named.train.x, usual.train.x) and len(named.train) == 200
    assert ddcore.load_task(f"images:{pets}").classes == ("cat", "dog")
    monkeypatch.setenv("DDCORE_CACHE", str(pets.parent / "cache"))
    assert ddcore.load_task(f"hf:{pets}").classes == ("cat", "dog")
    with pytest.raises(UsageError, match="unknown data set 'emnist'"):
        ddcore.load_task("emnist")


def test_a_run_of_other_members_or_another_teacher_is_refused(toy, tmp_path):
    teacher = toy_teacher(toy)
    changed = replace(toy, train=replace(toy.train, y=1 - toy.train.y))
    other = replace(teacher, logits=-teacher.logits)
    soft = RandomChoice(labels=Labels("soft"))
    small = ddcore.select(toy, 4, soft, teacher=teacher, out=tmp_path / "run")
    assert torch.equal(ddcore.select(toy, 4, soft, teacher=teacher, out=tmp_path / "run").soft, small.soft)
    for task, new, said in ((changed, teacher, "data"), (toy, other, "teacher")):
        with pytest.raises(UsageError, match=rf"holds a run with other inputs \(changed since: {said}"):
            ddcore.select(task, 4, soft, teacher=new, out=tmp_path / "run")
