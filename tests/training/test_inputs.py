"""Digests of what goes into a run: the same for the same content, wherever it lies; another one for any other."""

import json
import shutil
from dataclasses import replace

import pytest
from toys import toy_teacher

from ddcore.errors import UsageError
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.selection.random_choice import RandomChoice
from ddcore.selection.selected import selected_set
from ddcore.training.inputs import FILES, folder_digest, inputs_of, read_inputs


def small_set(toy, seed):
    return selected_set(RandomChoice(), Problem(toy, 10, toy.fit, seed=seed), Session())


def test_data_and_words_have_a_digest_each(toy, review_task):
    content = toy.fingerprint.content
    assert inputs_of(toy, {"seed": 3}) == {"data": content} and len(content) == 16
    assert set(inputs_of(review_task, {})) == {"data", "vocabulary"}
    assert inputs_of(replace(toy, content="own"), {}, tested=True) == {"data": "own"}


def test_the_test_members_have_a_digest_where_they_are_read(toy):
    def unread():
        raise AssertionError("the test members were read")

    digest = inputs_of(toy, {}, tested=True)["test"]
    assert digest == toy.load_test().digest != toy.fingerprint.content
    inputs_of(replace(toy, load_test=unread), {})


def test_only_options_that_name_an_earlier_run_count(toy):
    nothing = {"teacher": None, "embedding": "", "net": "mlp", "steps": 3}
    assert inputs_of(toy, nothing) == inputs_of(toy, {}) and read_inputs(nothing) == {}


def test_custom_networks_are_known_by_their_modules_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inputs_net.py").write_text("def build(task): pass")
    name = "inputs_net:build"
    (digest,) = read_inputs({"net": name}).values()
    assert len(digest) == 16 and read_inputs({"nets": f"mlp, {name}"}) == {"nets": digest}
    assert read_inputs({"nets": ["mlp", name, name], "net": "mlp"}) == {"nets": f"{digest},{digest}"}
    (tmp_path / "inputs_net.py").write_text("def build(task): return None")
    assert read_inputs({"net": name}) != {"net": digest}
    with pytest.raises(UsageError, match="'nothing' does not exist"):
        read_inputs({"net": "inputs_net:nothing"})


def test_a_teacher_is_known_by_its_tensors_in_any_place(toy, tmp_path):
    teacher = toy_teacher(toy)
    for name, factor in (("a", 1), ("b", 1), ("c", 2)):
        replace(teacher, logits=factor * teacher.logits).save(tmp_path / name)
    first, same, other = (read_inputs({"teacher": str(tmp_path / name)})["teacher"] for name in "abc")
    assert first == same != other and len(first) == 16
    loaded = [replace(teacher, logits=factor * teacher.logits).digest for factor in (1, 2)]
    assert read_inputs({"teacher": teacher}) == {"teacher": loaded[0]} and loaded[0] != loaded[1]


def test_a_network_more_changes_the_teacher_and_the_weights_but_not_the_word_vectors(tmp_path):
    (tmp_path / "weights-0.safetensors").write_bytes(b"zero")
    before = {name: folder_digest(name, tmp_path) for name in FILES}
    (tmp_path / "weights-1.safetensors").write_bytes(b"one")
    after = {name: folder_digest(name, tmp_path) for name in FILES}
    assert {name for name in FILES if before[name] != after[name]} == {"teacher", "weights"}
    assert after["experts"] == after["generator"] == after["set"] == ""


def test_a_set_is_known_by_its_record_and_those_that_were_put_aside_do_not_count(toy, tmp_path):
    small_set(toy, 0).save(tmp_path / "a")
    small_set(toy, 0).save(tmp_path / "b")
    small_set(toy, 1).save(tmp_path / "c")
    first, same, other = (folder_digest("set", tmp_path / name) for name in "abc")
    assert first == same != other
    pooled = tmp_path / "pooled"
    for seed in (0, 1):
        small_set(toy, seed).save(pooled / f"seed-{seed}")
    both = folder_digest("set", pooled)
    shutil.copytree(pooled / "seed-1", pooled / "seed-1.old-1")
    assert folder_digest("set", pooled) == both not in ("", first)
    shutil.rmtree(pooled / "seed-1")
    assert folder_digest("set", pooled) != both


def test_a_set_in_memory_is_known_by_its_members_and_how_to_train_on_them(toy):
    small = small_set(toy, 0)
    others = [
        small_set(toy, 1),
        replace(small, y=1 - small.y),
        replace(small, temperature=2.0),
        replace(small, recipes={"default": {"steps": 3}}),
    ]
    digests = [each.digest for each in (small, *others)]
    assert len(set(digests)) == 5 and read_inputs({"set": small}) == {"set": small_set(toy, 0).digest}


@pytest.mark.parametrize("name", ["experts", "generator"])
def test_experts_and_generators_are_known_by_their_records(name, tmp_path):
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({"accuracy": [0.5]}))
    before = folder_digest(name, tmp_path)
    path.write_text(json.dumps({"accuracy": [0.6]}))
    assert before != folder_digest(name, tmp_path)
