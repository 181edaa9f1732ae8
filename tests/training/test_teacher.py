from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ddcore.errors import DDCoreError, UsageError
from ddcore.nets.embedding import Embedding
from ddcore.nets.registry import build_net
from ddcore.problem import Problem
from ddcore.runtime.files import save_tensors
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.selection.registry import SELECTORS
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.origin import Origin
from ddcore.synthesis.produce import select_set
from ddcore.training.loop import predict
from ddcore.training.teacher import Labels, Teacher, blended, load_teacher, soft_examples

CPU = torch.device("cpu")


def test_a_teacher_comes_back_with_its_answers(tmp_path, toy):
    logits = torch.randn(120, 2)
    Teacher(logits, torch.ones(120, 5), "mlp", "t").save(tmp_path)
    found = load_teacher(tmp_path, toy)
    assert torch.equal(found.logits, logits) and found.features.shape == (120, 5) and found.net == "mlp"


def test_a_teacher_of_other_data_is_refused(tmp_path, toy):
    Teacher(torch.randn(60, 2), None, "mlp", "t").save(tmp_path)
    with pytest.raises(UsageError, match="other data"):
        load_teacher(tmp_path, toy)


def test_a_folder_without_a_teacher_says_how_to_make_one(tmp_path, toy):
    with pytest.raises(UsageError, match="--part fit"):
        load_teacher(tmp_path, toy)


@pytest.fixture
def teacher(toy, tmp_path) -> Teacher:
    """Two networks and their mean answers, as train_baseline.py leaves them."""
    answers = []
    for seed in (0, 1):
        net = build_net("mlp", toy, seed)
        save_tensors(tmp_path / f"weights-{seed}.safetensors", dict(net.state_dict()))
        answers.append(predict(net, toy, toy.train.x, device="cpu"))
    return Teacher(torch.stack(answers).mean(0), None, "mlp", "teacher", tmp_path)


def images(task, soft=None) -> DistilledSet:
    """The first four members as if they had been made: normalised, without their places."""
    x, y = task.inputs(task.train.x[:4]), task.train.y[:4]
    return DistilledSet(
        "images", x, y, Origin(task.name, task.classes, "dm"), soft=soft, temperature=1.0 if soft is None else 9.0
    )


def test_real_members_take_the_answers_on_record(toy, teacher):
    real = toy.train[torch.tensor([7, 2])]
    origin = Origin(toy.name, toy.classes, "random")
    made = DistilledSet("images", real.x, real.y, origin, indices=torch.tensor([7, 2]))
    found = soft_examples(made, toy, teacher, 3.0, CPU)
    assert torch.equal(found.soft, teacher.logits[[7, 2]]) and found.temperature == 3.0


def test_the_networks_are_asked_about_made_members(toy, teacher):
    found = soft_examples(images(toy), toy, teacher, 2.0, CPU)
    assert torch.allclose(found.soft, teacher.logits[:4], atol=1e-5) and found.temperature == 2.0


def test_a_sets_own_labels_come_first(toy, teacher):
    own = torch.randn(4, 2)
    found = soft_examples(images(toy, own), toy, teacher, 2.0, CPU)
    assert found.soft is own and found.temperature == 9.0


def test_there_are_none_without_a_teacher_or_its_networks(toy, teacher, tmp_path):
    assert soft_examples(images(toy), toy, None, 2.0, CPU) is None
    assert soft_examples(images(toy), toy, replace(teacher, folder=tmp_path / "elsewhere"), 2.0, CPU) is None


def test_word_vectors_are_read_only_by_networks_that_learned_them(review_task, tmp_path):
    net = build_net("bag", review_task, 0)
    save_tensors(tmp_path / "weights-0.safetensors", dict(net.state_dict()))
    teacher = Teacher(torch.zeros(len(review_task.train), 2), None, "bag", "teacher", tmp_path)
    vectors, origin = net.words.table.weight.detach().clone(), Origin("imdb", review_task.classes, "dm")
    for table, read in ((vectors, True), (vectors + 1, False)):
        embedding = Embedding("here", "bag", table, torch.ones(len(table), dtype=torch.bool))
        small = DistilledSet("embeddings", table[2:6].view(2, 2, -1), torch.tensor([0, 1]), origin, embedding=embedding)
        assert (soft_examples(small, review_task, teacher, 2.0, CPU) is not None) == read


def test_networks_of_another_kind_are_refused(toy, teacher, tmp_path):
    save_tensors(tmp_path / "weights-1.safetensors", dict(build_net("lenet", toy, 0).state_dict()))
    with pytest.raises(DDCoreError, match=r"weights-1\.safetensors is not a mlp for toy"):
        soft_examples(images(toy), toy, teacher, 2.0, CPU)


def test_soft_labels_can_be_blended_with_the_datas_own():
    logits = torch.tensor([[0.0, 0.0], [2.0, -2.0]])
    soft = blended(logits, torch.tensor([1, 1]), Labels("soft", 2.0, 0.5))
    expected = torch.stack([torch.tensor([0.25, 0.75]), (logits[1] / 2).softmax(0) / 2 + torch.tensor([0.0, 0.5])])
    torch.testing.assert_close((soft / 2).softmax(1), expected)
    assert torch.equal(blended(logits, torch.tensor([1, 1]), Labels("soft", 2.0)), logits)


@pytest.mark.parametrize("net", ["evil_nets_of_teacher:build", "os:system"])
def test_a_teacher_names_no_code_to_run(toy, teacher, tmp_path, monkeypatch, net):
    (tmp_path / "evil_nets_of_teacher.py").write_text("raise SystemExit('it was run')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"teacher names the network '{net}'.*--net {net}"):
        soft_examples(images(toy), toy, replace(teacher, net=net), 2.0, CPU, ["default", "mlp"])


def test_a_teacher_knows_its_data(toy, tmp_path):
    own = replace(toy, name="images-photos", content="abc")
    Teacher(torch.zeros(120, 2), None, "mlp", "t", data=own.fingerprint).save(tmp_path)
    assert load_teacher(tmp_path, own).note == "" and load_teacher(tmp_path, own).data == own.fingerprint
    with pytest.raises(UsageError, match=r"another content of images-photos .*: train one with train_baseline.py"):
        load_teacher(tmp_path, replace(own, content="abd"))
    Teacher(torch.zeros(120, 2), None, "mlp", "t", data=replace(toy.fingerprint, content="0")).save(tmp_path)
    assert "another copy or part of toy" in load_teacher(tmp_path, toy).note
    with pytest.raises(UsageError, match="was made from toy, not from mnist: train one with"):
        load_teacher(tmp_path, replace(toy, name="mnist"))


def test_a_teacher_from_before_fingerprints_is_read_with_a_line(toy, tmp_path):
    save_tensors(tmp_path / "teacher.safetensors", {"logits": torch.zeros(120, 2)}, {"net": "mlp"})
    teacher = load_teacher(tmp_path, toy)
    assert teacher.net == "mlp" and "does not say which content of toy" in teacher.note


def test_the_note_of_a_teacher_is_said_and_recorded(toy, tmp_path):
    said: list[str] = []
    teacher = Teacher(torch.zeros(120, 2), None, "mlp", "t", note="another copy")
    session = Session(Run(tmp_path), say=said.append)
    small = select_set(SELECTORS["random"](), Problem(toy, 4, toy.fit, teacher), session)
    assert said == ["note: another copy"] and small.provenance["note"] == "another copy"
    assert DistilledSet.load(tmp_path).provenance["note"] == "another copy"


@pytest.mark.parametrize(
    ("tensors", "notes"),
    [
        ({"logits": torch.full((120, 2), torch.nan)}, {}),
        ({"logits": torch.zeros(120, 2, dtype=torch.int64)}, {}),
        ({"logits": torch.zeros(())}, {}),
        ({"logits": torch.zeros(120, 2), "features": torch.zeros(())}, {}),
        ({"logits": torch.zeros(120, 2), "features": torch.zeros(7, 3)}, {}),
        ({"logits": torch.zeros(120, 2), "features": torch.full((120, 3), torch.inf)}, {}),
        ({"logits": torch.zeros(120, 2)}, {"teacher": "{"}),
        ({"logits": torch.zeros(120, 2)}, {"teacher": "[]"}),
        ({"logits": torch.zeros(120, 2)}, {"teacher": '{"net": 3}'}),
        ({"logits": torch.zeros(120, 2)}, {"teacher": '{"net": "mlp", "data": {"dataset": 3}}'}),
        ({"logits": torch.zeros(120, 2)}, {"teacher": "[" * 2000}),
    ],
)
def test_a_damaged_teacher_is_one_line(toy, tmp_path, tensors, notes):
    save_tensors(tmp_path / "teacher.safetensors", tensors, notes)
    with pytest.raises(DDCoreError) as caught:
        load_teacher(tmp_path, toy)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_of_many_classes_the_largest_logits_are_kept(toy, tmp_path):
    many = replace(toy, classes=tuple(map(str, range(150))))
    logits = [torch.randn(120, 150, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    Teacher(logits[0], torch.ones(120, 5), "mlp", "t").save(tmp_path, logits[1:])
    found = load_teacher(tmp_path, many)
    rows = torch.tensor([5, 70])
    wanted = torch.stack(logits).mean(0)[rows].softmax(1)
    torch.testing.assert_close(found.logits[rows].softmax(1).amax(1), wanted.amax(1), rtol=1e-2, atol=0)
    assert found.logits.shape == (120, 150) and torch.equal(found.logits[rows].argmax(1), wanted.argmax(1))
    assert found.digest == load_teacher(tmp_path, many).digest and len(found.digest) == 16
    for classes in (2, 120):
        with pytest.raises(DDCoreError):
            load_teacher(tmp_path, replace(toy, classes=tuple(map(str, range(classes)))))


def test_what_a_teacher_says_stays_in_its_file(toy, tmp_path):
    Teacher(torch.randn(120, 2), torch.ones(120, 5), "mlp", "t").save(tmp_path)
    teacher = load_teacher(tmp_path, toy)
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    assert maps.count(str(tmp_path / "teacher.safetensors")) >= 1 and teacher.features.dtype == torch.half
