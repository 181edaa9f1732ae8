"""A user's own images and texts through the stage programs, and what is wrong with them in one line."""

import json

import distill
import evaluate
import export_set
import fetch_data
import pytest
import run_job
import select_subset
import train_baseline
from PIL import Image

from ddcore import DistilledSet
from ddcore.job import plan_for


def run(program, dataset, out, *words) -> int:
    return program.main([*map(str, words), "--dataset", dataset, "--quick", "--out", str(out)])


def test_own_images_go_through_every_stage(pets, tmp_path):
    own = f"images:{pets}"
    assert run(train_baseline, own, tmp_path / "teacher", "--part", "fit", "--net", "mlp") == 0
    words = ["dm", "--budget", 4, "--net", "mlp", "--labels", "soft", "--teacher", tmp_path / "teacher"]
    assert run(distill, own, tmp_path / "small", *words) == 0
    assert DistilledSet.load(tmp_path / "small").dataset == "images-pets"
    assert run(evaluate, own, tmp_path / "scores", "--set", tmp_path / "small", "--nets", "mlp,lenet") == 0
    protocol = json.loads((tmp_path / "scores" / "scores.json").read_text())["protocol"]
    assert protocol["test_members"] == 12 and "custom images 'pets'" in protocol["source"]


def test_own_texts_go_through_every_stage(remarks, tmp_path):
    own = f"text:{remarks}"
    assert run(train_baseline, own, tmp_path / "whole") == 0
    assert json.loads((tmp_path / "whole" / "scores.json").read_text())["nets"]["default"]["accuracy"]["mean"] == 1
    assert run(distill, own, tmp_path / "small", "cover", "--budget", 2, "--rarest", 2, "--strongest", 1) == 0
    assert "bad" in (tmp_path / "small" / "members.txt").read_text()
    assert run(evaluate, own, tmp_path / "scores", "--set", tmp_path / "small", "--nets", "linear") == 0


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_hugging_face_data_set_goes_through_every_stage(kind, write_saved, pets, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    own, net = f"hf:{write_saved(tmp_path / 'animals', kind, 60, 20)}", "mlp" if kind == "image" else "bag"
    assert fetch_data.main(["--dataset", own, "--record", str(tmp_path / "record.json")]) == 0
    assert run(train_baseline, own, tmp_path / "teacher", "--part", "fit", "--net", net) == 0
    soft = ["--labels", "soft", "--teacher", tmp_path / "teacher"]
    assert run(select_subset, own, tmp_path / "small", "random", "--budget", 4, *soft) == 0
    assert DistilledSet.load(tmp_path / "small").dataset == "hf-animals"
    assert run(evaluate, own, tmp_path / "scores", "--set", tmp_path / "small", "--nets", net) == 0
    protocol = json.loads((tmp_path / "scores" / "scores.json").read_text())["protocol"]
    what = "images" if kind == "image" else "texts"
    assert protocol["test_members"] == 20 and f"custom {what} 'animals'" in protocol["source"]
    code = export_set.main(["--set", str(tmp_path / "small"), "--out", str(tmp_path / "files")])
    assert code == (0 if kind == "image" else 1)  # texts are in members.txt already
    capsys.readouterr()
    more = write_saved(tmp_path / "more" / "animals", kind, 64, 20)
    for other in (f"hf:{more}", f"images:{pets}"):
        assert run(evaluate, other, tmp_path / "other", "--set", tmp_path / "small", "--nets", net) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "was made from" in said
    assert run(select_subset, own, tmp_path / "animals" / "out", "random", "--budget", 4) == 2
    assert "lies inside the data set" in capsys.readouterr().err
    write_saved(tmp_path / "animals", kind, 64, 20)
    assert run(train_baseline, own, tmp_path / "teacher", "--part", "fit", "--net", net) == 2
    assert "changed since: data hf:" in capsys.readouterr().err


def test_what_is_wrong_with_a_hugging_face_data_set_is_one_line(write_saved, tmp_path, capsys):
    path = write_saved(tmp_path / "animals", "text", 60) / "data-00000-of-00001.arrow"
    capsys.readouterr()
    assert run(train_baseline, f"hf:{tmp_path / 'animals'},label=kind", tmp_path / "out") == 2
    path.write_bytes(path.read_bytes()[:500])
    assert run(train_baseline, f"hf:{tmp_path / 'animals'}", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == said.count("error: ") == 2 and "has no column 'kind'" in said and "damaged" in said


def test_a_run_is_not_gone_on_with_when_the_files_have_changed(pets, tmp_path, capsys):
    words = [select_subset, f"images:{pets}", tmp_path / "set", "random", "--budget", 4]
    assert run(*words) == 0 and run(*words) == 0
    Image.new("L", (12, 12), 9).save(pets / "cat" / "new.png")
    assert run(*words) == 2
    assert f"{tmp_path / 'set'} holds a run with other inputs (changed since: data images:{pets}): " in (
        capsys.readouterr().err
    )


def test_a_set_of_other_classes_is_refused(pets, tmp_path, write_pictures, capsys):
    assert run(select_subset, f"images:{pets}", tmp_path / "set", "random", "--budget", 4) == 0
    other = write_pictures(tmp_path / "other" / "pets", {"cat": 20, "emu": 20})
    assert run(evaluate, f"images:{other}", tmp_path / "scores", "--set", tmp_path / "set", "--nets", "mlp") == 2
    assert "cat, dog" in capsys.readouterr().err


def test_output_inside_the_images_is_refused_before_anything_is_written(pets, capsys):
    before = sorted(pets.rglob("*"))
    for out in (pets, pets / "runs" / "new"):
        assert run(select_subset, f"images:{pets}", out, "random", "--budget", 4) == 2
        assert run_job.main(["--dataset", f"images:{pets}", "--quick", "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert said.count("lies inside the images' folder") == said.count("\n") == 2
    assert sorted(pets.rglob("*")) == before


def test_copies_in_the_test_set_are_told_in_one_line(remarks, tmp_path, capsys):
    assert run(train_baseline, f"text:{remarks},{remarks}", tmp_path / "out") == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "too high" in line]
    assert len(said) == 1 and said[0].startswith(
        f"warning: 80 of 80 test members of {remarks} are training members, too"
    )
    assert "(80 of them are training members, too)" in (tmp_path / "out" / "scores.json").read_text(encoding="utf-8")


def test_26_cats_and_26_dogs_can_be_halved(tmp_path, write_pictures):
    own = f"images:{write_pictures(tmp_path / 'pets', {'cat': 26, 'dog': 26})}"
    assert run(select_subset, own, tmp_path / "half", "random", "--budget", plan_for(own, None).quick[1]) == 0


@pytest.mark.parametrize(
    "balanced", [[], ["--proportions", "data"], ["--no-balanced"]], ids=["balanced", "data", "alias"]
)
def test_a_class_smaller_than_its_share_of_the_budget(tmp_path, write_pictures, balanced, capsys):
    home = write_pictures(tmp_path / "odd", {"often": 60, "seldom": 10}, side=8)
    code = run(select_subset, f"images:{home}", tmp_path / "set", "random", "--budget", 20, *balanced)
    said = capsys.readouterr().err
    assert code == (0 if balanced else 2)
    assert bool(balanced) or ("10 members of class 'seldom', which has 8" in said and said.count("\n") == 1)


def test_what_is_wrong_with_own_data_is_one_line_and_not_a_traceback(pets, tmp_path, capsys):
    (pets / "cat" / "007.png").write_text("no image")
    assert run(train_baseline, f"images:{pets}", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and "cat/007.png" in said
    assert run(train_baseline, f"text:{tmp_path}/no.csv", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no.csv is missing" in said


NETS = """
from torch import nn

def small(task):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, len(task.classes)))

class WithFeatures(nn.Module):
    def __init__(self, task):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(task.shape[0], 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.out = nn.Linear(16, len(task.classes))

    def forward(self, x):
        return self.out(self.features(x).flatten(1))
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "nets_of_own_data.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    return "nets_of_own_data"


def test_an_own_network_is_taken_wherever_a_name_is(pets, nets, tmp_path, capsys):
    own, small, deep = f"images:{pets}", f"{nets}:small", f"{nets}:WithFeatures"
    assert run(train_baseline, own, tmp_path / "teacher", "--part", "fit", "--net", deep) == 0
    teacher = ["--teacher", tmp_path / "teacher"]
    assert run(select_subset, own, tmp_path / "k-means", "k-means", "--budget", 4, *teacher) == 0
    words = ["el2n", "--net", small, "--share", 0.01, "--budget", 4]
    assert run(select_subset, own, tmp_path / "el2n", *words) == 0
    for method, net in (("dm", deep), ("boost-dd", small)):
        words = [method, "--net", net, "--budget", 4, *(["--blocks", 2] if method == "boost-dd" else [])]
        assert run(distill, own, tmp_path / method, *words) == 0
    assert run(evaluate, own, tmp_path / "scores", "--set", tmp_path / "dm", "--nets", f"{small},{deep},mlp") == 0
    assert set(json.loads((tmp_path / "scores" / "scores.json").read_text())["nets"]) == {small, deep, "mlp"}
    # The set names its network, too, but what only a file names is not run.
    assert run(evaluate, own, tmp_path / "own-steps", "--set", tmp_path / "boost-dd") == 2
    assert run(evaluate, own, tmp_path / "own-steps", "--set", tmp_path / "boost-dd", "--nets", small) == 0
    capsys.readouterr()
    assert run(distill, own, tmp_path / "none", "dm", "--net", small, "--budget", 4) == 2
    assert "no features(x)" in capsys.readouterr().err
    assert run(evaluate, own, tmp_path / "none", "--set", tmp_path / "dm", "--nets", f"{nets}:large") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "'large' does not exist" in said
