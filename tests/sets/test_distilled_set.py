import json
import pickle
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from ddcore import DDCoreError, DistilledSet
from ddcore.data.task import Scale
from ddcore.data.tokens import Tokens
from ddcore.errors import UsageError
from ddcore.nets.embedding import Embedding
from ddcore.sets.distilled_set import load_sets
from ddcore.sets.origin import Origin


def image_set(**changes) -> DistilledSet:
    made = {
        "kind": "images",
        "x": torch.randn(4, 1, 8, 8),
        "y": torch.tensor([0, 0, 1, 1]),
        "origin": Origin("toy", ("low", "high"), "frepo"),
        "scale": Scale((0.3,), (0.2,)),
        "soft": torch.randn(4, 2),
        "temperature": 2.0,
        "recipes": {"default": {"steps": 10}},
    }
    return DistilledSet(**(made | changes))


def token_set() -> DistilledSet:
    return DistilledSet(
        kind="tokens",
        x=Tokens.of([[4, 5, 6], [7]]),
        y=torch.tensor([0, 1]),
        origin=Origin("toy text", ("neg", "pos"), "cover"),
        scale=Scale(max_tokens=512),
    )


def test_images_come_back_as_they_were(tmp_path):
    made = image_set()
    made.save(tmp_path)
    found = DistilledSet.load(tmp_path)
    assert torch.equal(found.x, made.x) and torch.equal(found.soft, made.soft) and torch.equal(found.y, made.y)
    assert (found.temperature, found.recipes, found.classes) == (2.0, made.recipes, made.classes)


def test_regression_targets_come_back_and_are_probabilities_for_those_who_ask_for_them(tmp_path):
    targets = torch.tensor([[0.5, -0.5], [0.8, -0.7], [-0.25, 0.25], [0.0, 0.1]])
    image_set(soft=targets, temperature=0.0).save(tmp_path)
    found = DistilledSet.load(tmp_path).examples()
    assert torch.equal(found.regression, targets) and found.temperature == 1.0
    shares = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.25, 0.75], [0.5 / 1.1, 0.6 / 1.1]])
    torch.testing.assert_close(found.targets(2), shares, atol=1e-6, rtol=0)
    assert found.hard().regression is None
    image_set(soft=None, temperature=0.0).save(tmp_path)
    with pytest.raises(DDCoreError, match="temperature is not positive"):
        DistilledSet.load(tmp_path)


def embedded_set(**changes) -> DistilledSet:
    table = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    made = {
        "kind": "embeddings",
        "x": torch.zeros(2, 3, 5),
        "y": torch.tensor([0, 1]),
        "origin": Origin("toy text", ("neg", "pos"), "dm"),
        "embedding": Embedding("cnn of here", "cnn", table, table[:, 0] > 0),
    }
    return DistilledSet(**(made | changes))


def test_made_texts_bring_the_word_vectors_that_they_are_written_in(tmp_path):
    made = embedded_set()
    made.save(tmp_path)
    found = DistilledSet.load(tmp_path)
    assert found.kind == "embeddings" and torch.equal(found.inputs(), made.x)
    assert torch.equal(found.embedding.table, made.embedding.table) and found.embedding.name == "cnn of here"


@pytest.mark.parametrize(
    "changes, line",
    [
        ({"x": torch.zeros(2, 3, 4)}, r"members are not \(N, L, 5\)"),
        ({"x": torch.full((2, 3, 5), torch.nan)}, r"members are not \(N, L, 5\) finite"),
        ({"embedding": None}, "without need, or missing"),
    ],
)
def test_made_texts_that_contradict_themselves_are_refused(tmp_path, changes, line):
    embedded_set(**changes).save(tmp_path)
    with pytest.raises(DDCoreError, match=line):
        DistilledSet.load(tmp_path)


def test_a_record_from_before_schedules_still_loads(tmp_path):
    image_set().save(tmp_path)
    record = json.loads((tmp_path / "set.json").read_text())
    del record["schedule"], record["ordered"], record["record_sha256"]
    (tmp_path / "set.json").write_text(json.dumps(record))
    found = DistilledSet.load(tmp_path)
    assert found.schedule is None and not found.ordered


def test_a_prefix_cuts_every_part(tmp_path):
    made = image_set(indices=torch.tensor([7, 5, 3, 1]), ordered=True)
    made.prefix(3).save(tmp_path)
    cut = DistilledSet.load(tmp_path)
    assert torch.equal(cut.x, made.x[:3]) and torch.equal(cut.soft, made.soft[:3])
    assert cut.indices.tolist() == [7, 5, 3] and cut.y.tolist() == [0, 0, 1] and cut.ordered


def test_tokens_come_back_as_they_were(tmp_path):
    token_set().save(tmp_path)
    found = DistilledSet.load(tmp_path)
    assert found.x.padded().tolist() == [[4, 5, 6], [7, 0, 0]] and found.labels == "hard"


def test_saving_twice_gives_the_same_bytes(tmp_path):
    made = image_set()
    made.save(tmp_path / "a")
    made.save(tmp_path / "b")
    for name in ("set.json", "set.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_pairs_are_what_a_plain_loop_trains_on():
    inputs, targets = image_set(x=torch.full((4, 1, 8, 8), 51, dtype=torch.uint8)).pairs()[2]
    assert torch.allclose(inputs, torch.full((1, 8, 8), (0.2 - 0.3) / 0.2))
    assert targets.sum() == pytest.approx(1)


def test_hard_labels_of_a_soft_set_are_its_classes():
    made = image_set()
    assert made.examples("hard").soft is None
    assert made.examples("own").temperature == 2.0


def test_a_pickle_in_place_of_the_tensors_is_refused_unopened(tmp_path):
    image_set().save(tmp_path)

    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "went-off"), "w"))

    (tmp_path / "set.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DDCoreError, match="not a readable safetensors file"):
        DistilledSet.load(tmp_path)
    assert not (tmp_path / "went-off").exists()


TAMPERINGS = {
    "labels outside": lambda t: t | {"y": torch.tensor([0, 0, 1, 2])},
    "members": lambda t: t | {"x": t["x"][:3].clone()},
    "soft labels": lambda t: t | {"soft": torch.full((4, 2), float("nan"))},
    "finite": lambda t: t | {"x": torch.full((4, 1, 8, 8), float("inf"))},
    "channels": lambda t: t | {"x": torch.zeros(4, 3, 8, 8)},
    "int64": lambda t: t | {"y": torch.zeros(4)},
}


@pytest.mark.parametrize("change", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tensors_that_contradict_the_record_are_refused(tmp_path, change):
    image_set().save(tmp_path)
    path = tmp_path / "set.safetensors"
    save_file(change(load_file(path)), path)
    with pytest.raises(DDCoreError, match="tampered"):
        DistilledSet.load(tmp_path)


def test_token_offsets_that_point_elsewhere_are_refused(tmp_path):
    token_set().save(tmp_path)
    path = tmp_path / "set.safetensors"
    save_file(load_file(path) | {"x.offsets": torch.tensor([0, 9, 4])}, path)
    with pytest.raises(DDCoreError, match="offsets"):
        DistilledSet.load(tmp_path)


@pytest.mark.parametrize("record", ["{", "[]", json.dumps({"format": 1}), json.dumps({"format": 99})])
def test_a_record_of_another_kind_is_refused(tmp_path, record):
    image_set().save(tmp_path)
    (tmp_path / "set.json").write_text(record)
    with pytest.raises(DDCoreError):
        DistilledSet.load(tmp_path)


def test_a_folder_without_a_set_says_so(tmp_path):
    with pytest.raises(DDCoreError, match="not a distilled set"):
        DistilledSet.load(tmp_path)


def test_a_folder_of_seeds_gives_all_its_sets(tmp_path):
    for seed in (0, 1):
        image_set(y=torch.tensor([0, 0, 1, seed])).save(tmp_path / f"seed-{seed}")
    assert [int(found.y[3]) for found in load_sets(tmp_path)] == [0, 1]
    assert len(load_sets(tmp_path / "seed-0")) == 1
    with pytest.raises(UsageError, match="is not a folder"):
        load_sets(tmp_path / "nowhere")


def test_a_set_cannot_be_patched_but_described_anew():
    first = image_set()
    with pytest.raises(FrozenInstanceError):
        first.ordered = True
    second = first.described("dm", {"outer_step": 3}, {"mlp": {}})
    assert (second.method, second.provenance, second.recipes) == ("dm", {"outer_step": 3}, {"mlp": {}})
    assert (first.method, first.provenance, first.recipes) == ("frepo", {}, {"default": {"steps": 10}})
    assert second.described(provenance={"seed": 1}).provenance == {"outer_step": 3, "seed": 1} and second.x is first.x


def test_a_set_that_was_put_aside_is_not_pooled(tmp_path):
    for name in ("seed-0", "seed-1", "seed-1.old-1"):
        image_set().save(tmp_path / name)
    assert len(load_sets(tmp_path)) == 2


def with_texts() -> DistilledSet:
    made = token_set()
    return replace(made, origin=replace(made.origin, texts=("It's GOOD,\n really!", "")), ordered=True)


def test_source_texts_come_back_and_do_not_count_for_training(tmp_path):
    plain, made = token_set(), with_texts()
    made.save(tmp_path / "new")
    found = DistilledSet.load(tmp_path / "new")
    assert found.texts == made.texts == ("It's GOOD,\n really!", "")
    assert found.digest == replace(plain, ordered=True).digest == plain.digest
    assert found.described("other").texts == found.texts
    plain.save(tmp_path / "old")
    assert DistilledSet.load(tmp_path / "old").texts == ()
    assert set(load_file(tmp_path / "old" / "set.safetensors")) == {"x.values", "x.offsets", "y"}


def test_a_part_of_a_set_keeps_its_own_source_texts():
    made = with_texts()
    assert made.prefix(1).texts == made.texts[:1]
    assert sorted(made.subset(2, 0).texts) == sorted(made.texts)
    turned = made.subset(2, 0)
    assert [len(text) > 0 for text in turned.texts] == [y == 0 for y in turned.y.tolist()]


def test_changed_source_texts_are_found_out(tmp_path):
    with_texts().save(tmp_path)
    path = tmp_path / "set.safetensors"
    tensors = load_file(path)
    tensors["texts.values"][0] = ord("X")
    save_file(tensors, path)
    with pytest.raises(DDCoreError, match="sha256"):
        DistilledSet.load(tmp_path)


@pytest.mark.parametrize(
    ("made", "texts", "line"),
    [(token_set(), ("a",), "1 source texts, not 2"), (image_set(), ("a",) * 4, "4 source texts, not 0")],
)
def test_source_texts_are_those_of_the_members(made, texts, line, tmp_path):
    replace(made, origin=replace(made.origin, texts=texts)).save(tmp_path)
    with pytest.raises(DDCoreError, match=line):
        DistilledSet.load(tmp_path)
