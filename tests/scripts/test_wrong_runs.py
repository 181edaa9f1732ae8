"""Every option that names an earlier run, given something else: one line, exit code 2 or 1, and no set is made."""

import shutil
from pathlib import Path

import compare
import distill
import pytest
import select_subset
import torch
import train_experts

from ddcore.api import load_task
from ddcore.nets import build_generator, build_net, save_generator
from ddcore.runtime.files import save_tensors
from ddcore.training.teacher import Teacher

COMPARE = ("--minutes", "0.01", "--nets", "lenet", "--methods")
# An option's program, and the words that bring it to read what the option names.
READERS = {
    "teacher": (select_subset, "random --budget 20 --labels soft --teacher"),
    "teacher of a method": (distill, "frepo --budget 20 --teacher"),
    "teacher of a comparison": (compare, "--budget 20 --minutes 0.01 --nets lenet --methods random --teacher"),
    "weights": (distill, "dd --budget 10 --net mlp --objective adapt --weights"),
    "generator": (distill, "gan --budget 20 --generator"),
    "experts": (distill, "mtt --budget 20 --net mlp --experts"),
}
TEACHER = "holds no teacher: train one with train_baseline.py --dataset digits --part fit --out"
NETWORKS = "holds no networks: train some with train_baseline.py --net mlp --size 8 --out"
GENERATOR = "holds no generator: train one with train_generator.py --dataset digits --out"
EXPERTS = "holds no finished experts: train them with train_experts.py --dataset digits --net mlp --out"
CASES = [
    *((reader, name, 2, TEACHER) for reader in READERS if "teacher" in reader for name in ("nowhere", "file")),
    *(("teacher", name, 2, TEACHER) for name in ("empty", "experts")),
    (
        "teacher",
        "pets-teacher",
        2,
        "is a teacher of other data: its logits are (48, 2), digits needs (1437, 10): train",
    ),
    ("teacher of a comparison", "pets-teacher", 2, "is a teacher of other data"),
    ("teacher", "teacher-cut", 1, "teacher.safetensors is not a readable safetensors file: truncated"),
    ("teacher of a method", "teacher-of-weights", 1, "holds no logits: it was not written by train_baseline.py"),
    *(("weights", name, 2, NETWORKS) for name in ("nowhere", "file", "empty", "generator")),
    ("weights", "lenets", 2, "weights-0.safetensors is not a mlp for (1, 8, 8) images of 10 classes ("),
    ("weights", "one", 2, "one holds one network: at least two are needed, one to validate on"),
    ("weights", "weights-cut", 1, "weights-0.safetensors is not a readable safetensors file: truncated"),
    *(("generator", name, 2, GENERATOR) for name in ("nowhere", "file", "empty", "teacher")),
    ("generator", "pets-generator", 2, "was made from images-pets, not from digits: train one with train_generator.py"),
    ("generator", "generator-cut", 1, "generator.safetensors is not a readable safetensors file: truncated"),
    *(("experts", name, 2, EXPERTS) for name in ("nowhere", "file", "empty", "teacher")),
    ("experts", "experts-cut", 1, "expert-000.safetensors is missing, truncated or no expert: train the experts again"),
]


def cut(home: Path, name: str, file: str) -> None:
    """Copy a run with one file cut short."""
    shutil.copytree(home / name, home / f"{name}-cut")
    (home / f"{name}-cut" / file).write_bytes((home / name / file).read_bytes()[:100])


@pytest.fixture(scope="module")
def home(tmp_path_factory, write_pictures) -> Path:
    """Runs of every kind on digits, as the programs leave them, and others: damaged, or of other data."""
    home = tmp_path_factory.mktemp("runs")
    (home / "empty").mkdir()
    (home / "file").write_text("mine")
    pets = write_pictures(home / "pets", {"cat": 30, "dog": 30})
    words = ["--experts", "1", "--net", "mlp", "--dataset", "digits", "--quick", "--out", str(home / "experts")]
    assert train_experts.main(words) == 0
    for start, address in (("", "digits"), ("pets-", f"images:{pets}")):
        task = load_task(address)
        save_generator(build_generator(task, 4, 4, 0), task, home / f"{start}generator")
        logits = torch.zeros(len(task.train), len(task.classes))
        Teacher(logits, None, "mlp", "teacher").save(home / f"{start}teacher")
    digits = load_task("digits")
    for name, net, seeds in (("weights", "mlp", 2), ("lenets", "lenet", 2), ("one", "mlp", 1)):
        for seed in range(seeds):
            save_tensors(home / name / f"weights-{seed}.safetensors", build_net(net, digits, seed).state_dict())
    save_tensors(home / "teacher-of-weights" / "teacher.safetensors", build_net("mlp", digits, 0).state_dict())
    cut(home, "teacher", "teacher.safetensors")
    cut(home, "weights", "weights-0.safetensors")
    cut(home, "generator", "generator.safetensors")
    cut(home, "experts", "expert-000.safetensors")
    return home


def refused(capsys, program, words: list[str], out: Path) -> tuple[int, str]:
    """Return the code and the line with which a program refuses."""
    capsys.readouterr()
    code = program.main([*words, "--quick", "--out", str(out)])
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1, said
    assert not (out / "done").exists()
    return code, said


@pytest.mark.parametrize(("reader", "name", "code", "told"), CASES)
def test_what_is_no_such_run_is_refused(reader, name, code, told, home, tmp_path, capsys):
    program, words = READERS[reader]
    words = [*words.split(), str(home / name), "--dataset", "digits"]
    assert (said := refused(capsys, program, words, tmp_path / "out"))[0] == code
    assert told in said[1] and name in said[1]


def test_own_data_are_named_as_the_command_line_names_them(home, tmp_path, capsys):
    own = f"images:{home / 'pets'}"
    for reader in ("teacher", "generator", "experts"):
        program, words = READERS[reader]
        words = [*words.split(), str(home / reader), "--dataset", own]
        code, said = refused(capsys, program, words, tmp_path / reader)
        assert code == 2 and f"--dataset {own}" in said


def test_networks_are_named_only_where_they_are_turned(home, tmp_path, capsys):
    words = ["dd", "--dataset", "digits", "--budget", "10", "--weights", str(home / "weights")]
    code, said = refused(capsys, distill, words, tmp_path / "out")
    assert code == 2 and "--weights names networks to be turned: leave it out, or add --objective adapt" in said
    assert not (tmp_path / "out").exists()


def test_experts_do_not_read_text_whatever_the_network(remarks, tmp_path, capsys):
    for net in ("convnet", "bag"):
        words = ["--dataset", f"text:{remarks}", "--net", net]
        code, said = refused(capsys, train_experts, words, tmp_path / "out")
        assert code == 2 and said == "error: experts are for mtt, which does not read text\n"


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("cover", "cover does not read images"),
        ("dm:net=bag", "dm:net=bag: network 'bag' does not read images; these do: convnet"),
        ("gan:generator=nowhere", "gan:generator=nowhere: nowhere holds no generator: train one with"),
        ("mtt:net=mlp:experts=nowhere", "nowhere holds no finished experts: train them with"),
    ],
)
def test_a_comparison_without_an_entry_that_can_be_had(method, told, tmp_path, capsys):
    words = ["--dataset", "digits", "--budget", "20", *COMPARE, method]
    code, said = refused(capsys, compare, words, tmp_path / "out")
    assert code == 2 and said.startswith("error: nothing is left to compare with random members: ") and told in said


def test_a_comparison_on_texts(remarks, tmp_path, capsys):
    own = ["--dataset", f"text:{remarks}", "--budget", "4"]
    for number, (words, told) in enumerate(
        (
            (COMPARE, "network 'lenet' does not read text; these do: attention, bag, cnn, linear"),
            ((*COMPARE[:2], "--nets", "linear", "--methods"), "random members: mtt does not read text"),
        )
    ):
        code, said = refused(capsys, compare, [*own, *words, "mtt"], tmp_path / str(number))
        assert code == 2 and told in said
