from pathlib import Path

import pytest

from ddcore.errors import DDCoreError
from ddcore.report.document import sections
from ddcore.report.figures import draw_figures
from ddcore.report.make_report import TITLE, collect, make_report
from ddcore.report.markdown import render
from ddcore.report.pages import BEGIN, END, with_results
from ddcore.report.records import read_records

ROOT = Path(__file__).parent.parent.parent
README = f"# a\n\n{BEGIN}\nold\n{END}\n\nrest\n"


def test_the_table_lies_between_the_markers(job, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(README)
    make_report([job], tmp_path / "report", readme)
    text = readme.read_text()
    assert text.startswith(f"# a\n\n{BEGIN}\n| result |") and text.endswith(f"{END}\n\nrest\n") and "old" not in text
    assert "| **Fashion-MNIST, 600 members** | **at least 88.0 %** | **yes** | **88.23 ± 0.10 (3)** |" in text
    assert "| – random, same soft labels |  |  | 86.08 ± 0.24 (3) |" in text
    assert "2 cores of Example CPU @ 2.50GHz, no GPU" in text and "Fashion-MNIST 10,000" in text
    assert with_results(text, read_records(tmp_path / "report")) == text


@pytest.mark.parametrize("text", ["", BEGIN, f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END}"])
def test_a_readme_without_its_markers_is_refused(text, job, tmp_path):
    with pytest.raises(DDCoreError, match="results:begin"):
        with_results(text, collect([job], tmp_path))


def test_committed_tables_are_not_stale(tmp_path):
    if not (ROOT / "results/records.json").exists():
        pytest.skip("no results are committed yet")
    records = read_records(ROOT / "results")
    remedy = "run: python scripts/make_report.py results --readme README.md"
    readme = (ROOT / "README.md").read_text()
    assert with_results(readme, records) == readme, remedy
    twin = render(TITLE, sections(records, draw_figures(records, tmp_path)))
    assert twin == (ROOT / "results/report.md").read_text(), remedy
