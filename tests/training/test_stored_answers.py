import json
from dataclasses import replace

import pytest
import torch
from toys import saved_networks, toy_teacher

from ddcore.data import at_hand
from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import Session, save_tensors
from ddcore.training.crops import Crops, answers, joined
from ddcore.training.stored_answers import AnswerKey, read_answers, unordered_digest, write_answers
from ddcore.training.teacher_networks import teacher_networks


@pytest.fixture
def few(toy):
    return at_hand(toy.train[torch.arange(10)], "cpu")


@pytest.fixture
def networks(toy, tmp_path):
    return teacher_networks(toy_teacher(toy, saved_networks(toy, tmp_path / "teacher", "mlp"), "mlp"), toy, "it")


def key_of(few, top=2, epochs=3):
    return AnswerKey(Crops(5, 0.5, True, 1, epochs), 10, 2, top, few.digest, unordered_digest(few), "abc")


@pytest.mark.parametrize("top", [2, 1])
def test_a_file_holds_what_the_teacher_says_live(toy, few, networks, tmp_path, top):
    key, path = key_of(few, top), tmp_path / "new" / "labels.safetensors"
    write_answers(path, key, networks, toy, few, Session())
    stored = read_answers(path)
    assert stored.key == key and len(stored.all) == 30
    for number in (0, 2, 4):
        live = joined([part for _, part in answers(networks, key.crops.epoch(number, toy, few), top)])
        held, rows = stored.epoch(number, torch.device("cpu")), torch.arange(10)
        assert torch.equal(held[rows].float(), live[rows].float())


def test_the_bytes_are_those_of_the_halves(few, networks, toy, tmp_path):
    assert key_of(few).bytes == 3 * 10 * 2 * 2
    assert key_of(few, 1).bytes == 3 * 10 * (2 + 4 + 2)
    # 500 images of CIFAR-10, all 10 logits, 300 epochs.
    assert replace(key_of(few, 10, 300), members=500, classes=10).bytes == 3_000_000
    path = tmp_path / "labels"
    write_answers(path, key_of(few), networks, toy, few, Session())
    head = int.from_bytes(path.read_bytes()[:8], "little")
    assert path.stat().st_size == 8 + head + key_of(few).bytes


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"set": "0", "unordered": "1"},
            "holds labels of another set, of 10 members in 2 classes; this one has 10 in 2",
        ),
        ({"set": "0"}, "holds labels of the same members in another order"),
        ({"set": "0", "unordered": "1", "members": 5}, "another set, of 10 members in 2 classes; this one has 5"),
        ({"teacher": "def"}, "holds the labels of another teacher"),
        ({"top": 1}, "holds 2 logits of each crop, not 1"),
        ({"crops": Crops(5, 1.0, True, 1, 3)}, r"with --crop-area 0\.5, not 1\.0"),
        ({"crops": Crops(5, 0.5, True, 2, 3)}, "with tiles per side 1, not 2"),
        ({"crops": Crops(5, 0.5, True, 1, 4)}, "for 3 epochs, not 4: --label-epochs 3 uses them again and again"),
    ],
)
def test_answers_about_other_crops_are_refused(toy, few, networks, tmp_path, change, line):
    write_answers(tmp_path / "labels", key_of(few), networks, toy, few, Session())
    stored = read_answers(tmp_path / "labels")
    with pytest.raises(UsageError, match=line):
        stored.check(replace(stored.key, **change))
    # Any teacher, another seed and fewer epochs will do.
    stored.check(replace(stored.key, teacher="", crops=Crops(6, 0.5, True, 1, 2)))


def test_a_digest_without_order_tells_sets_apart(few):
    order = torch.arange(10).flip(0)
    assert unordered_digest(few) == unordered_digest(few[order]) and few.digest != few[order].digest
    assert unordered_digest(few) != unordered_digest(few[order[1:]])
    assert unordered_digest(few) != unordered_digest(replace(few, y=few.y.flip(0)))


def test_damaged_and_foreign_files_are_refused(toy, few, networks, tmp_path):
    path, note = tmp_path / "labels", json.dumps
    write_answers(path, key_of(few), networks, toy, few, Session())
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(DDCoreError, match="truncated"):
        read_answers(path)
    save_tensors(path, {"logits": torch.zeros(3, 2)}, {"other": "1"})
    with pytest.raises(DDCoreError, match="holds no labels by crop"):
        read_answers(path)
    record = {"members": 10, "classes": 2, "top": 2, "set": "", "unordered": "", "teacher": ""}
    record |= {"crops": {"seed": 0, "area": 1.0, "flip": True, "tiles": 1, "epochs": 3}}
    save_tensors(path, {"logits": torch.zeros(20, 2).half()}, {"answers": note(record)})
    with pytest.raises(DDCoreError, match="is damaged or cut: it does not hold what its note says"):
        read_answers(path)
    save_tensors(path, {"logits": torch.zeros(30, 2).half()}, {"answers": note({**record, "top": "2"})})
    with pytest.raises(DDCoreError, match="is damaged: 'top'"):
        read_answers(path)
    tensors = {"top": torch.zeros(30, 1).half(), "of": torch.full((30, 1), 2).int(), "rest": torch.zeros(30).half()}
    save_tensors(path, tensors, {"answers": note({**record, "top": 1})})
    with pytest.raises(DDCoreError, match="it names classes that there are not"):
        read_answers(path)
