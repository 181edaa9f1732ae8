from pathlib import Path

import pytest

from ddcore.errors import DDCoreError
from ddcore.report.document import sections
from ddcore.report.figures import REPORT, draw_figures
from ddcore.report.make_report import TITLE, make_report
from ddcore.report.markdown import render
from ddcore.report.pages import update_results, with_parts
from ddcore.report.records import read_records

ROOT = Path(__file__).parent.parent.parent
BEGIN, END = "<!-- results: report -->", "<!-- end -->"
README = f"# a\n\n{BEGIN}\nold\n{END}\n\nrest\n<!-- results: other -->\nold\n{END}\n<!-- file: x -->\nold\n{END}\n"


def test_the_table_lies_between_the_markers_that_name_the_report(job, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(README)
    make_report([job], tmp_path / "report", readme)
    text = readme.read_text()
    head, rest = text.split(f"\n{END}\n\nrest\n")
    assert head.startswith(f"# a\n\n{BEGIN}\n| result |") and "old" not in head
    assert rest == README.split("rest\n")[1]
    assert "| **Fashion-MNIST, 600 members** | **at least 88.0 %** | **yes** | **88.23 ± 0.10 (3)** |" in text
    assert "| – random, same soft labels |  |  | 86.08 ± 0.24 (3) |" in text
    assert "2 cores of Example CPU @ 2.50GHz, no GPU" in text and "Fashion-MNIST 10,000" in text
    update_results(readme, tmp_path / "report")
    assert readme.read_text() == text
    part = f"{head}\n{END}\n"
    assert with_parts(part, {}, tmp_path) == part


@pytest.mark.parametrize("text", ["", BEGIN, f"{END} {BEGIN}", "<!-- results: other -->\n<!-- end -->"])
def test_a_readme_without_its_markers_is_refused(text, tmp_path):
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(DDCoreError, match="<!-- end -->"):
        update_results(tmp_path / "README.md", tmp_path / "report")


@pytest.mark.parametrize("folder", ["results", "results/unroll", "results/imdb-distinct"])
def test_committed_reports_are_not_stale(folder, tmp_path):
    """The README's table is checked with the other pages, in ``tests/scripts/test_make_docs.py``."""
    records = read_records(ROOT / folder)
    twin = render(TITLE, sections(records, draw_figures(REPORT, records, tmp_path)))
    assert twin == (ROOT / folder / "report.md").read_text(), f"run: scripts/make_report.py {folder} --out {folder}"
