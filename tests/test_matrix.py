"""Every method and selector on every kind of data, in process and at toy length, and at real feature sizes."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import pytest
import torch
from toys import SHORT, problem, saved_networks, short_method, short_selector, started, striped, toy_teacher

import call
from ddcore.data.images import image_task
from ddcore.methods.registry import METHODS
from ddcore.nets.generator import build_generator, save_generator
from ddcore.options import changed, options_of
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.selection import rl_agent
from ddcore.selection.registry import SELECTORS
from ddcore.sets import views
from ddcore.sets.distilled_set import DistilledSet
from ddcore.synthesis import outer_loop
from ddcore.training import recipes
from ddcore.training.experts import ExpertOptions, train_experts

MAKERS = {**METHODS, **SELECTORS}
TOY = {**SHORT, "steps": 1, "real_batch": 8, "validations": 1, "validation_steps": 2, "inner_steps": 2, "blocks": "1,2"}
TOY |= {"pool": 1, "share": 0.01, "rounds": 2, "episodes": 8, "judges": 1, "places": 8, "rarest": 2, "strongest": 1}
# What has to read texts; any other may say in a line that it does not.
READS_TEXTS = {*SELECTORS, "cover", "dc", "dm", "dsa"} - {"grand", "rded"}
BUDGETS = {"pictures": 4, "texts": 4, "saved": 4, "digits": 20}


@dataclass(frozen=True)
class Place:
    """A data set, and a folder with a teacher, experts and a generator."""

    kind: str
    dataset: str
    folder: Path

    @property
    def texts(self) -> bool:
        return self.kind == "texts"

    def run(self, program: str, *words: object) -> int:
        """Run a stage program on the data, in process."""
        typed = [*words, "--dataset", self.dataset, "--quick"]
        return int(import_module(program).main([str(word) for word in typed]))

    def make(self, name: str, out: str) -> int:
        """Make a set by a method or selector, at toy length."""
        command = [name, "--budget", BUDGETS[self.kind], "--out", self.folder / out]
        folders = {each: self.folder / each for each in ("experts", "generator")}
        folders |= {"embedding": self.folder / "teacher"} if self.texts else {}
        for option in options_of(MAKERS[name]):
            if option.name in TOY | folders:
                command += [f"--{option.flags[0]}", (TOY | folders)[option.name]]
        # Texts do without a teacher.
        command += [] if self.texts else ["--teacher", self.folder / "teacher"]
        return self.run("distill" if name in METHODS else "select_subset", *command)


@pytest.fixture(scope="module", params=BUDGETS)
def place(request, tmp_path_factory, write_pictures, write_table, write_saved) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("own data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DDCORE_CACHE", str(home / "cache"))
        patch.setattr(call, "QUICK_TRAIN", 100)
        patch.setattr(call, "QUICK_TEST", 50)
        patch.setattr(rl_agent, "JUDGE_STEPS", 2)
        patch.setattr(recipes, "quick", lambda recipe: replace(recipe, steps=5))
        dataset = {
            "pictures": lambda: f"images:{write_pictures(home / 'my pets', {'a cat': 30, 'a dog': 30}, 8, 'RGB')}",
            "texts": lambda: f"text:{write_table(home / 're marks.csv', 60)}",
            "saved": lambda: f"hf:{write_saved(home / 'sa ved', 'image', 60)},label=label",
            "digits": lambda: "digits",
        }
        made = Place(request.param, dataset[request.param](), home)
        net = "bag" if made.texts else "convnet-bn"
        assert made.run("train_baseline", "--part", "fit", "--net", net, "--steps", 5, "--out", home / "teacher") == 0
        if not made.texts:
            experts = ["--experts", 1, "--points", 2, "--stride", 1, "--out", home / "experts"]
            assert made.run("train_experts", *experts) == 0
            generator = ["--steps", 2, "--validations", 1, "--validation-steps", 2, "--out", home / "generator"]
            assert made.run("train_generator", *generator) == 0
        yield made


@pytest.mark.parametrize("name", MAKERS)
def test_every_method_and_selector_makes_a_set_or_says_why_not(place, name, capfd, monkeypatch):
    for room in (views, outer_loop):  # its pictures take longer than the set
        monkeypatch.setattr(room, "grid_png", lambda small: b"")
    reads = ("text" if place.texts else "images") in MAKERS[name].kinds
    assert reads or name not in (READS_TEXTS if place.texts else {*MAKERS} - {"cover"})
    code = place.make(name, f"set of {name}")
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    if not reads:
        kind = "text" if place.texts else "images"
        assert code == 2 and len(said) == 1 and said[0].startswith(f"error: '{name}' does not read {kind}; these do: ")
        return
    assert code == 0 and not said
    small = DistilledSet.load(place.folder / f"set of {name}")
    counts = torch.bincount(small.y, minlength=len(small.classes))
    assert len(small) == small.origin.factor**2 * BUDGETS[place.kind] and len(counts.unique()) == 1
    if name in ("cover", "dc", "krr", "mtt", "boost-dd"):  # words, word vectors, learned labels, own steps, an order
        words = ["--set", place.folder / f"set of {name}", "--nets", "bag" if place.texts else "mlp"]
        assert place.run("evaluate", *words, "--out", place.folder / f"scores of {name}") == 0


def test_sets_are_compared_exported_and_reported(place, capfd):
    folder, net = place.folder, "bag" if place.texts else "mlp"
    short = "validations=1:validation-networks=1:validation-steps=2"
    dm = f"dm:{short}:embedding={folder / 'teacher'}:places=8" if place.texts else f"dm:{short}"
    chosen = f"forgetting:net={net}:share=0.01:rounds=2"
    words = ["--methods", f"{chosen},{dm},cover:rarest=2:strongest=1", "--budget", BUDGETS[place.kind]]
    words += ["--minutes", 0.0001, "--seeds", 1, "--net", net, "--nets", net, "--out", folder / "comparison"]
    assert place.run("compare", *words) == 0
    table = (folder / "comparison" / "comparison.md").read_text()
    assert "forgetting" in table and "dm:" in table and ("does not read images" in table) != place.texts
    assert place.make("random", "random") == 0
    assert place.run("evaluate", "--set", folder / "random", "--nets", net, "--out", folder / "random-scores") == 0
    capfd.readouterr()
    export = import_module("export_set").main(["--set", str(folder / "random"), "--out", str(folder / "files")])
    if place.texts:
        assert export == 1 and "which png does not: these hold them: hf, jsonl" in capfd.readouterr().err
        lines = ["--set", str(folder / "random"), "--format", "jsonl", "--out", str(folder / "lines")]
        assert import_module("export_set").main(lines) == 0
        assert (folder / "lines" / "set.jsonl").read_text().count("\n") == BUDGETS[place.kind]
    else:
        assert export == 0 and len(list((folder / "files").rglob("*.png"))) == BUDGETS[place.kind]
    assert import_module("make_report").main([str(folder), "--out", str(folder / "report")]) == 0
    assert (folder / "report" / "report.html").is_file()


def test_every_metric_is_defined_on_the_page(place):
    page = (Path(__file__).parents[1] / "docs" / "report.md").read_text()
    defined = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", page, re.MULTILINE))))
    lines = [line for path in place.folder.rglob("metrics.jsonl") for line in path.read_text().splitlines()]
    assert lines and {name for line in lines for name in json.loads(line)} <= defined


@pytest.mark.parametrize("name", ["krr", "cover", "grand"])
def test_the_command_of_a_refusal_works_as_it_stands(place, name, capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if place.kind == "digits" or place.make(name, f"tried {name}") == 0:
        return
    line = next(each for each in capfd.readouterr().err.splitlines() if each.startswith("error: "))
    for command in line.partition("for example: ")[2].split(" && "):
        _, program, *words = shlex.split(command)
        assert import_module(Path(program).stem).main([*words, "--quick"]) == 0


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Two classes of images of 16x16, on which convnet-128 has 512 features; with experts and a generator."""
    task = image_task("wide", ("low", "high"), striped(80, 16), lambda: striped(20, 16), "made by the tests")
    folder = tmp_path_factory.mktemp("wide")
    options = ExpertOptions(net="convnet-128", points=2, stride=1, batch_size=8)
    train_experts(options, 1, task, 0, Session(Run(folder / "experts")))
    save_generator(build_generator(task, 4, 4, 0), task, folder / "generator")
    saved_networks(task, folder / "teacher")
    return task, folder


@pytest.mark.parametrize("name", [name for name, cls in MAKERS.items() if "images" in cls.kinds])
def test_every_method_and_selector_at_real_feature_sizes(name, wide, monkeypatch):
    # 128 channels, more than 256 features, and two threads where regressions are solved in batches: some processors
    # fail there and not at toy size.
    torch.set_num_threads(2 if name == "rl-agent" else 1)
    monkeypatch.setattr(rl_agent, "JUDGE_STEPS", 2)
    task, folder = wide
    own = {"net": "convnet-128", "nets": "convnet-128", "preset": "mps1", "folds": 2}
    if name in METHODS:
        run = started(
            short_method(name, folder, {**TOY, **own, "networks": 1}), task, 4, toy_teacher(task, folder / "teacher")
        )
        part = run.gradient(run.shards(0)[0])
        assert all(bool(gradient.isfinite().all()) for gradient in part.gradients.values())
        assert len(run.decode()) in (2, 4)
    else:
        names = {option.name for option in options_of(SELECTORS[name])}
        own = {key: value for key, value in {**own, "share": 0.003}.items() if key in names}
        selector = changed(short_selector(name), own)
        teacher = toy_teacher(task, folder / "teacher")
        assert len(selector.select(problem(task, 4, teacher), Session()).unique()) == 4
