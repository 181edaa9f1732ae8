import json
from dataclasses import dataclass

import pytest

from ddcore.errors import DDCoreError
from ddcore.options import option
from ddcore.report.make_report import make_report
from ddcore.report.pages import with_parts


@dataclass(frozen=True)
class Maker:
    half_life: int = option(3, "steps | of something")
    start: str = option("near", "where", choices=("near", "far"))
    inner: int = 0


def score(mean, std=0.01):
    return {"mean": mean, "std": std, "n": 3}


RECORD = {
    "cells": [
        {"title": "random", "seconds": 6, "scores": {"hard": {"convnet": score(0.5)}, "soft": {"convnet": score(0.6)}}},
        {"title": "dm", "seconds": 90, "scores": {"hard": {"convnet": score(0.7)}}},
    ],
    "protocol": {"net": "convnet", "budget": 500, "dataset": "toy", "seeds": [1, 2, 3], "minutes": 15},
}


def test_options_stand_between_their_markers_and_the_rest_stays(tmp_path):
    page = "# A\n<!-- options: name -->\nold\n<!-- end -->\nend\n"
    text = with_parts(page, {"name": Maker}, tmp_path)
    assert text.startswith("# A\n<!-- options: name -->\n| name | default |") and text.endswith("<!-- end -->\nend\n")
    assert "| --half-life | 3 | steps \\| of something |" in text
    assert "| --start | near | where (near, far) |" in text
    assert "inner" not in text and "old" not in text
    assert with_parts(text, {"name": Maker}, tmp_path) == text


def test_figures_come_from_a_comparison_with_random_members_first(tmp_path):
    (tmp_path / "comparison.json").write_text(json.dumps(RECORD))
    page = "<!-- figures: comparison.json dm -->\n<!-- end -->"
    text = with_parts(page, {}, tmp_path)
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == ["| random | 50.00 ± 1.00 | 60.00 ± 1.00 | 0.1 |", "| dm | 70.00 ± 1.00 |  | 1.5 |"]
    assert "500 members of toy, 3 fresh networks" in text


def test_results_come_from_the_records_of_a_report(job, tmp_path):
    make_report([job], tmp_path / "report")
    text = with_parts("<!-- results: report -->\n<!-- end -->", {}, tmp_path)
    assert "| **Fashion-MNIST, 600 members** | **at least 88.0 %** |" in text


def test_a_file_stands_as_it_is(tmp_path):
    (tmp_path / "sizes.md").write_text("| part | MB |\n")
    page = "# sizes\n<!-- file: sizes.md -->\nold\n<!-- end -->\n"
    assert with_parts(page, {}, tmp_path) == page.replace("old", "| part | MB |")
    with pytest.raises(DDCoreError, match=r"none\.md cannot be read \(No such file"):
        with_parts(page.replace("sizes", "none"), {}, tmp_path)


@pytest.mark.parametrize(
    "page, line",
    [
        ("<!-- options: name -->\n", "needs an <!-- end -->"),
        ("<!-- options: nothing -->\n<!-- end -->", "'nothing', which is neither"),
        ("<!-- figures: comparison.json krr -->\n<!-- end -->", "no accuracies of krr"),
        ("<!-- figures: gone.json dm -->\n<!-- end -->", "gone.json"),
        ("<!-- figures: other.json dm -->\n<!-- end -->", "is not a comparison"),
    ],
)
def test_a_marker_of_something_missing_is_one_line(tmp_path, page, line):
    (tmp_path / "comparison.json").write_text(json.dumps(RECORD))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DDCoreError, match=line):
        with_parts(page, {"name": Maker}, tmp_path)
