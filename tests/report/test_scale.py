import re

import pytest

from ddcore.errors import DDCoreError
from ddcore.report.measurements import COLUMNS
from ddcore.report.pages import with_parts
from ddcore.report.scale import scale_part

HEAD = sorted(COLUMNS)
CASE = "members={} classes=10 side=64 budget=100 processes=1"


def write_rows(path, rows):
    """Write rows of (case, stage, metric, value); the other columns are those of every measurement."""
    lines = [",".join(HEAD)]
    for case, stage, metric, value in rows:
        cells = {"benchmark": "scale", "case": case, "variant": stage, "metric": metric, "p50": str(value)}
        lines.append(",".join(cells.get(name, name) for name in HEAD))
    path.write_text("\n".join(lines) + "\n")


def test_a_page_shows_the_slopes_and_the_picture(tmp_path):
    rows = tmp_path / "results" / "scale" / "rows.csv"
    rows.parent.mkdir(parents=True)
    points = [(CASE.format(n), stage, "time", n / 10) for n in (100, 1000) for stage in ("random", "k-means")]
    points += [(CASE.format(n), "k-means", "anonymous memory", 1e9) for n in (100, 1000)]
    points += [("members", stage, "slope", 1.04) for stage in ("random", "k-means")]
    points += [("members", stage, "expected slope", 1.0) for stage in ("random", "k-means")]
    write_rows(rows, points)
    page = with_parts("<!-- scale: results/scale/rows.csv -->\n<!-- end -->", {}, tmp_path)
    assert "| stage | slope in members |" in page and "| k-means | 1.04 (≤ 1) |" in page
    assert "k-means along members: slope 1.04" in page and "](../results/scale/scale.svg)" in page
    assert re.search("<svg", (rows.parent / "scale.svg").read_text())


def test_a_file_without_slopes_is_refused(tmp_path):
    write_rows(tmp_path / "rows.csv", [(CASE.format(100), "random", "time", 1)])
    with pytest.raises(DDCoreError, match="has no slopes of 'scale'"):
        scale_part(tmp_path / "rows.csv")
