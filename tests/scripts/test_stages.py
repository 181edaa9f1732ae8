"""The stage programs, one after another, as a user calls them, on the bundled digits at toy size."""

import json

import distill
import evaluate
import make_report
import pytest
import select_subset
import train_baseline

from ddcore import DistilledSet


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def teacher(folder):
    out = folder / "teacher"
    assert train_baseline.main(["--dataset", "digits", "--part", "fit", "--quick", "--out", str(out)]) == 0
    return out


def read(path):
    return json.loads(path.read_text())


def stage(program, *words) -> int:
    return program.main([str(word) for word in words] + ["--dataset", "digits", "--quick"])


def test_a_teacher_is_tested_on_the_validation_part_only(teacher):
    scores = read(teacher / "scores.json")
    assert scores["protocol"]["tested_on"] == "validation"
    assert scores["protocol"]["train_members"] + scores["protocol"]["test_members"] == 1437
    assert scores["nets"]["default"]["accuracy"]["mean"] > 0.5
    assert (teacher / "done").exists() and (teacher / "teacher.safetensors").exists()


def test_selections_with_several_seeds_are_pooled_by_evaluate(folder, teacher):
    made = folder / "random"
    assert (
        stage(
            select_subset,
            "random",
            "--budget",
            50,
            "--labels",
            "soft",
            "--teacher",
            teacher,
            "--seeds",
            2,
            "--out",
            made,
        )
        == 0
    )
    first, second = (DistilledSet.load(made / f"seed-{k}") for k in range(2))
    assert first.indices.tolist() != second.indices.tolist() and first.labels == "soft"
    out = folder / "random-scores"
    assert stage(evaluate, "--set", made, "--nets", "default,mlp", "--seeds", 2, "--out", out) == 0
    scores = read(out / "scores.json")
    assert scores["nets"]["mlp"]["accuracy"]["n"] == 4 and scores["protocol"]["set"]["sets"] == 2
    assert scores["protocol"]["train_members"] == 50


def test_a_synthesised_set_comes_with_a_picture_and_can_be_evaluated(folder, teacher, capsys):
    made = folder / "frepo"
    words = ["frepo", "--budget", 20, "--teacher", teacher, "--steps", 3, "--out", made]
    assert stage(distill, *words) == 0
    assert (made / "grid.png").exists() and len(DistilledSet.load(made)) == 20
    told = capsys.readouterr().out.strip().splitlines()
    assert [line for line in told if line.startswith("about ") and line.endswith("of disk are free")]
    log = (made / "logs" / "rank-0.log").read_text()
    assert "scripts/distill.py frepo" in log and all(f"INFO {line}\n" in log for line in told)
    before = (made / "set.safetensors").read_bytes()
    assert stage(distill, *words) == 0
    assert (made / "set.safetensors").read_bytes() == before
    assert stage(evaluate, "--set", made, "--labels", "hard", "--out", folder / "frepo-hard") == 0
    assert read(folder / "frepo-hard" / "scores.json")["protocol"]["labels"] == "hard"


def test_a_set_of_another_data_set_is_refused(folder, teacher, capsys):
    made = folder / "foreign"
    assert stage(select_subset, "random", "--budget", 20, "--out", made) == 0
    record = read(made / "set.json")
    del record["record_sha256"]
    (made / "set.json").write_text(json.dumps(record | {"dataset": "mnist"}))
    assert stage(evaluate, "--set", made, "--out", folder / "foreign-scores") == 2
    assert "--dataset mnist" in capsys.readouterr().err


def test_a_set_with_its_own_steps_is_followed_and_cut(folder, capsys):
    made = folder / "boost"
    assert stage(distill, "boost-dd", "--budget", 20, "--blocks", "1,2", "--net", "mlp", "--out", made) == 0
    assert DistilledSet.load(made).ordered and len(list((made / "images").iterdir())) == 4
    for prefix in ([], ["--prefix", 10]):
        assert stage(evaluate, "--set", made, *prefix, "--nets", "default,lenet", "--out", folder / f"b{prefix}") == 0
    whole, cut = (read(folder / f"b{prefix}" / "scores.json") for prefix in ([], ["--prefix", 10]))
    assert whole["protocol"]["schedule"]["net"] == "mlp" and whole["protocol"]["schedule"]["steps"] == 6
    assert (whole["protocol"]["train_members"], cut["protocol"]["train_members"]) == (20, 10)
    assert set(cut["nets"]) == {"mlp", "lenet"} and set(cut["protocol"]["recipes"]) == {"lenet"}
    assert cut["protocol"]["schedule"]["nets"] == ["mlp"] and cut["protocol"]["prefix"] == 10
    told = capsys.readouterr().out
    assert (
        "first 10 of boost on mlp, 6 steps from fresh weights, 1 networks, protocol own: " in told
        and " on lenet, 1 net" in told
    )
    assert stage(evaluate, "--set", made, "--subset", 10, "--out", folder / "b-few") == 0
    few = read(folder / "b-few" / "scores.json")["protocol"]
    assert few["train_members"] == few["subset"] == 10 and "10 random of boost" in capsys.readouterr().out
    assert stage(evaluate, "--set", made, "--weights", made, "--out", folder / "b-weights") == 2
    assert "leave --weights out" in capsys.readouterr().err
    assert stage(evaluate, "--set", made, "--recipe", "default", "--nets", "mlp", "--out", folder / "b-default") == 0
    plain = read(folder / "b-default" / "scores.json")["protocol"]
    assert plain["schedule"] is None and set(plain["recipes"]) == {"mlp"}


def test_known_weights_give_one_network_whatever_the_seeds(folder):
    made = folder / "known"
    words = ["--start-weights", "known", "--net", "mlp", "--batches", 1, "--epochs", 2]
    assert stage(distill, "dd", "--budget", 10, *words, "--out", made) == 0
    assert stage(evaluate, "--set", made, "--nets", "default,lenet", "--seeds", 2, "--out", folder / "known-s") == 0
    scores = read(folder / "known-s" / "scores.json")
    assert [scores["nets"][net]["accuracy"]["n"] for net in ("mlp", "lenet")] == [1, 2]
    assert scores["protocol"]["schedule"]["start"] == "known" and scores["protocol"]["schedule"]["weights"] is None


def test_networks_that_were_trained_before_go_on(folder, capsys):
    nets, made = folder / "nets", folder / "poison"
    assert stage(train_baseline, "--net", "mlp", "--steps", 20, "--seeds", 3, "--out", nets) == 0
    assert read(nets / "scores.json")["protocol"]["recipes"]["mlp"]["steps"] == 20
    words = ["--objective", "poison", "--from-class", 3, "--to-class", 8, "--weights", nets, "--net", "mlp"]
    assert stage(distill, "dd", "--budget", 20, "--batches", 1, "--epochs", 1, *words, "--out", made) == 0
    assert stage(evaluate, "--set", made, "--out", folder / "p0") == 2
    assert "give --weights RUN_DIR" in capsys.readouterr().err
    assert stage(evaluate, "--set", made, "--weights", nets, "--seeds", 4, "--out", folder / "p1") == 2
    assert "holds 3 networks, fewer than --seeds" in capsys.readouterr().err
    assert stage(evaluate, "--set", made, "--weights", nets, "--seeds", 3, "--out", folder / "p2") == 0
    assert "on mlp, 1 step from networks trained before, 3 of which made the set, 3 networks" in capsys.readouterr().out
    protocol = read(folder / "p2" / "scores.json")["protocol"]
    assert (protocol["schedule"]["start"], protocol["schedule"]["weights"]) == ("given", str(nets))
    assert protocol["schedule"]["poison"] == [3, 8] and protocol["schedule"]["seen"] == 3
    score = read(folder / "p2" / "scores.json")["nets"]["mlp"]
    assert score["before"]["n"] == score["turned"]["n"] == score["others_lose"]["n"] == 3
    assert stage(evaluate, "--set", made, "--prefix", 10, "--weights", nets, "--out", folder / "p3") == 2
    assert "have no order" in capsys.readouterr().err


def test_texts_are_made_in_word_vectors_and_read_by_networks_that_hold_them(folder, review_data, monkeypatch, capsys):
    monkeypatch.setenv("DDCORE_DATA", str(review_data))
    monkeypatch.setenv("DDCORE_CACHE", str(folder / "cache"))
    reviews = ("--dataset", "imdb", "--quick")
    source, made, scores = folder / "words", folder / "texts", folder / "texts-scores"
    assert train_baseline.main(["--part", "fit", "--net", "cnn", "--out", str(source), *reviews]) == 0
    words = ["dm", "--budget", "4", "--embedding", str(source), "--places", "20", "--out", str(made), *reviews]
    assert distill.main(words) == 0
    assert (made / "members.txt").read_text().startswith("[0] ")
    assert evaluate.main(["--set", str(made), "--nets", "default,bag", "--out", str(scores), *reviews]) == 0
    assert set(read(scores / "scores.json")["nets"]) == {"cnn", "bag"}
    assert make_report.main([str(scores), "--out", str(folder / "texts-report")]) == 0
    assert "produced by dm" in (folder / "texts-report" / "report.md").read_text()
    capsys.readouterr()
    refused = ["--set", str(made), "--nets", "linear", "--out", str(folder / "texts-linear"), *reviews]
    assert evaluate.main(refused) == 2
    assert "NgramLinear does not read" in capsys.readouterr().err


def test_a_set_made_and_judged_as_published(folder, capsys):
    made = folder / "dc"
    words = ["--preset", "paper", "--net", "mlp", "--real-batch", 8, "--augment", "flip"]
    assert stage(distill, "dc", "--budget", 10, *words, "--out", made) == 0
    options = read(made / "config.json")["options"]
    assert options["preset"] == "paper" and (options["init"], options["image_optimiser"]) == ("noise", "sgd")
    assert (options["augment"], options["image_rate"], options["real_batch"]) == ("flip", 0.1, 8)
    capsys.readouterr()
    assert stage(evaluate, "--set", made, "--protocol", "frepo", "--nets", "mlp", "--out", folder / "dc-scores") == 0
    told = capsys.readouterr().out
    assert "protocol frepo: 1 network, 1,000 images to train on and 360 to test on" in told
    assert "dc on mlp, 1 networks, protocol frepo: " in told
    protocol = read(folder / "dc-scores" / "scores.json")["protocol"]
    assert protocol["evaluation"]["name"] == "frepo" and "yongchao97/FRePo" in protocol["evaluation"]["source"]
    assert protocol["recipes"]["mlp"]["loss"] == "squared error" and protocol["schedule"] is None
