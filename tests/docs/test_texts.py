"""The page on texts does what it says: its commands make the file, and its program trains on it."""

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
import torch

from ddcore import DistilledSet

PAGE = (Path(__file__).parents[2] / "docs" / "texts.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return code


@pytest.fixture
def here(review_data, tmp_path, monkeypatch):
    """A folder of its own, where the tiny IMDB is the data set."""
    monkeypatch.setenv("DDCORE_DATA", str(review_data))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_commands() -> None:
    for line in block("sh").splitlines():
        python, script, *argv = shlex.split(line)
        assert python == "python"
        assert importlib.import_module(Path(script).stem).main(argv) == 0


def trained() -> dict:
    space = {"__name__": "page"}
    exec(block("python"), space)
    return space


def certainty(space: dict) -> float:
    with torch.no_grad():
        return float(space["net"](space["x"]).softmax(1).max(1).values.mean())


def test_a_transformer_with_its_own_tokeniser_learns_from_the_file(here):
    run_commands()
    path = here / "imdb-40" / "set.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["sentence"] for row in rows] == list(DistilledSet.load("runs/imdb-40").class_by_class().texts)
    assert all("I saw film" in row["sentence"] and "doesn't" in row["sentence"] for row in rows)
    hard = trained()
    assert hard["accuracy"] == 1 and "I" in hard["tokeniser"].get_vocab() and certainty(hard) > 0.95
    moods = [("superb", "great"), ("dull", "awful")]
    text = "I saw film 9 (on tv).<br /><br />The plot was {}, and the cast was {}! It doesn't end."
    unseen = [text.format(*mood) for mood in moods]
    assert hard["classify"](unseen).tolist() == [1, 0]
    for row in rows:
        row["soft_label"] = [0.8, 0.2] if row["labels"] == 0 else [0.2, 0.8]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    soft = trained()
    assert soft["accuracy"] == 1 and abs(certainty(soft) - 0.8) < 0.05
