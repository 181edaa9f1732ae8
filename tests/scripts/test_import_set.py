"""import_set.py: bad files end in one line, and imported members score as native ones do, to the digit."""

import json
import os
import pickle

import evaluate
import numpy as np
import pytest
import torch
from import_set import main

from ddcore.data.registry import load_task
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.origin import Origin
from ddcore.training.recipes import Recipe, recorded


@pytest.fixture
def fashion(idx_data):
    return load_task("fashion_mnist", idx_data)


@pytest.fixture
def real(fashion):
    """Fifteen real members, one or two per class, class by class, as a native set."""
    y = fashion.train.y
    chosen = torch.cat([(y == k).nonzero().flatten()[: 1 + k % 2] for k in range(10)])
    origin = Origin.of(fashion, "random", {}, {})
    return DistilledSet("images", fashion.train.x[chosen], y[chosen], origin, fashion.scale)


@pytest.fixture
def floats(real):
    """The members as DC and MTT hold them."""
    return (real.x.float() / 255 - 0.2861) / 0.3530


@pytest.fixture
def call(capsys, idx_data, tmp_path):
    """Import a path into a fresh folder; return the exit code and what was said."""

    def run(path, *words):
        capsys.readouterr()
        out = tmp_path / f"set-{len(list(tmp_path.iterdir()))}"
        data = ["--dataset", "fashion_mnist", "--data", str(idx_data)]
        try:
            code = main([str(path), *data, "--out", str(out), *map(str, words)])
        except SystemExit as stopped:  # argparse's own way to end
            code = stopped.code
        said = capsys.readouterr()
        return code, out, said.out if code == 0 else said.err

    return run


def test_an_import_shows_a_grid_and_the_range_of_its_values(call, real, floats, tmp_path):
    path = tmp_path / "res_DM_FashionMNIST_ConvNet_1ipc.pt"
    torch.save({"data": [[floats, real.y]], "accs_all_exps": {"ConvNet": [np.float64(0.7)]}}, path)
    code, out, said = call(path)
    assert code == 0 and (out / "grid.png").exists() and torch.equal(DistilledSet.load(out).x, real.x)
    lines = said.splitlines()
    assert lines[0] == "15 members of 10 classes, 1 to 2 per class; hard labels"
    assert lines[1].startswith("values -0.8105 to ") and "0.000 to " in lines[1]
    assert lines[3].startswith("class order: ") and lines[-1].startswith(f"saved in {out}; evaluate it with: ")


def test_a_set_of_mtt_and_one_of_dc_score_as_the_native_one_to_the_digit(call, real, floats, tmp_path, idx_data):
    torch.save({"data": [[floats, real.y]], "accs_all_exps": {}}, tmp_path / "res_DC_FashionMNIST_ConvNet_1ipc.pt")
    (tmp_path / "mtt").mkdir()
    torch.save(floats, tmp_path / "mtt" / "images_best.pt")
    torch.save(real.y, tmp_path / "mtt" / "labels_best.pt")
    sets = [real]
    for peer in ("res_DC_FashionMNIST_ConvNet_1ipc.pt", "mtt"):
        code, out, _ = call(tmp_path / peer)
        assert code == 0
        sets.append(DistilledSet.load(out))
    scores = []
    for number, small in enumerate(sets):
        folder, run = tmp_path / f"{number}-set", tmp_path / f"{number}-run"
        small.described(recipes={"default": recorded(Recipe(steps=20, lr=0.05))}).save(folder)
        data = ["--dataset", "fashion_mnist", "--data", str(idx_data), "--nets", "mlp", "--seeds", "2"]
        assert evaluate.main(["--set", str(folder), *data, "--out", str(run)]) == 0
        (net,) = json.loads((run / "scores.json").read_text())["nets"].values()
        scores.append((net["accuracy"]["values"], net["log_loss"]["values"], net["confusion"]))
    assert scores[0] == scores[1] == scores[2] and len(scores[0][0]) == 2


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def written(name, content):
    """Return a function that writes a file of torch.save into a folder, and its path."""

    def write(folder):
        torch.save(content, folder / name)
        return folder / name

    return write


def folder_of(**contents):
    def write(folder):
        (home := folder / "peer").mkdir()
        for name, content in contents.items():
            torch.save(content, home / f"{name}.pt")
        return home

    return write


def pickled(folder):
    (folder / "data.pt").write_bytes(pickle.dumps(Harm()))
    return folder / "data.pt"


def hdf5(folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "a.h5", "w") as file:
        file["grad"] = np.zeros(3)
    return folder / "a.h5"


def card(folder):
    import datasets

    (home := folder / "hub").mkdir()
    datasets.Dataset.from_dict({"image": [b""], "label": [0]}).to_parquet(home / "train.parquet")
    (home / "README.md").write_text("---\ntags: [small]\n---\n")
    return home


X, Y = torch.zeros(10, 1, 28, 28), torch.arange(10)
BAD = {
    "a pickle in place of tensors": (pickled, [], "a pickle, which is not executed"),
    "a pickle among tensors": (
        written("data.pt", (X, Harm())),
        [],
        "and only tensors, numbers, texts and lists are read",
    ),
    "HDF5 without data": (hdf5, [], "holds no array 'data'"),
    "a tuple of the wrong shape": (written("data.pt", (X, Y, Y)), [], "is not a pair of images and class numbers"),
    "labels outside the classes": (written("data.pt", (X, Y + 5)), [], "has the labels 5 to 14"),
    "images of another size": (written("data.pt", (X[:, :, :20], Y)), [], "has images of shape (1, 20, 28)"),
    "NaN": (written("data.pt", (X / 0, Y)), [], "values that are not finite"),
    "a factor that does not divide": (written("data.pt", (X, Y)), ["--factor", 3], "--factor 3 does not divide"),
    "a folder with a third file": (folder_of(images_best=X, labels_best=Y, extra=Y), [], "it has extra.pt, too"),
    "a card without a licence": (card, [], "states no licence"),
    "an unknown normalisation": (written("data.pt", (X, Y)), ["--normalisation", "x"], "unknown normalisation 'x'"),
    "a missing whitening": (written("data.pt", (X, Y)), ["--zca", "none.pt"], "none.pt is missing"),
    "other classes": (written("data.pt", (X, Y)), ["--classes", "a,b"], "give --classes with these names"),
    "a name that says nothing": (written("mine.pt", (X, Y)), [], "give --format, one of dc, mtt"),
    "another format than asked for": (written("data.pt", (X, Y)), ["--format", "dc"], "holds no dict with 'data'"),
    "an unknown format": (written("data.pt", (X, Y)), ["--format", "zip"], "invalid choice: 'zip'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_writes_nothing(call, tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write, words, part = BAD[name]
    code, out, said = call(write(tmp_path), *words)
    assert code in (1, 2) and said.count("\n") == 1 and said.startswith("error: ") and part in said, said
    assert not out.exists() and not (tmp_path / "harm").exists()


def test_an_earlier_set_is_put_aside_only_for_a_sound_one(call, tmp_path, idx_data, capsys):
    data = ["--dataset", "fashion_mnist", "--data", str(idx_data), "--out", str(tmp_path / "out")]
    good, bad = written("data.pt", (X, Y))(tmp_path), written("data_bad.pt", 1)(tmp_path)
    assert main([str(good), *data]) == 0
    assert main([str(good), *data]) == 2 and "out is not empty: choose another --out" in capsys.readouterr().err
    assert main([str(bad), *data, "--fresh"]) == 1 and not (tmp_path / "out.old-1").exists()
    assert main([str(good), *data, "--fresh"]) == 0 and (tmp_path / "out.old-1" / "set.json").exists()
