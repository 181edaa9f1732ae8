"""The README: its length, its commands at toy size, its example, and what stands beside it."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import ddcore

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_it_can_be_read_in_five_minutes():
    assert README.count("\n") <= 150 and len(README.split()) <= 1400


def test_its_commands_run_at_toy_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("python scripts/")]
    assert len(commands) == 5
    for command in commands:
        _, program, *words = shlex.split(command.replace("fashion_mnist", "digits"))
        words = [{"600": "20", "3": "1", "default,convnet": "mlp"}.get(word, word) for word in words]
        small = [] if "make_report" in program else ["--quick"]
        assert import_module(Path(program).stem).main(words + small) == 0, command
    assert (tmp_path / "runs" / "report" / "report.html").is_file()


def test_its_example_trains_on_a_released_set(monkeypatch):
    monkeypatch.chdir(ROOT)
    (example,) = blocks("python")
    names = {}
    exec(example.replace("range(600)", "range(60)"), names)
    assert names["inputs"].shape == (600, 1, 28, 28) and float(names["loss"].detach()) < 2


def test_its_other_commands_name_what_is_there():
    other = [line for block in blocks("sh") for line in block.splitlines() if not line.startswith("python scripts/")]
    named = [word for line in other for word in shlex.split(line) if word.startswith(("docker/", "scripts/"))]
    assert {*named} == {"docker/constraints.txt", "docker/Dockerfile"}
    assert all((ROOT / word).is_file() for word in named)


def test_its_links_lead_to_files():
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", README)]
    assert len(links) > 20 and all((ROOT / link).exists() for link in links)


def test_the_version_is_one():
    version = (ROOT / "ddcore" / "VERSION").read_text().strip()
    assert ddcore.__version__ == version and f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version}" in (ROOT / "docs" / "changelog.md").read_text()
