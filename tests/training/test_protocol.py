from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toys import saved_networks, toy_teacher

from ddcore.data.tokens import Tokens
from ddcore.errors import DDCoreError, UsageError
from ddcore.nets.embedding import Embedding
from ddcore.runtime.files import read_json
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.origin import SOURCES, Origin
from ddcore.training.crop_labels import CropOptions
from ddcore.training.protocol import Evaluation, evaluation_of
from ddcore.training.recipes import recorded_recipes
from ddcore.training.scores import labels_of
from ddcore.unroll.schedule import Schedule

PLACE = Path("runs/small")


def set_of(task, **changes) -> DistilledSet:
    members = torch.arange(20)
    origin = Origin(task.name, task.classes, "first", {"budget": 20})
    recipes = recorded_recipes(task, 20, "cpu", True)
    train = task.train[members]
    return replace(DistilledSet("images", train.x, train.y, origin, task.scale, recipes=recipes), **changes)


def test_an_evaluation_writes_scores_with_their_protocol(toy, tmp_path):
    evaluation = evaluation_of(Evaluation("default,mlp", seeds=2), [set_of(toy), set_of(toy)], toy, 5, PLACE)
    record = evaluation.run(Session(Run(tmp_path), quick=True))
    assert read_json(tmp_path / "scores.json") == record and (tmp_path / "done").exists()
    protocol = record["protocol"]
    assert protocol["set"]["path"] == "runs/small" and protocol["set"]["sets"] == 2 and protocol["seeds"] == [5, 6]
    assert set(protocol["recipes"]) == {"default", "mlp"} and protocol["recipes"]["mlp"]["steps"] <= 100
    assert record["nets"]["mlp"]["accuracy"]["n"] == 4
    assert (
        evaluation.lines(record)[1].startswith("small on mlp, 4 networks, protocol own: ")
        and evaluation.lines({}) == []
    )


@pytest.mark.parametrize(
    ("count", "options", "recorded"),
    [(9, {}, 9), (9, {"subset": 10}, None), ("many", {}, None), (True, {}, None), (-1, {}, None)],
)
def test_the_texts_of_a_packed_set_are_recorded_unless_it_is_cut(toy, count, options, recorded):
    packed = set_of(toy)
    packed = replace(packed, origin=replace(packed.origin, provenance={SOURCES: count}))
    protocol = evaluation_of(Evaluation("mlp", **options), [packed], toy, 0, PLACE)._protocol()
    assert protocol["set"]["sources"] == recorded


def test_the_tiles_of_multi_formation_are_recorded(toy):
    small = set_of(toy)
    for factor in (1, 2):
        formed = replace(small, origin=replace(small.origin, factor=factor))
        assert evaluation_of(Evaluation("mlp"), [formed], toy, 0, PLACE)._protocol()["set"]["factor"] == factor


def test_a_network_follows_a_schedule_and_known_weights_need_one_seed(toy, tmp_path):
    order = torch.arange(20).view(2, 10)
    fresh = Schedule("mlp", torch.full((2,), 0.1), order)
    evaluation = evaluation_of(
        Evaluation("default,lenet", seeds=2, prefix=10), [set_of(toy, schedule=fresh, ordered=True)], toy, 0, PLACE
    )
    record = evaluation.run(Session(Run(tmp_path), quick=True))
    assert record["protocol"]["schedule"]["nets"] == ["mlp"] and set(record["protocol"]["recipes"]) == {"lenet"}
    assert evaluation.lines(record)[0].startswith("first 10 of small on mlp, 1 step from fresh weights, 2 networks")
    known = replace(fresh, start="known", weights=torch.zeros(1))
    cells = evaluation_of(Evaluation(seeds=2), [set_of(toy, schedule=known)], toy, 0, PLACE)._cells({"mlp": None})
    assert len(cells) == 1
    plain = evaluation_of(Evaluation(protocol="ddcore"), [set_of(toy, schedule=fresh)], toy, 0, PLACE)
    assert plain.schedule is None and plain.followers == [] and list(plain.nets.values()) == [toy.default_net]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (Evaluation(nets="vgg"), "'vgg'"),
        (Evaluation(prefix=2, subset=2), "exclude one another"),
        (Evaluation(prefix=2), "have no order"),
        (Evaluation(subset=3), "cannot be drawn"),
        (Evaluation(weights=Path("w")), "leave --weights out: runs/small is trained on by fresh networks"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(toy, options, line):
    with pytest.raises(UsageError, match=line):
        evaluation_of(options, [set_of(toy)], toy, 0, PLACE)


def test_other_classes_and_images_are_refused(toy):
    with pytest.raises(UsageError, match="runs/small has the classes low, high; the data have a, b"):
        evaluation_of(Evaluation(), [set_of(toy)], replace(toy, classes=("a", "b")), 0, PLACE)
    with pytest.raises(UsageError, match=r"runs/small has images of shape \(1, 8, 8\)"):
        evaluation_of(Evaluation(), [set_of(toy)], replace(toy, shape=(1, 9, 9)), 0, PLACE)


@pytest.mark.parametrize(
    ("change", "fault"), [({"lr": None}, "lr None"), ({"steps": 2.5}, "steps 2.5"), ({"flip": 1}, "flip 1")]
)
def test_a_damaged_recipe_names_the_set(toy, tmp_path, change, fault):
    recipes = recorded_recipes(toy, 20, "cpu", True)
    evaluation = evaluation_of(
        Evaluation("mlp"), [set_of(toy, recipes={"mlp": recipes["mlp"] | change})], toy, 0, PLACE
    )
    with pytest.raises(DDCoreError, match=f"runs/small is damaged: its recipe for mlp has {fault}; --protocol ddcore"):
        evaluation.run(Session(Run(tmp_path)))


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module in the current folder that must not be imported; its name as a network."""
    (tmp_path / "evil_nets_of_protocol.py").write_text("raise SystemExit('it was run')")
    monkeypatch.chdir(tmp_path)
    return "evil_nets_of_protocol:build"


@pytest.mark.parametrize("start", ["random", "given"])
@pytest.mark.parametrize("net", ["evil_nets_of_protocol:build", "os:system"])
def test_a_schedule_names_no_code_to_run(toy, evil, tmp_path, net, start):
    schedule = Schedule(net, torch.full((2,), 0.1), torch.arange(20).view(2, 10), start=start)
    options = Evaluation(nets="default" if start == "random" else "mlp", weights=tmp_path if start == "given" else None)
    with pytest.raises(UsageError, match=f"runs/small names the network '{net}'.*name it yourself with --nets {net}$"):
        evaluation_of(options, [set_of(toy, schedule=schedule)], toy, 0, PLACE)


def test_a_network_of_the_user_follows_a_schedule_if_the_user_names_it_too(toy, tmp_path, monkeypatch):
    source = "from torch import nn\ndef build(task):\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))\n"
    (tmp_path / "good_nets_of_protocol.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    name = "good_nets_of_protocol:build"
    schedule = Schedule(name, torch.full((2,), 0.1), torch.arange(20).view(2, 10))
    for nets in (name, f"default,{name}", f"mlp,{name}"):
        evaluation = evaluation_of(Evaluation(nets), [set_of(toy, schedule=schedule)], toy, 0, PLACE)
        assert evaluation.followers == [name]
    assert evaluation_of(Evaluation("mlp"), [set_of(toy, schedule=schedule)], toy, 0, PLACE).followers == []


def test_word_vectors_name_no_code_to_run(review_task, evil):
    table = torch.zeros(4, 3)
    small = DistilledSet(
        kind="embeddings",
        x=torch.zeros(2, 5, 3),
        y=torch.tensor([0, 1]),
        origin=Origin("imdb", review_task.classes, "dm"),
        scale=review_task.scale,
        embedding=Embedding("here", evil, table, torch.ones(4, dtype=torch.bool)),
    )
    with pytest.raises(UsageError, match=f"runs/small names the network '{evil}'"):
        evaluation_of(Evaluation(), [small], review_task, 0, PLACE)


def of_data(task, **changes) -> DistilledSet:
    small = set_of(task)
    return replace(small, origin=replace(Origin.of(task, "first", {}, {}), **changes))


def test_a_set_of_other_data_is_refused_before_any_work(toy):
    own = replace(toy, name="images-photos", content="abc")
    assert evaluation_of(Evaluation(), [of_data(own)], own, 0, PLACE).notes == ()
    with pytest.raises(
        UsageError, match=r"another content of images-photos .*: make the set again from these, or eval"
    ):
        evaluation_of(Evaluation(), [of_data(own, content="abd")], own, 0, PLACE)
    with pytest.raises(
        UsageError, match=r"runs/small was made from mnist, not from toy: evaluate it with --dataset mnist"
    ):
        evaluation_of(Evaluation(), [of_data(toy, dataset="mnist")], toy, 0, PLACE)


def test_another_copy_of_the_data_is_said_and_recorded(toy, tmp_path):
    said: list[str] = []
    sets = [of_data(toy), of_data(toy, content="0"), of_data(toy, content="1")]
    evaluation = evaluation_of(Evaluation("mlp"), sets, toy, 0, PLACE)
    record = evaluation.run(Session(Run(tmp_path), quick=True, say=said.append))
    line = "runs/small was made from another copy or part of toy, whose bytes differ"
    assert said == [f"note: {line}"] and record["protocol"]["notes"] == [line]
    assert record["protocol"]["content"] == record["protocol"]["set"]["content"] == toy.fingerprint.content


def test_a_set_without_a_digest_is_read_with_a_line(toy, tmp_path):
    set_of(toy).save(tmp_path)
    evaluation = evaluation_of(Evaluation("mlp"), [DistilledSet.load(tmp_path)], toy, 0, PLACE)
    assert evaluation.notes == ("runs/small does not say which content of toy it was made from: taken as the same",)


def test_a_set_with_words_that_the_data_lack_is_refused(review_task):
    words = review_task.tokeniser.get_vocab_size()
    x = Tokens.of([[words - 1], [2]])
    small = DistilledSet("tokens", x, torch.tensor([0, 1]), Origin.of(review_task, "x", {}, {}), review_task.scale)
    assert evaluation_of(Evaluation(), [small], review_task, 0, PLACE).notes == ()
    with pytest.raises(UsageError, match="has words that the vocabulary of imdb lacks"):
        evaluation_of(Evaluation(), [replace(small, x=Tokens.of([[words], [2]]))], review_task, 0, PLACE)


def test_a_published_protocol_trains_its_own_network_and_is_recorded(toy):
    evaluation = evaluation_of(Evaluation(protocol="dc", seeds=2), [set_of(toy)], toy, 0, PLACE)
    assert evaluation.nets == {"convnet-128": "convnet-128"}
    record = evaluation._protocol()["evaluation"]
    assert (record["name"], record["net"], record["networks"], record["sets"]) == ("dc", "convnet-128", 20, 5)


def test_a_published_protocol_refuses_texts_in_one_line(review_task):
    x = review_task.train.x[torch.tensor([0, 1])]
    origin = Origin.of(review_task, "random", {}, {})
    small = DistilledSet("tokens", x, review_task.train.y[:2], origin, review_task.scale)
    for nets in ("default", "bag"):
        with pytest.raises(UsageError, match="protocol 'dc' is for images, imdb holds text"):
            evaluation_of(Evaluation(nets, protocol="dc"), [small], review_task, 0, PLACE)


def crops_of(toy, tmp_path, **options):
    saved_networks(toy, tmp_path / "teacher")
    toy_teacher(toy, tmp_path / "teacher").save(tmp_path / "teacher")
    return Evaluation("mlp", teacher=tmp_path / "teacher", **options)


def test_rded_s_protocol_asks_the_teacher_and_records_it(toy, tmp_path):
    said: list[str] = []
    options = crops_of(toy, tmp_path, protocol="rded", seeds=2)
    evaluation = evaluation_of(options, [set_of(toy)], toy, 0, PLACE)
    assert evaluation.crops is not None and len(evaluation.crops.networks.networks) == 1
    record = evaluation.run(Session(Run(tmp_path / "run"), quick=True, say=said.append))
    protocol = record["protocol"]
    assert protocol["labels"] == "crops" and protocol["evaluation"]["name"] == "rded"
    assert (
        protocol["crops"]["temperature"] == 20.0 and protocol["crops"]["area"] == 1.0 and protocol["crops"]["teacher"]
    )
    assert list(protocol["recipes"]["mlp"]["kinds"]) == ["crop", "flip", "mix"]
    assert said[-1].startswith("protocol rded: 2 networks")
    assert labels_of(protocol) == "crop" and record["nets"]["mlp"]["accuracy"]["n"] == 2


def test_labels_by_crop_are_for_every_protocol_and_rded_s_has_hard_ones_without_a_teacher(toy, tmp_path):
    own = evaluation_of(crops_of(toy, tmp_path, labels="crops"), [set_of(toy)], toy, 0, PLACE)
    record = own.run(Session(Run(tmp_path / "own"), quick=True))
    assert record["protocol"]["labels"] == "crops" and record["protocol"]["evaluation"]["name"] == "own"
    hard = evaluation_of(Evaluation("mlp", protocol="rded", labels="hard"), [set_of(toy)], toy, 0, PLACE)
    record = hard.run(Session(Run(tmp_path / "hard"), quick=True))
    assert record["protocol"]["labels"] == "hard" and record["protocol"]["crops"]["hard_share"] == 1.0
    assert evaluation_of(Evaluation("mlp"), [set_of(toy)], toy, 0, PLACE).crops is None


def test_stored_labels_stand_for_the_teacher_and_give_the_same_scores(toy, tmp_path):
    path = tmp_path / "labels.safetensors"
    live = crops_of(toy, tmp_path, protocol="rded")
    filed = replace(live, crops=CropOptions(file=path))
    records = []
    for name, options in (("live", live), ("written", filed), ("read", replace(filed, teacher=None))):
        evaluation = evaluation_of(options, [set_of(toy)], toy, 0, PLACE)
        records.append(evaluation.run(Session(Run(tmp_path / name), quick=True)))
    scores = [{**record["nets"]["mlp"], "seconds": 0} for record in records]
    assert scores[0] == scores[1] == scores[2] and path.exists()
    assert records[2]["protocol"]["crops"]["teacher"] == records[0]["protocol"]["crops"]["teacher"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"protocol": "rded", "teacher": None}, "--labels crops asks the networks of a teacher: train one"),
        ({"protocol": "rded", "crops": CropOptions(top=5)}, "--label-top 5: toy has 2 classes"),
        ({}, "--teacher is for --members start and for labels by crop"),
    ],
)
def test_labels_by_crop_that_cannot_be_had_are_refused(toy, tmp_path, options, line):
    with pytest.raises(UsageError, match=line):
        evaluation_of(replace(crops_of(toy, tmp_path), **options), [set_of(toy)], toy, 0, PLACE)


def test_sets_that_cannot_share_labels_by_crop_are_refused(toy, tmp_path):
    filed = crops_of(toy, tmp_path, protocol="rded", crops=CropOptions(file=tmp_path / "labels"))
    with pytest.raises(UsageError, match="--label-file is for one set, and runs/small holds 2"):
        evaluation_of(filed, [set_of(toy), set_of(toy)], toy, 0, PLACE)
    schedule = Schedule("mlp", torch.full((2,), 0.1), torch.arange(20).view(2, 10))
    with pytest.raises(UsageError, match="holds a training of its own, without labels by crop"):
        evaluation_of(crops_of(toy, tmp_path, labels="crops"), [set_of(toy, schedule=schedule)], toy, 0, PLACE)
    small = set_of(toy)
    mosaics = replace(small, origin=replace(small.origin, tiles=2))
    with pytest.raises(UsageError, match="members of different numbers of images"):
        evaluation_of(crops_of(toy, tmp_path, protocol="rded"), [small, mosaics], toy, 0, PLACE)
