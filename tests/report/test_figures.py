"""The table of figures, and a figure added to it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ddcore.report.figures import COMPARISON, PUBLISHED, REPORT, SCALE, figures_of

ROOT = Path(__file__).parents[2]


def test_every_figure_module_is_in_the_table_under_its_own_name():
    modules = {path.stem.removeprefix("figure_") for path in (ROOT / "ddcore" / "report").glob("figure_*.py")}
    assert modules - {"style"} == {*REPORT, *COMPARISON, *SCALE, *PUBLISHED}
    figures = figures_of([*REPORT, *COMPARISON, *SCALE, *PUBLISHED])
    assert [figure.anchor for figure in figures] == [*REPORT, *COMPARISON, *SCALE, *PUBLISHED]
    assert all(figure.title and figure.note.endswith(".") for figure in figures)


FIGURE = """\"\"\"The number of results.\"\"\"

from matplotlib.figure import Figure

from ddcore.report.figures import FigureSpec
from ddcore.report.records import Records


def draw(records: Records) -> tuple[Figure, str] | None:
    figure = Figure()
    figure.subplots().bar(["results"], [len(records["results"])])
    return figure, f"{len(records['results'])} results."


FIGURE = FigureSpec("count", "How many results", "A bar.", draw)
"""


def test_a_new_figure_is_one_file_and_one_line(job, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "ddcore", copy / "ddcore", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "kernels", copy / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "ddcore/report/figure_count.py").write_text(FIGURE)
    table = copy / "ddcore/report/figures.py"
    table.write_text(table.read_text().replace('    "curves",\n', '    "curves",\n    "count",\n'))
    code = (
        "import sys; from pathlib import Path; from ddcore.report import make_report; "
        "assert not make_report([Path(sys.argv[1])], Path(sys.argv[2]))"
    )
    out = tmp_path / "report"
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    subprocess.run([sys.executable, "-c", code, str(job), str(out)], env=environment, cwd=copy, check=True)
    text = (out / "report.md").read_text()
    expected = "## How many results\n\n![6 results.](figures/count.svg)\n\nA bar."
    assert expected in text and text.index("outer-loop curves") < text.index(expected) < text.index(
        "Confusion matrices"
    )
    assert (out / "figures/count.svg").stat().st_size > 1000
    assert len(json.loads((out / "records.json").read_text())["results"]) == 6
