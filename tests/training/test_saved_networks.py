import json
from dataclasses import replace

import pytest
import torch

from ddcore.data.registry import load_task
from ddcore.errors import DDCoreError, UsageError
from ddcore.nets.registry import build_net
from ddcore.runtime.files import save_tensors, write_json
from ddcore.training.saved_networks import load_embedding, load_networks, load_weights, seen_before, weights_by_seed
from ddcore.unroll.flat_params import Flat


def keep(folder, task, seeds, net="mlp", **more):
    for seed in seeds:
        save_tensors(folder / f"weights-{seed}.safetensors", dict(build_net(net, task, seed).state_dict()) | more)


def test_networks_come_back_in_the_order_of_their_seeds(toy, tmp_path):
    keep(tmp_path, toy, (0, 2, 10))
    found = load_weights(tmp_path, "mlp", toy)
    for theta, seed in zip(found, (0, 2, 10), strict=True):
        assert torch.equal(theta, Flat(build_net("mlp", toy, seed)).start())


def test_whole_networks_come_back_with_their_batch_statistics(toy, tmp_path):
    name = "body.1.running_mean"
    keep(tmp_path, toy, (0, 1), "resnet-s2d", **{name: torch.full((32,), 0.5)})
    first, second = load_networks(tmp_path, "resnet-s2d", toy)
    assert not first.training and bool((first.state_dict()[name] == 0.5).all())
    wanted = build_net("resnet-s2d", toy, 1).state_dict()["classifier.weight"]
    assert torch.equal(second.state_dict()["classifier.weight"], wanted)
    with pytest.raises(UsageError, match="is not a mlp"):
        load_networks(tmp_path, "mlp", toy)


def test_missing_foreign_and_damaged_networks_are_refused(toy, tmp_path):
    with pytest.raises(UsageError, match=r"holds no networks.*train_baseline.py --net mlp --size 8 --out"):
        load_weights(tmp_path / "nowhere", "mlp", toy)
    keep(tmp_path, toy, (0,), "convnet")
    with pytest.raises(UsageError, match=r"is not a mlp for \(1, 8, 8\) images of 2 classes \(it has no "):
        load_weights(tmp_path, "mlp", toy)
    path = tmp_path / "weights-0.safetensors"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DDCoreError, match="not a readable safetensors"):
        load_weights(tmp_path, "convnet", toy)


def test_networks_for_other_images_other_parts_and_batch_statistics_are_refused(toy, tmp_path):
    keep(tmp_path, replace(toy, shape=(1, 28, 28)), (0,))
    with pytest.raises(UsageError, match=r"is \(\d+, 784\), not \(\d+, 64\)\): train one .* --size 8$"):
        load_weights(tmp_path, "mlp", toy)
    keep(tmp_path, toy, (0,), head=torch.zeros(3))
    with pytest.raises(UsageError, match="it has head besides"):
        load_weights(tmp_path, "mlp", toy)
    with pytest.raises(UsageError, match="batch statistics"):
        load_weights(tmp_path, "resnet-s2d", toy)


def test_numbers_that_are_not_finite_are_refused(toy, tmp_path):
    name = next(iter(build_net("mlp", toy, 0).state_dict()))
    keep(tmp_path, toy, (0,), **{name: torch.full_like(build_net("mlp", toy, 0).state_dict()[name], torch.nan)})
    with pytest.raises(DDCoreError, match=r"weights-0.safetensors holds numbers that are not finite"):
        load_weights(tmp_path, "mlp", toy)


def test_texts_have_no_size_in_the_way_out(review_task, tmp_path):
    save_tensors(tmp_path / "weights-0.safetensors", {"w": torch.zeros(1)})
    with pytest.raises(UsageError, match=r"is not a bag for texts of 2 classes .*--net bag$"):
        load_weights(tmp_path, "bag", review_task)


def test_a_seed_is_the_place_of_its_network(toy, tmp_path):
    keep(tmp_path, toy, (100, 101, 102))
    found = weights_by_seed(tmp_path, "mlp", toy, range(1, 3))
    assert list(found) == [1, 2] and torch.equal(found[2], load_weights(tmp_path, "mlp", toy)[2])
    with pytest.raises(UsageError, match="holds 3 networks, fewer than --seeds 2 from --seed 2 need"):
        weights_by_seed(tmp_path, "mlp", toy, range(2, 4))


def test_networks_that_were_used_before_are_counted(toy, tmp_path):
    keep(tmp_path / "used", toy, (0, 1))
    keep(tmp_path / "again", toy, (1, 2, 3))
    again = load_weights(tmp_path / "again", "mlp", toy)
    assert seen_before(again, tmp_path / "used", "mlp", toy) == 1
    assert seen_before(again[1:], tmp_path / "used", "mlp", toy) == 0
    assert seen_before(again, tmp_path / "gone", "mlp", toy) is None


def text_folder(folder, task, net="cnn", **options):
    network = build_net(net, task, 0)
    save_tensors(folder / "weights-0.safetensors", dict(network.state_dict()))
    write_json(folder / "config.json", {"options": {"net": net, "part": "fit", "dataset": task.name} | options})
    return network


def test_word_vectors_are_those_of_the_trained_network(review_task, tmp_path):
    network = text_folder(tmp_path / "cnn", review_task)
    found = load_embedding(tmp_path / "cnn", review_task)
    assert torch.equal(found.table, network.words.table.weight.detach()) and found.net == "cnn"
    assert found.name == "cnn of cnn"


@pytest.mark.parametrize(
    "options, line",
    [
        ({"part": "all"}, "part all, with the validation split: make one with"),
        ({"dataset": "other"}, "was trained on other"),
        (
            {"net": "linear"},
            "without word vectors: make one with .* --net bag --out .* and give --embedding .*cnn-imdb$",
        ),
    ],
)
def test_other_folders_give_no_word_vectors(review_task, tmp_path, options, line):
    text_folder(tmp_path / "cnn", review_task, **options)
    if "net" in options:
        save_tensors(tmp_path / "cnn" / "weights-0.safetensors", {"w": torch.zeros(1)})
    with pytest.raises(UsageError, match=line):
        load_embedding(tmp_path / "cnn", review_task)
    with pytest.raises(UsageError, match="holds no network"):
        load_embedding(tmp_path / "nowhere", review_task)


def test_a_folder_of_word_vectors_names_no_code_to_run(review_task, tmp_path, monkeypatch):
    text_folder(tmp_path / "cnn", review_task)
    options = {"net": "evil_nets_of_saved:build", "part": "fit", "dataset": review_task.name}
    write_json(tmp_path / "cnn" / "config.json", {"options": options})
    (tmp_path / "evil_nets_of_saved.py").write_text("raise SystemExit('it was run')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"cnn names the network 'evil_nets_of_saved:build'.*--net evil_nets"):
        load_embedding(tmp_path / "cnn", review_task, ["default"])


@pytest.mark.parametrize("data", ["{", "[]", '{"dataset": 3}'])
def test_word_vectors_of_another_vocabulary_are_refused(review_task, tmp_path, data):
    network, path = text_folder(tmp_path / "cnn", review_task), tmp_path / "cnn" / "weights-0.safetensors"
    tensors, record = dict(network.state_dict()), review_task.fingerprint.record()
    save_tensors(path, tensors, {"data": json.dumps(record)})
    assert load_embedding(tmp_path / "cnn", review_task).net == "cnn"
    save_tensors(path, tensors, {"data": json.dumps(record | {"vocabulary": "0"})})
    with pytest.raises(UsageError, match=r"cnn was made with another vocabulary .*: make one with train_baseline\.py"):
        load_embedding(tmp_path / "cnn", review_task)
    save_tensors(path, tensors, {"data": data})
    with pytest.raises(DDCoreError, match=r"weights-0\.safetensors is damaged"):
        load_embedding(tmp_path / "cnn", review_task)


def test_word_vectors_of_own_texts_are_told_by_content_not_by_name(remarks, tmp_path, write_table):
    task = load_task(f"text:{remarks}", tmp_path)
    text_folder(tmp_path / "bag", task, "bag", dataset=f"text:{remarks},text=text", content=task.content)
    assert load_embedding(tmp_path / "bag", task).net == "bag"
    write_table(remarks, 90)
    grown = load_task(f"text:{remarks}", tmp_path)
    with pytest.raises(UsageError) as refused:
        load_embedding(tmp_path / "bag", grown)
    line = str(refused.value)
    assert f"was trained on text:{remarks},text=text, whose content is not that of text:{remarks}: " in line
    assert f"--dataset text:{remarks} --part fit --net bag --out {tmp_path}/bag-text-remarks and give" in line
    text_folder(tmp_path / "imdb", task, "bag", dataset=task.name)
    with pytest.raises(UsageError, match="whose content is not"):
        load_embedding(tmp_path / "imdb", task)
