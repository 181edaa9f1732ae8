import pytest
import torch
from toys import problem, session_in, started

from ddcore.errors import UsageError
from ddcore.methods.dc import DC
from ddcore.methods.dm import DM
from ddcore.methods.matching import Texts
from ddcore.nets.registry import build_net
from ddcore.options import changed
from ddcore.runtime.files import save_tensors, write_json
from ddcore.synthesis.outer_loop import distilled_set
from ddcore.training.teacher import Labels, Teacher


def keep_network(folder, task, net):
    network = build_net(net, task, 0)
    network.words.seen[:] = True
    save_tensors(folder / "weights-0.safetensors", dict(network.state_dict()))
    write_json(folder / "config.json", {"options": {"net": net, "part": "fit", "dataset": task.name}})


def test_the_set_begins_with_real_members_outside_the_validation_part(toy):
    run = started(DM(net="mlp"), toy, 6)
    assert torch.isin(run.chosen, toy.fit).all() and run.y.bincount().tolist() == [3, 3]
    assert torch.equal(run.decode().x, toy.inputs(toy.train.x[run.chosen]))


def test_soft_labels_are_the_teachers_of_the_members_that_the_images_began_as(toy):
    logits = torch.randn(len(toy.train), 2, generator=torch.Generator().manual_seed(0))
    teacher = Teacher(logits, None, "mlp", "nowhere")
    made = started(DM(net="mlp", labels=Labels("soft", 3.0)), toy, 6, teacher).decode()
    assert torch.equal(made.soft, logits[torch.tensor(made.provenance["began at"])]) and made.temperature == 3.0


@pytest.mark.parametrize(
    "change, budget, line",
    [
        ({"labels": "soft"}, 6, "needs --teacher"),
        ({"init": "k-means"}, 6, "needs --teacher"),
        ({"augment": "mirror"}, 6, "'mirror' is unknown"),
        ({}, 7, "cannot be shared evenly"),
        ({"net": "resnet"}, 6, "network"),
    ],
)
def test_bad_options_are_one_line(toy, change, budget, line):
    with pytest.raises(UsageError, match=line) as caught:
        started(changed(DM(net="mlp"), change), toy, budget)
    assert "\n" not in str(caught.value)


@pytest.fixture
def vectors(review_task, tmp_path):
    """A run folder of a small network on texts, as train_baseline.py leaves it."""
    keep_network(tmp_path / "cnn", review_task, "cnn")
    return str(tmp_path / "cnn")


@pytest.mark.parametrize("method", [DM, DC])
def test_texts_begin_as_real_ones_in_word_vectors_and_learn(review_task, vectors, method, tmp_path):
    short = {"embedding": vectors, "places": 30, "steps": 2, "real_batch": 4, "validations": 1}
    options = changed(method(), {**short, "validation_networks": 1, "validation_steps": 2})
    run = started(options, review_task, 4)
    ids = review_task.train.x.sequence(int(run.chosen[0])).long()
    assert 10 < len(ids) < 30, "the made-up reviews are shorter than the places"
    wrapped = ids[torch.arange(30) % len(ids)]
    assert torch.equal(run.x[0], run.embedding.vectors(wrapped[None])[0])
    began = run.x.clone()
    made = distilled_set(options, problem(review_task, 4), session_in(tmp_path / "run"))
    assert made.kind == "embeddings" and made.x.shape == (4, 30, 64) and made.embedding.net == "cnn"
    part = run.gradient(run.shards(0)[0])
    assert part.gradients["x"].abs().max() > 0 and torch.equal(run.x, began)
    again = run.gradient(run.shards(0)[0])
    assert torch.equal(part.gradients["x"], again.gradients["x"]), "no dropout draws from outside"


def test_word_vectors_belong_to_texts(toy, review_task, vectors):
    with pytest.raises(UsageError, match="--embedding is for texts"):
        started(DM(net="mlp", texts=Texts(vectors)), toy, 4)
    with pytest.raises(
        UsageError,
        match="imdb --part fit --net bag --out runs/imdb-words and give --embedding runs",
    ):
        started(DM(), review_task, 4)
    with pytest.raises(UsageError, match="NgramLinear does not read"):
        started(DM(net="linear", texts=Texts(vectors)), review_task, 4).fresh(0)


def test_noise_is_drawn_by_the_seed_and_names_no_real_members(toy):
    first, again, other = (started(DM(net="mlp", init="noise"), toy, 6, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.x, again.x) and not torch.equal(first.x, other.x)
    assert abs(float(first.x.mean())) < 0.2 and abs(float(first.x.std()) - 1) < 0.2
    assert first.y.bincount().tolist() == [3, 3] and "began at" not in first.decode().provenance


def test_noise_is_for_images(review_task, vectors):
    with pytest.raises(UsageError, match="--init noise is for images"):
        started(DM(texts=Texts(vectors, 10), init="noise"), review_task, 4)


def test_images_move_by_sgd_where_it_is_asked_for(toy):
    assert started(DM(net="mlp"), toy, 6).groups["images"].momentum is None
    assert started(DM(net="mlp", image_optimiser="sgd"), toy, 6).groups["images"].momentum == 0.5
